"""EFFECT: a socket in a folder on which one process after another is heard; both ends of it are this host's."""

import asyncio
import errno
import logging
import os
import socket
from collections.abc import Callable
from pathlib import Path

LOG = logging.getLogger(__name__)
FULL_SECONDS = 1.0  # until the next try when this process has no descriptor left


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
            if error.errno in {errno.EMFILE, errno.ENFILE}:
                self._pause()
            elif error.errno not in {errno.EAGAIN, errno.ECONNABORTED}:
                raise
            return
        connection.settimeout(0)
        self._welcome(connection)

    def _pause(self) -> None:
        """The loop does not spin meanwhile."""
        LOG.warning("no descriptor is left for who connects to %s", self._path)
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._socket)
        loop.call_later(FULL_SECONDS, self._listen)
