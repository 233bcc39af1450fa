"""EFFECT: accepts connections of the slave channel, each in a thread of its own, never more than fixed numbers."""

import errno
import logging
import select
import socket
import threading
import time
from collections.abc import Sequence

from qvd_usbip.errors import SLAVE_LIMIT, Problem, QvdUsbError
from vma_hooks.conversation import Host, converse, refuse_at_once, refuse_calmly

LOG = logging.getLogger(__name__)
LIMIT = 32
BUSY_SECONDS = 0.1  # until the next try when nothing is left to take a connection with
_BUSY = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM))
_ABORTED = frozenset((errno.ECONNABORTED, errno.EAGAIN, errno.EPROTO, errno.ENETDOWN, errno.EHOSTUNREACH))


class Listener:
    """Serves the listening sockets it is given until `stop`.

    Args:
        sockets: listening stream sockets.
        host: what all conversations share.
        limit: connections at once; one more is refused with 503.
    """

    def __init__(self, sockets: Sequence[socket.socket], host: Host, limit: int = LIMIT) -> None:
        self._sockets = sockets
        self._host = host
        self._free = threading.BoundedSemaphore(limit)
        self._wake, self._woken = socket.socketpair()

    def serve(self) -> None:
        """Accept until `stop`; conversations that run then end with the process."""
        with self._wake, self._woken:
            self._serve()

    def _serve(self) -> None:
        poll = select.poll()
        waiting = {each.fileno(): each for each in self._sockets}
        for descriptor, listening in waiting.items():
            listening.settimeout(0)
            poll.register(descriptor, select.POLLIN)
        poll.register(self._woken, select.POLLIN)
        while True:
            for descriptor, _event in poll.poll():
                if descriptor not in waiting:
                    return
                self._accept(waiting[descriptor])

    def stop(self) -> None:
        """Make `serve` return; may be called from a signal handler or another thread."""
        if self._wake.fileno() >= 0:
            self._wake.send(b"x")

    def _accept(self, listening: socket.socket) -> None:
        connection = _next_of(listening)
        if connection is None:
            return
        if self._free.acquire(blocking=False):
            threading.Thread(target=self._converse, args=(connection,), daemon=True).start()
        else:
            self._refuse(connection)

    def _converse(self, connection: socket.socket) -> None:
        try:
            with connection:
                converse(connection, self._host)
        except QvdUsbError as error:
            LOG.warning("refused problem=%s %s %s", error.problem.code, error, error.remedy())
        finally:
            self._free.release()

    def _refuse(self, connection: socket.socket) -> None:
        try:
            with connection:
                refuse_at_once(connection, SLAVE_LIMIT)
        except QvdUsbError as error:
            LOG.info("refused problem=%s", error.problem.code)


def refuse_next(sockets: Sequence[socket.socket], problem: Problem, seconds: float) -> None:
    """Tell the next client why there is no service, or nobody when none comes within that time.

    A client that is gone before it has heard it is none: the next one is waited for.

    Raises:
        OSError: a listening socket does not serve.
    """
    end = time.monotonic() + seconds
    told = False
    for listening in sockets:
        listening.settimeout(0)
    while not told and (left := end - time.monotonic()) > 0:
        ready, _, _ = select.select(sockets, [], [], left)
        for listening in ready:
            told |= _is_told(listening, problem)


def _is_told(listening: socket.socket, problem: Problem) -> bool:
    connection = _next_of(listening)
    if connection is None:
        return False
    try:
        with connection:
            refuse_calmly(connection, problem)
    except QvdUsbError as error:
        LOG.info("refused problem=%s, and nobody hears it: %s", problem.code, error)
        return False
    return True


def _next_of(listening: socket.socket) -> socket.socket | None:
    """Take the next connection; None where it is gone again, or has to wait.

    Raises:
        OSError: the listening socket does not serve.
    """
    try:
        connection, _address = listening.accept()
    except OSError as error:
        if error.errno in _BUSY:
            LOG.warning("a connection waits error=%s", error.strerror)
            time.sleep(BUSY_SECONDS)
        elif error.errno not in _ABORTED:
            raise
        return None
    return connection
