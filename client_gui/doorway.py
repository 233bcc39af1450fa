"""EFFECT: the socket through which other programs of the same user see what the engine does, and command it.

`engine.sock` stands beside lock and status file, in a folder of this user's alone; whoever connects is asked by the
kernel whose process it is all the same. Lines of JSON: orders come in, each new status goes out.
"""

from __future__ import annotations

import errno
import json
import os
import selectors
import socket
from typing import TYPE_CHECKING

from client_gui.orders import LONGEST, parse_line
from qvd_usbip.errors import QvdUsbError
from qvd_usbip.system.sockets import peer_credentials

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from client_gui.loop import Loop
    from client_gui.orders import Order

NAME = "engine.sock"
MOST_GUESTS = 16
MOST_UNSENT = 4 << 20
"""How much a guest that does not read may leave waiting, in bytes; then it is let go of."""


class Doorway:
    """Listens, as long as this engine is the one that shares; belongs to its thread.

    Args:
        loop: the engine's loop.
        folder: where lock and status file stand.
        obey: called with each order.
    """

    def __init__(self, loop: Loop, folder: Path, obey: Callable[[Order], None]) -> None:
        self._loop = loop
        self._path = folder / NAME
        self._obey = obey
        self._guests: list[_Guest] = []
        self._status = b""
        self._path.unlink(missing_ok=True)  # the lock is ours: what stands there was left by a dead one
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            self._listener.bind(str(self._path))
            self._path.chmod(0o600)
            self._listener.listen(MOST_GUESTS)
        except OSError:
            self._listener.close()
            raise
        loop.watch(self._listener.fileno(), selectors.EVENT_READ, self._open)

    def _open(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except OSError as error:
            if error.errno in {errno.EAGAIN, errno.ECONNABORTED, errno.EMFILE, errno.ENFILE}:
                return
            raise
        if len(self._guests) >= MOST_GUESTS or peer_credentials(connection)[1] != os.geteuid():
            connection.close()
            return
        connection.setblocking(False)
        guest = _Guest(self._loop, connection, self._obey, self._guests.remove)
        self._guests.append(guest)
        guest.send(self._status)

    def publish(self, status: Mapping[str, object]) -> None:
        """Tells every guest the new status."""
        self._status = json.dumps(status).encode() + b"\n"
        for guest in list(self._guests):
            guest.send(self._status)

    def close(self) -> None:
        """Sends everybody away."""
        self._loop.unwatch(self._listener.fileno())
        self._listener.close()
        self._path.unlink(missing_ok=True)
        for guest in list(self._guests):
            guest.leave()


class _Guest:
    """One program at the door."""

    def __init__(
        self, loop: Loop, connection: socket.socket, obey: Callable[[Order], None], gone: Callable[[_Guest], None]
    ) -> None:
        self._loop = loop
        self._connection = connection
        self._obey = obey
        self._gone = gone
        self._heard = b""
        self._unsent = b""
        self._watch()

    def _watch(self) -> None:
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if self._unsent else 0)
        self._loop.watch(self._connection.fileno(), events, self._serve)

    def send(self, line: bytes) -> None:
        """Sends it, now or when the guest reads again."""
        if len(self._unsent) + len(line) > MOST_UNSENT:
            self.leave()
            return
        self._unsent += line
        self._serve()

    def leave(self) -> None:
        """Ends the connection."""
        if self._connection.fileno() >= 0:
            self._loop.unwatch(self._connection.fileno())
            self._connection.close()
            self._gone(self)

    def _serve(self) -> None:
        try:
            if self._unsent:
                self._unsent = self._unsent[self._connection.send(self._unsent) :]
        except BlockingIOError:
            pass  # it reads on in its own time
        except OSError:
            self._unsent = b""  # it went, but may have said something before
        try:
            self._hear()
        except BlockingIOError:
            pass  # nothing yet
        except OSError:
            self.leave()
        if self._connection.fileno() >= 0:
            self._watch()

    def _hear(self) -> None:
        data = self._connection.recv(LONGEST)
        self._heard += data
        *lines, self._heard = self._heard.split(b"\n")
        for line in lines:
            try:
                self._obey(parse_line(line))
            except QvdUsbError:
                self.leave()  # another version, or no program of ours
                return
        if not data or len(self._heard) > LONGEST:
            self.leave()
