"""EFFECT: carries bytes between a TLS connection and a plain socket of the kernel's, until either of them ends."""

from __future__ import annotations

import errno
import select
import socket
import ssl
import time

from qvd_usbip.system.key_use import is_used_up

ROOM = 256 * 1024
"""How many bytes of one direction are held while the other end does not take them."""

_READ = 64 * 1024
_KEYS_EVERY = 10.0  # seconds until it is looked again how much the keys have done
_LAST_SECONDS = 5.0  # for what was read before the end and has not been written yet
_GONE = {errno.ECONNRESET, errno.EPIPE, errno.ETIMEDOUT, errno.ENOTCONN, errno.EHOSTUNREACH, errno.ENETUNREACH}


class _End:
    """One socket: what is to be written into it, and whether it has ended."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.unsent = bytearray()
        self.ended = False
        self.waits_to_write = False

    def receive(self) -> bytes | None:
        """What came; empty for nothing now, None for its end."""
        try:
            data = self.connection.recv(_READ)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return b""
        except (ssl.SSLError, ConnectionError):
            return None
        except OSError as error:
            if error.errno not in _GONE:
                raise
            return None
        return data or None

    def send(self) -> bool:
        """Writes what it takes now; whether that was anything."""
        self.waits_to_write = False
        if not self.unsent or self.ended:
            return False
        try:
            sent = self.connection.send(self.unsent)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            self.waits_to_write = True
            return False
        except (ssl.SSLError, ConnectionError):
            self.ended = True
            return False
        except OSError as error:
            if error.errno not in _GONE:
                raise
            self.ended = True
            return False
        del self.unsent[:sent]
        return bool(sent)


def pump(tls: ssl.SSLSocket, plain: socket.socket) -> None:
    """Carry bytes both ways until one end is closed or breaks, or the keys are used up; then neither is open.

    Args:
        tls: a connection whose handshake is over.
        plain: the other end of what the kernel has.
    """
    for connection in (tls, plain):
        connection.setblocking(False)
    far, near = _End(tls), _End(plain)
    try:
        looked = time.monotonic()
        while not far.ended and not near.ended:
            if not _moved(far, near):
                _wait(far, near)
            if time.monotonic() - looked > _KEYS_EVERY:
                looked = time.monotonic()
                if is_used_up(tls):
                    far.ended = True
        _write_out(far, near)
    finally:
        for end in (far, near):
            _close(end.connection)


def _moved(far: _End, near: _End) -> bool:
    """Reads and writes what is possible now; whether that was anything."""
    moved = False
    for source, target in ((far, near), (near, far)):
        if len(target.unsent) < ROOM and not source.ended:
            data = source.receive()
            if data is None:
                source.ended = True
            else:
                target.unsent += data
                moved = moved or bool(data)
        moved = target.send() or moved
    return moved or far.ended or near.ended


def _wait(far: _End, near: _End) -> None:
    poll = select.poll()
    for source, target in ((far, near), (near, far)):
        events = select.POLLIN if len(target.unsent) < ROOM else 0
        events |= select.POLLOUT if source.waits_to_write else 0
        if events:  # else it would be told at once, and again, that an end has hung up whose data has no room yet
            poll.register(source.connection, events)
    poll.poll()


def _write_out(far: _End, near: _End) -> None:
    """One end is gone: the other still gets what it had sent."""
    deadline = time.monotonic() + _LAST_SECONDS
    for end in (far, near):
        poll = select.poll()
        poll.register(end.connection, select.POLLOUT)
        while end.unsent and not end.ended and (left := deadline - time.monotonic()) > 0:
            if not end.send():
                poll.poll(left * 1000)


def _close(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError as error:
        if error.errno not in _GONE:
            raise
    finally:
        connection.close()
