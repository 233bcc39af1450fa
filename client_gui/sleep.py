"""EFFECT: hears that the computer is about to sleep, and delays that until the devices are home.

The kernel's export side does not survive a suspend. logind tells by the signal PrepareForSleep, and waits for whoever
holds a delay lock, as long as it allows (5 s, unless the administrator chose otherwise).

Source: org.freedesktop.login1(5).
"""

from __future__ import annotations

import errno
import logging
import os
import selectors
import socket
from typing import TYPE_CHECKING

from client_gui import dbus
from qvd_usbip.errors import QvdUsbError

if TYPE_CHECKING:
    from collections.abc import Callable

    from client_gui.loop import Loop

LOG = logging.getLogger(__name__)

SYSTEM_BUS = "/run/dbus/system_bus_socket"
AGAIN = 60.0
"""When a bus that is not there, or went, is tried again, in seconds."""

_LOGIND, _MANAGER = "org.freedesktop.login1", "org.freedesktop.login1.Manager"
_MATCH = f"type='signal',sender='{_LOGIND}',interface='{_MANAGER}',member='PrepareForSleep'"
_BUS = ("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus")
_HELLO, _ADD_MATCH, _INHIBIT = 1, 2, 3
_AWAY = frozenset({errno.ENOENT, errno.ECONNREFUSED, errno.EACCES, errno.EAGAIN, errno.EPIPE, errno.ECONNRESET})


class SleepWatch:
    """The connection to logind; belongs to the engine's thread.

    Args:
        loop: the engine's loop.
        on_sleep: called with True before the computer sleeps; `ready` says that it may. With False after it woke, and
            where that cannot be heard any more.
        path: the system bus.
    """

    def __init__(self, loop: Loop, on_sleep: Callable[[bool], None], path: str = SYSTEM_BUS) -> None:
        self._loop = loop
        self._on_sleep = on_sleep
        self._path = path
        self._socket: socket.socket | None = None
        self._data = b""
        self._lines_left = dbus.ACCEPTED_LINES
        self._lock = -1
        self._asleep = False

    def start(self) -> None:
        """Begins to listen; where there is no bus, it is tried again from time to time."""
        self.stop()
        bus = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            bus.connect(self._path)
            bus.send(
                dbus.authentication(os.geteuid())
                + dbus.call(_HELLO, *_BUS, "Hello")
                + dbus.call(_ADD_MATCH, *_BUS, "AddMatch", _MATCH)
            )
        except OSError as error:
            bus.close()
            if error.errno not in _AWAY:
                raise
            self._try_again(os.strerror(error.errno or 0))
            return
        self._socket, self._data, self._lines_left = bus, b"", dbus.ACCEPTED_LINES
        self._loop.watch(bus.fileno(), selectors.EVENT_READ, self._read)
        self._inhibit()

    def _try_again(self, reason: str) -> None:
        LOG.info("sleep is not heard of: reason=%s", reason)
        self._loop.call_later(AGAIN, self.start)

    def stop(self) -> None:
        """Listens no more, and delays nothing."""
        self.ready()
        if self._socket is not None:
            self._loop.unwatch(self._socket.fileno())
            self._socket.close()
            self._socket = None

    def ready(self) -> None:
        """Lets the computer sleep."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _inhibit(self) -> None:
        if self._socket is not None:
            words = ("sleep", "USB sharing", "Shared devices come home first", "delay")
            request = dbus.call(_INHIBIT, _LOGIND, "/org/freedesktop/login1", _MANAGER, "Inhibit", *words)
            try:
                self._socket.send(request)
            except OSError as error:
                self._lost(os.strerror(error.errno or 0))

    def _read(self) -> None:
        if self._socket is None:
            return
        try:
            data, descriptors, _, _ = socket.recv_fds(self._socket, 65536, 4, socket.MSG_CMSG_CLOEXEC)
        except BlockingIOError:
            return
        except OSError as error:
            self._lost(os.strerror(error.errno or 0))
            return
        if not data:
            self._lost("the bus closed the connection")
            return
        self._data += data
        self._keep(descriptors)
        try:
            self._take()
        except QvdUsbError as error:
            self._lost(str(error))

    def _keep(self, descriptors: list[int]) -> None:
        """The only descriptor that is asked for is the lock."""
        for descriptor in descriptors:
            self.ready()
            self._lock = descriptor

    def _take(self) -> None:
        while self._lines_left and b"\r\n" in self._data:
            line, _, self._data = self._data.partition(b"\r\n")
            if not line.startswith((b"OK ", b"AGREE_UNIX_FD")):
                self._lost("the bus does not accept us")
                return
            self._lines_left -= 1
        while not self._lines_left and (found := dbus.parse(self._data)) is not None:
            message, length = found
            self._data = self._data[length:]
            self._heard(message)

    def _heard(self, message: dbus.Message) -> None:
        if message.kind == dbus.ERROR and message.reply_serial == _INHIBIT:
            LOG.warning("sleep cannot be delayed: devices that are shared then may not survive it")
        if message.kind == dbus.SIGNAL and (message.interface, message.member) == (_MANAGER, "PrepareForSleep"):
            if not message.flag:
                self._inhibit()
            self._tell(message.flag)

    def _tell(self, asleep: bool) -> None:
        if asleep != self._asleep:
            self._asleep = asleep
            self._on_sleep(asleep)

    def _lost(self, reason: str) -> None:
        self.stop()
        self._tell(False)  # nobody would say any more that it woke
        self._try_again(reason)
