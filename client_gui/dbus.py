"""PURE: the little of D-Bus that is needed to hear of sleep: calls with text arguments, and reading what comes.

Source: D-Bus Specification, "Message Format" and "Authentication Protocol".
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from qvd_usbip.errors import QvdUsbError, problem_of

CALL, REPLY, ERROR, SIGNAL = 1, 2, 3, 4
LONGEST = 1 << 20
"""Longest message that is read, in bytes; the bus itself would let 128 MiB pass."""

_PATH, _INTERFACE, _MEMBER, _REPLY_SERIAL, _DESTINATION, _SIGNATURE = 1, 2, 3, 5, 6, 8
_FIXED = struct.Struct("<BBBBIII")


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message of the bus; `body` begins with the first argument."""

    kind: int
    member: str = ""
    interface: str = ""
    reply_serial: int = 0
    signature: str = ""
    body: bytes = b""

    @property
    def flag(self) -> bool:
        """The first argument, where it is a boolean."""
        return self.signature.startswith("b") and self.body[:4] == b"\1\0\0\0"


def authentication(uid: int) -> bytes:
    """The whole opening: who we are, that descriptors may come, and that messages follow."""
    return b"\0AUTH EXTERNAL " + str(uid).encode().hex().encode() + b"\r\nNEGOTIATE_UNIX_FD\r\nBEGIN\r\n"


ACCEPTED_LINES = 2
"""How many lines the bus answers to that before messages come: OK and AGREE_UNIX_FD."""


def call(serial: int, destination: str, path: str, interface: str, member: str, *arguments: str) -> bytes:
    """Formats a method call with text arguments."""
    body = b""
    for argument in arguments:
        body = _text(_padded(body, 4), argument)
    fields = b""
    for code, kind, value in (
        (_PATH, "o", path),
        (_INTERFACE, "s", interface),
        (_MEMBER, "s", member),
        (_DESTINATION, "s", destination),
    ):
        fields = _text(_padded(fields, 8) + bytes((code, 1)) + kind.encode() + b"\0", value)
    if arguments:
        signature = b"s" * len(arguments)
        fields = _padded(fields, 8) + bytes((_SIGNATURE, 1)) + b"g\0" + bytes((len(signature),)) + signature + b"\0"
    head = _FIXED.pack(ord("l"), CALL, 0, 1, len(body), serial, len(fields))
    return _padded(head + fields, 8) + body


def _padded(data: bytes, boundary: int) -> bytes:
    return data + b"\0" * (-len(data) % boundary)


def _text(before: bytes, text: str) -> bytes:
    encoded = text.encode()
    return before + struct.pack("<I", len(encoded)) + encoded + b"\0"


def parse(data: bytes) -> tuple[Message, int] | None:
    """Reads the first message; it and its length, or None while it is incomplete.

    Raises:
        QvdUsbError: internal, for what no bus of this machine sends.
    """
    if len(data) < _FIXED.size:
        return None
    order, kind, _, version, body_length, _, fields_length = _FIXED.unpack_from(data)
    if order != ord("l") or version != 1 or body_length > LONGEST or fields_length > LONGEST:
        raise _strange()
    body_at = _FIXED.size + fields_length + -fields_length % 8
    if len(data) < body_at + body_length:
        return None
    fields = _fields(data[_FIXED.size : _FIXED.size + fields_length])
    reply_serial = fields.get(_REPLY_SERIAL, 0)
    if not isinstance(reply_serial, int):
        raise _strange()
    message = Message(
        kind=kind,
        member=str(fields.get(_MEMBER, "")),
        interface=str(fields.get(_INTERFACE, "")),
        reply_serial=reply_serial,
        signature=str(fields.get(_SIGNATURE, "")),
        body=data[body_at : body_at + body_length],
    )
    return message, body_at + body_length


def _fields(data: bytes) -> dict[int, str | int]:
    """The header's fields; all that a message may have are texts, signatures and numbers."""
    fields: dict[int, str | int] = {}
    at = 0
    try:
        while at < len(data):
            code, kind = data[at], data[at + 2 : at + 3]
            if data[at + 1] != 1 or data[at + 3] != 0:
                raise _strange()
            at += 4
            if kind == b"u":
                (fields[code],) = struct.unpack_from("<I", data, at)
                at += 4
            elif kind in {b"s", b"o"}:
                (length,) = struct.unpack_from("<I", data, at)
                fields[code] = data[at + 4 : at + 4 + length].decode()
                at += 4 + length + 1
            elif kind == b"g":
                fields[code] = data[at + 1 : at + 1 + data[at]].decode()
                at += 1 + data[at] + 1
            else:
                raise _strange()
            at += -at % 8
    except (IndexError, struct.error, UnicodeDecodeError):
        raise _strange() from None
    return fields


def _strange() -> QvdUsbError:
    return QvdUsbError(problem_of("internal"), reason="the system bus sent what is no D-Bus message")
