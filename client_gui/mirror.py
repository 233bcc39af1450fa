"""EFFECT: sees what the engine of this user that shares does, and passes orders on to it, from another program."""

from __future__ import annotations

import json
import selectors
import socket
from typing import TYPE_CHECKING

from client_gui.doorway import MOST_UNSENT, NAME
from client_gui.orders import Order, format_order
from client_gui.reported import parse_status

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from client_gui.loop import Loop

LOOK_EVERY = 1.0
"""How often is looked whether another engine shares, in seconds."""
ANSWER_LIMIT = 2.0
MOST_UNGIVEN = 1 << 20
"""How much an engine that does not listen may leave waiting, in bytes; then it is left."""


def _connect(folder: Path) -> socket.socket | None:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(ANSWER_LIMIT)
    try:
        connection.connect(str(folder / NAME))
    except (OSError, ValueError):
        connection.close()  # none is there, or one that is ending
        return None
    return connection


def _line(order: Order) -> bytes:
    return json.dumps(format_order(order)).encode() + b"\n"


def give_order(folder: Path, order: Order) -> bool:
    """Gives one order to the engine that shares; False where there is none. For programs without an engine."""
    connection = _connect(folder)
    if connection is None:
        return False
    with connection:
        try:
            connection.sendall(_line(order))
        except OSError:
            return False
    return True


class Mirror:
    """The connection to the engine that shares; belongs to the loop's thread.

    Args:
        loop: the engine's loop.
        folder: the user's runtime folder of ours.
        show: called with each status, and with None when that engine went.
    """

    def __init__(self, loop: Loop, folder: Path, show: Callable[[Mapping[str, object] | None], None]) -> None:
        self._loop = loop
        self._folder = folder
        self._show = show
        self._connection: socket.socket | None = None
        self._heard = b""
        self._ungiven = b""

    @property
    def is_connected(self) -> bool:
        """Whether another engine shares."""
        return self._connection is not None

    def look(self) -> None:
        """Connects, if there is an engine to connect to."""
        if self._connection is not None:
            return
        self._connection = _connect(self._folder)
        if self._connection is not None:
            self._connection.setblocking(False)
            self._heard = self._ungiven = b""
            self._loop.watch(self._connection.fileno(), selectors.EVENT_READ, self._serve)

    def give(self, order: Order) -> bool:
        """Passes an order on, now or when the other engine listens again; False if it went, or does not listen."""
        if self._connection is None:
            return False
        self._ungiven += _line(order)
        if len(self._ungiven) > MOST_UNGIVEN:
            self.leave()
        else:
            self._send()
        return self.is_connected

    def _send(self) -> None:
        if self._connection is None:
            return
        try:
            self._ungiven = self._ungiven[self._connection.send(self._ungiven) :]
        except BlockingIOError:
            pass  # it has much else to do
        except OSError:
            self.leave()
            return
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if self._ungiven else 0)
        self._loop.watch(self._connection.fileno(), events, self._serve)

    def _serve(self) -> None:
        if self._ungiven:
            self._send()
        self._read()

    def leave(self) -> None:
        """Ends the connection."""
        if self._connection is not None:
            self._loop.unwatch(self._connection.fileno())
            self._connection.close()
            self._connection = None
            self._show(None)

    def _read(self) -> None:
        if self._connection is None:
            return
        try:
            data = self._connection.recv(1 << 20)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        *lines, self._heard = (self._heard + data).split(b"\n")
        status = parse_status(lines[-1]) if lines else None
        if status is not None:
            self._show(status)
        if not data or len(self._heard) > MOST_UNSENT:
            self.leave()
