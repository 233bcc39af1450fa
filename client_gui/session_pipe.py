"""EFFECT: reads a session from a pipe; for as long as the pipe is open, the session lasts."""

from __future__ import annotations

import os
import select
import stat
import time

from client_gui.session import SIZE_LIMIT, Session, parse_session
from qvd_usbip.errors import SESSION_MALFORMED, QvdUsbError

READ_LIMIT = 30.0
"""How long the description may take to arrive, in seconds."""


def object_end(text: str) -> int | None:
    """Decides where the JSON object at the start of `text` ends; None while it is not complete."""
    depth = 0
    in_string = escaped = False
    for place, char in enumerate(text):
        if escaped:
            escaped = False
        elif in_string:
            escaped = char == "\\"
            in_string = char != '"'
        elif char == '"':
            in_string = True
        elif char in "{[":
            depth += 1
        elif char in "}]":
            depth -= 1
            if depth <= 0:
                return place + 1
    return None


def read_session(descriptor: int, limit: float = READ_LIMIT) -> Session:
    """Reads the session's description, without waiting for the pipe's end.

    Raises:
        QvdUsbError: session-malformed, also when nothing complete came within `limit` seconds.
    """
    deadline = time.monotonic() + limit
    data = b""
    while len(data) <= SIZE_LIMIT:
        chunk = _read(descriptor, deadline)
        data += chunk
        text = _decoded(data, complete=not chunk)
        if text.strip() and not text.lstrip().startswith("{"):
            raise QvdUsbError(SESSION_MALFORMED, reason="it does not start with {")
        end = object_end(text)
        if end is not None:
            if text[end:].strip():
                raise QvdUsbError(SESSION_MALFORMED, reason="something follows the JSON object")
            return parse_session(text[:end])
        if not chunk:
            raise QvdUsbError(SESSION_MALFORMED, reason="it ended before it was complete" if data else "nothing came")
    raise QvdUsbError(SESSION_MALFORMED, reason="it is longer than 16 KiB")


def _read(descriptor: int, deadline: float) -> bytes:
    poll = select.poll()
    try:
        poll.register(descriptor, select.POLLIN)
        if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
            raise QvdUsbError(SESSION_MALFORMED, reason="nothing complete came in time")
        return os.read(descriptor, 4096)
    except OSError as error:
        reason = f"descriptor {descriptor} cannot be read: {os.strerror(error.errno or 0)}"
        raise QvdUsbError(SESSION_MALFORMED, reason=reason) from error


def _decoded(data: bytes, *, complete: bool) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        if not complete and error.end == len(data):  # a character is still on its way
            return data[: error.start].decode()
        raise QvdUsbError(SESSION_MALFORMED, reason="it is not UTF-8 text") from None


def closes(descriptor: int) -> bool:
    """Whether its closing ends the session: a plain file in a pipe's place is at its end from the beginning."""
    return not stat.S_ISREG(os.fstat(descriptor).st_mode)


def at_end(descriptor: int) -> bool:
    """Reads on, without waiting, whatever nobody asked for; True if the pipe is closed."""
    try:
        return not os.read(descriptor, 4096)
    except BlockingIOError:
        return False
    except OSError:
        return True  # it cannot be read any more: whoever held it is gone
