"""EFFECT: a socket in a folder on which one process after another is heard; both ends of it are this host's."""

import asyncio
import errno
import logging
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from server_agent.seldom import Seldom

LOG = logging.getLogger(__name__)
FULL_SECONDS = 1.0  # until the next try when this process has no descriptor left
FULL = frozenset({errno.EMFILE, errno.ENFILE})
NO_DESCRIPTOR = "no descriptor is left for who connects to %s"


class Listener:
    """Hears who connects, until it is closed; without a descriptor left whoever knocks waits."""

    def __init__(
        self,
        path: Path,
        welcome: Callable[[socket.socket], None],
        waiting: int,
        own: Callable[[Path], None] | None = None,
    ) -> None:
        """Makes the socket anew and listens.

        Args:
            path: of the socket, which is for its owner alone.
            welcome: what to do with a connection, which does not block.
            waiting: how many may wait to be accepted.
            own: gives the socket to others, before it listens.

        Raises:
            OSError: it cannot be made.
        """
        self._path, self._welcome = path, welcome
        path.unlink(missing_ok=True)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)
        try:
            os.fchmod(self._socket.fileno(), 0o600)  # what bind makes has this mode from the first moment: unix(7)
            self._socket.bind(str(path))
            if own is not None:
                own(path)
            self._socket.listen(waiting)
        except OSError:
            self._socket.close()
            raise
        self._listen()

    def close(self) -> None:
        """Listens no more."""
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()

    def _listen(self) -> None:
        if self._socket.fileno() >= 0:
            asyncio.get_running_loop().add_reader(self._socket, self.accept)

    def accept(self) -> None:
        """Takes the next connection, if there is one."""
        try:
            connection, _ = self._socket.accept()
        except OSError as error:
            if error.errno in FULL:
                self._pause()
            elif error.errno not in {errno.EAGAIN, errno.ECONNABORTED}:
                raise
            return
        connection.settimeout(0)
        self._welcome(connection)

    def _pause(self) -> None:
        """The loop does not spin meanwhile."""
        LOG.warning(NO_DESCRIPTOR, self._path)
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._socket)
        loop.call_later(FULL_SECONDS, self._listen)


def say_seldom_who_waits(loop: asyncio.AbstractEventLoop) -> None:
    """Servers of asyncio try again by themselves, and write a traceback for each place in their backlog each second."""
    seldom = Seldom(1, FULL_SECONDS)

    def handle(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error, listening = context.get("exception"), context.get("socket")
        if not (isinstance(error, OSError) and error.errno in FULL and listening is not None):
            loop.default_exception_handler(context)
        elif seldom.allows(listening.fileno(), time.monotonic()) is not None:
            LOG.warning(NO_DESCRIPTOR, listening.getsockname())

    loop.set_exception_handler(handle)
