"""EFFECT: a device on a socket, until either end closes."""

import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Protocol

from .records import Reader, Reply, Request, encode

CHUNK = 1 << 16


class Answering(Protocol):
    """Whatever answers requests: a Device, or something that lies in its name."""

    def answer(self, request: Request) -> Iterable[Reply | bytes]:
        """Replies; bytes go out as they are, and none at all (b"") hang up."""


class Connection:
    """One device served on one socket.

    Args:
        device: what answers.
        end: the connected socket; closed by `run` and `close`.
        before: called before a request is answered; may wait, and so hold the host up.
    """

    def __init__(self, device: Answering, end: socket.socket, before: Callable[[Request], None] | None = None) -> None:
        self._device = device
        self._end = end
        self._before = before
        self._reader = Reader()
        self._lock = threading.Lock()

    def run(self) -> None:
        """Serve until the other end closes or `close` is called."""
        try:
            while data := self._end.recv(CHUNK):
                for request in self._reader.feed(data):
                    if self._before is not None:
                        self._before(request)
                    self.send(self._device.answer(request))
        except (ConnectionError, TimeoutError):
            pass  # the host let go of it
        finally:
            self._end.close()

    def send(self, replies: Iterable[Reply | bytes]) -> None:
        """Send replies, also those that no request caused at this moment."""
        with self._lock:
            said = [each if isinstance(each, bytes) else encode(each) for each in replies]
            if said:
                self._end.sendall(b"".join(said))
            if b"" in said:
                self.close()

    def close(self) -> None:
        """Unplug: the host sees the connection end at once."""
        try:
            self._end.shutdown(socket.SHUT_RDWR)
        except OSError:
            return  # it was closed already


@contextmanager
def pair(device: Answering, before: Callable[[Request], None] | None = None) -> Iterator[tuple[Connection, int]]:
    """A device served by a thread of its own, and the descriptor of the end that a kernel is to be given."""
    ours, theirs = socket.socketpair()
    connection = Connection(device, ours, before)
    thread = threading.Thread(target=connection.run, daemon=True)
    thread.start()
    try:
        with theirs:
            yield connection, theirs.fileno()
    finally:
        connection.close()
        thread.join(10)
