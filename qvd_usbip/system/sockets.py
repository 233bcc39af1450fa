"""EFFECT: what we do with connections: keep them honest, pass them on, take exactly what is ours from them."""

from __future__ import annotations

import array
import os
import select
import socket
import struct
import time

from qvd_usbip import errors
from qvd_usbip.boundaries import head_end, line_end
from qvd_usbip.device_line import MAX_DEVICE_LINE

TYPE_CHECKING = False  # importing typing would cost the helper's start as much as all else that is imported here
if TYPE_CHECKING:
    from collections.abc import Callable

_KEEPALIVE_IDLE = 1
_KEEPALIVE_INTERVAL = 1
_KEEPALIVE_COUNT = 3
_USER_TIMEOUT = 3500  # milliseconds; with the keepalive 4 s of silence, and the device has 1 s to be home within 5 s
_INT = array.array("i").itemsize
_CREDENTIALS = struct.Struct("=iII")  # struct ucred


def pending_error(fd: int) -> int:
    """The error that a socket waits to tell, which it forgets by that; 0 for none. Source: socket(7), SO_ERROR."""
    with socket.socket(fileno=os.dup(fd)) as found:
        return found.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)


def peer_credentials(connection: socket.socket) -> tuple[int, int, int]:
    """Whose process is at the other end of a unix socket: pid, uid and gid, as they were when it connected.

    Source: unix(7), SO_PEERCRED.
    """
    data = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    pid, uid, gid = _CREDENTIALS.unpack(data)
    return pid, uid, gid


def tune(connection: socket.socket) -> None:
    """Make a TCP connection quick, and dead after 4 s of its peer's silence; kernel sockets keep these settings.

    Must be called before the kernel gets the socket. Does nothing to a unix socket, which needs none of it.
    Source: tcp(7); a half-open connection leaves the device busy for good, USB/IP has no heartbeat.
    """
    if connection.family not in (socket.AF_INET, socket.AF_INET6):
        return
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, _KEEPALIVE_IDLE)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, _KEEPALIVE_INTERVAL)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, _KEEPALIVE_COUNT)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _USER_TIMEOUT)


def send_fd(channel: socket.socket, message: bytes, descriptor: int | None = None) -> None:
    """Send one message over a unix socket, with a descriptor or without. The descriptor stays ours as well."""
    socket.send_fds(channel, [message], [] if descriptor is None else [descriptor], socket.MSG_NOSIGNAL)


def recv_fd(channel: socket.socket, limit: int) -> tuple[bytes, int | None]:
    """Receive one message of at most `limit` bytes over a unix socket, and the descriptor that came with it, if any.

    Returns: the message (empty: the peer closed) and the descriptor, close-on-exec, now the caller's to close.
    Raises: QvdUsbError broker-protocol for a longer message or more than one descriptor; none of them stays open then.
    """
    flags = socket.MSG_CMSG_CLOEXEC
    message, ancillary, received, _ = channel.recvmsg(limit + 1, socket.CMSG_SPACE(2 * _INT), flags)
    descriptors = array.array("i")
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            descriptors.frombytes(data[: len(data) - len(data) % _INT])
    if len(message) > limit or received & (socket.MSG_CTRUNC | socket.MSG_TRUNC) or len(descriptors) > 1:
        for descriptor in descriptors:
            socket.close(descriptor)
        raise errors.QvdUsbError(errors.BROKER_PROTOCOL, reason="it is too long or brings more than one descriptor")
    return message, descriptors[0] if descriptors else None


def read_head(connection: socket.socket, deadline: float, limit: int = 8192) -> bytes:
    """Take a request's head, up to and with its empty line, and not a byte more.

    Args: deadline: on time.monotonic(); limit: bytes. Returns: the head; after `limit` bytes without an end, those.
    Raises: QvdUsbError slave-silent after the deadline, peer-gone if the peer closes before.
    """
    return read_until(connection, head_end, limit, deadline)


def read_line(connection: socket.socket, deadline: float, limit: int = MAX_DEVICE_LINE) -> bytes:
    """Take the device line with its newline, and not a byte more. Otherwise like read_head."""
    return read_until(connection, line_end, limit, deadline)


def read_until(connection: socket.socket, end_of: Callable[[bytes], int | None], limit: int, deadline: float) -> bytes:
    """Take bytes up to where `end_of` finds the end, and leave what follows in the socket.

    What arrives is looked at first (MSG_PEEK) and taken only as far as it is known to be ours.
    """
    started = time.monotonic()
    taken = b""
    while len(taken) < limit:
        _wait(connection, deadline, started)
        try:
            seen = connection.recv(limit - len(taken), socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            continue
        except ConnectionError as error:
            raise errors.QvdUsbError(errors.PEER_GONE) from error
        if not seen:
            raise errors.QvdUsbError(errors.PEER_GONE)
        end = end_of(taken + seen)
        ours = len(seen) if end is None else end - len(taken)
        taken += connection.recv(ours, socket.MSG_DONTWAIT)
        if end is not None:
            break
    return taken


def _wait(connection: socket.socket, deadline: float, started: float) -> None:
    remaining = deadline - time.monotonic()
    poll = select.poll()
    poll.register(connection, select.POLLIN)
    if remaining <= 0 or not poll.poll(remaining * 1000):
        raise errors.QvdUsbError(errors.SLAVE_SILENT, seconds=max(0, round(deadline - started)))
