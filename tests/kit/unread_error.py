"""A socket with an error that nobody has asked for yet: it is readable until somebody does."""

import select
import socket
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def refused() -> Iterator[int]:
    """The descriptor of a socket whose peer is gone (ECONNREFUSED)."""
    with socket.socket(type=socket.SOCK_DGRAM) as peer, socket.socket(type=socket.SOCK_DGRAM) as found:
        peer.bind(("127.0.0.1", 0))
        found.connect(peer.getsockname())
        peer.close()
        found.send(b"to nobody")
        assert is_readable(found.fileno(), 5)
        yield found.fileno()


def is_readable(fd: int, seconds: float = 0) -> bool:
    """Whether a loop that waits for the descriptor would be woken."""
    return bool(select.select([fd], [], [], seconds)[0])
