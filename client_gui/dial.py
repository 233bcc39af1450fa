"""EFFECT: connects to a session's address without ever waiting: names are resolved in a thread of their own."""

from __future__ import annotations

import errno
import os
import socket
import threading
from typing import TYPE_CHECKING

from client_gui.troubles import fault_of
from qvd_usbip.errors import SLAVE_UNREACHABLE, QvdUsbError
from qvd_usbip.system.sockets import tune

if TYPE_CHECKING:
    from collections.abc import Callable

    from client_gui.session import Address
    from client_gui.troubles import Fault

Candidate = tuple[int, object]
"""Address family, and what `connect` takes for it."""


def candidates_without_lookup(address: Address) -> list[Candidate] | None:
    """Decides where to connect, if that needs no name service; None if it does."""
    if address.path:
        return [(socket.AF_UNIX, address.path)]
    if address.host == "localhost":  # never by name service: plaintext is allowed there because it stays here
        return [(socket.AF_INET, ("127.0.0.1", address.port)), (socket.AF_INET6, ("::1", address.port))]
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, address.host)
        except OSError:
            continue
        return [(family, (address.host, address.port))]
    return None


def look_up(address: Address, answer: Callable[[list[Candidate]], None]) -> None:
    """Asks the name service in a thread of its own; `answer` is called there, with nothing if there is no such name."""

    def ask() -> None:
        try:
            found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            found = []
        answer([(entry[0], entry[4]) for entry in found])

    threading.Thread(target=ask, name="usb-name-lookup", daemon=True).start()


class Dial:
    """One connection in the making, over all candidates in turn."""

    def __init__(self, address: Address, candidates: list[Candidate]) -> None:
        self._address = address
        self._left = list(candidates)
        self._error = "no such host" if not candidates else ""
        self.socket: socket.socket | None = None

    def start(self) -> bool | Fault:
        """Starts with the next candidate: True if it is connected at once, False if that takes time."""
        while self._left:
            family, target = self._left.pop(0)
            try:
                connection = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
            except OSError as error:  # a kernel without IPv6
                self._error = os.strerror(error.errno or 0)
                continue
            code = self._connect(connection, target)
            if code in {0, errno.EINPROGRESS}:
                self.socket = connection
                return code == 0
            connection.close()
            self._error = os.strerror(code)
        return fault_of(QvdUsbError(SLAVE_UNREACHABLE, address=self._address, reason=self._error))

    @staticmethod
    def _connect(connection: socket.socket, target: object) -> int:
        try:
            return connection.connect_ex(target)  # type: ignore[arg-type]  # its form depends on the family
        except (OSError, UnicodeError):
            return errno.EADDRNOTAVAIL

    def finish(self) -> bool | Fault:
        """Called when the socket became writable: True if it is connected, False if the next is on its way."""
        if self.socket is None:
            return self.start()
        code = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code == 0:
            return True
        self._error = os.strerror(code)
        self.socket.close()
        self.socket = None
        return self.start()

    def take(self) -> socket.socket:
        """Hands out the connected socket, set up for USB traffic."""
        connection, self.socket = self.socket, None
        if connection is None:
            raise ValueError("not connected")
        tune(connection)
        return connection

    def close(self) -> None:
        """Gives up."""
        if self.socket is not None:
            self.socket.close()
            self.socket = None
