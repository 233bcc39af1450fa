"""Connections are tuned, descriptors passed, and from a socket nothing is taken that belongs to the kernel."""

from __future__ import annotations

import errno
import os
import socket
import struct
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qvd_usbip import errors, wire
from qvd_usbip.device_line import format_device_line, parse_device_line
from qvd_usbip.errors import QvdUsbError
from qvd_usbip.system import sockets
from tests.kit.unread_error import is_readable, refused

if TYPE_CHECKING:
    from collections.abc import Iterator

ID = "12345678-1234-4234-8234-123456789abc"


@contextmanager
def pair(kind: int = socket.SOCK_STREAM) -> Iterator[tuple[socket.socket, socket.socket]]:
    """A unix socket pair."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, kind)
    with ours, theirs:
        yield ours, theirs


@contextmanager
def tcp() -> Iterator[tuple[socket.socket, socket.socket]]:
    """A TCP connection on loopback."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ours = socket.create_connection(listener.getsockname())
        theirs, _ = listener.accept()
    with ours, theirs:
        yield ours, theirs


def soon(seconds: float = 10) -> float:
    return time.monotonic() + seconds


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_tcp_is_tuned() -> None:
    with tcp() as (connection, _):
        sockets.tune(connection)
        assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0
        assert connection.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) != 0
        idle, interval, count, answer = (
            connection.getsockopt(socket.IPPROTO_TCP, option)
            for option in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT, socket.TCP_USER_TIMEOUT)
        )
        assert idle + interval * count <= 4, "a silent peer is given up in time to have the device home within 5 s"
        assert 3000 <= answer < 4000, "so is one that acknowledges nothing; a network may lose a few packets in a row"


def test_a_unix_socket_needs_no_tuning() -> None:
    with pair() as (connection, _):
        sockets.tune(connection)


@pytest.mark.parametrize("kind", [socket.SOCK_SEQPACKET, socket.SOCK_STREAM])
def test_a_descriptor_goes_over_with_its_message(kind: int) -> None:
    reader, writer = os.pipe()
    with pair(kind) as (ours, theirs):
        sockets.send_fd(ours, b"take this", writer)
        os.close(writer)
        message, descriptor = sockets.recv_fd(theirs, 64)
    assert message == b"take this"
    assert descriptor is not None
    assert not os.get_inheritable(descriptor)
    os.write(descriptor, b"x")
    os.close(descriptor)
    assert os.read(reader, 2) == b"x"
    os.close(reader)


def test_a_message_without_descriptor_and_the_end() -> None:
    with pair(socket.SOCK_SEQPACKET) as (ours, theirs):
        sockets.send_fd(ours, b"hello")
        assert sockets.recv_fd(theirs, 64) == (b"hello", None)
        ours.close()
        assert sockets.recv_fd(theirs, 64) == (b"", None)


def test_a_message_too_long_closes_what_came_with_it() -> None:
    with pair(socket.SOCK_SEQPACKET) as (ours, theirs), open("/dev/null", "rb") as null:
        before = open_descriptors()
        sockets.send_fd(ours, b"x" * 65, null.fileno())
        with pytest.raises(QvdUsbError) as caught:
            sockets.recv_fd(theirs, 64)
        assert open_descriptors() == before
    assert caught.value.problem is errors.BROKER_PROTOCOL


@pytest.mark.parametrize("count", [2, 3, 100])
def test_more_than_one_descriptor_is_refused_and_none_stays_open(count: int) -> None:
    with pair(socket.SOCK_SEQPACKET) as (ours, theirs), open("/dev/null", "rb") as null:
        before = open_descriptors()
        socket.send_fds(ours, [b"many"], [null.fileno()] * count)
        with pytest.raises(QvdUsbError):
            sockets.recv_fd(theirs, 64)
        assert open_descriptors() == before


@pytest.mark.parametrize("size", [0, 1, 48, 5000])
@pytest.mark.parametrize("connect", [pair, tcp])
def test_what_follows_head_and_line_stays_in_the_socket(connect: object, size: int) -> None:
    request = wire.UpgradeClient("k3y", ID).request
    line, urbs = format_device_line(65538, 3), os.urandom(size)
    with pair() if connect is pair else tcp() as (ours, theirs):
        ours.sendall(request + line + urbs)
        ours.shutdown(socket.SHUT_WR)
        assert sockets.read_head(theirs, soon()) == request
        assert sockets.read_line(theirs, soon()) == line
        assert b"".join(iter(lambda: theirs.recv(4096), b"")) == urbs


@given(st.lists(st.integers(1, 40), min_size=1, max_size=30), st.binary(max_size=60))
def test_in_whatever_pieces_it_comes(sizes: list[int], after: bytes) -> None:
    request = wire.UpgradeClient("k3y", ID).request
    line = format_device_line(65538, 3)
    rest = request + line + after
    with pair() as (ours, theirs):
        sender = threading.Thread(target=send_pieces, args=(ours, rest, sizes))
        sender.start()
        assert sockets.read_head(theirs, soon()) == request
        read = parse_device_line(sockets.read_line(theirs, soon()))
        sender.join()
        assert read is not None
        assert read.devid == 65538
        if after:
            assert theirs.recv(len(after), socket.MSG_WAITALL) == after


def send_pieces(connection: socket.socket, data: bytes, sizes: list[int]) -> None:
    while data:
        size = sizes[len(data) % len(sizes)]
        connection.sendall(data[:size])
        data = data[size:]


def test_byte_by_byte_nothing_more_is_taken() -> None:
    line = format_device_line(65538, 3)
    with pair() as (ours, theirs):
        for byte in line + b"U":
            ours.send(bytes((byte,)))
        assert sockets.read_line(theirs, soon()) == line
        assert theirs.recv(10) == b"U"


@pytest.mark.parametrize("size", [64, 65, 1000])
def test_a_line_without_end_is_taken_to_its_limit_only(size: int) -> None:
    with pair() as (ours, theirs):
        ours.sendall(b"x" * size)
        assert sockets.read_line(theirs, soon()) == b"x" * 64
        ours.shutdown(socket.SHUT_WR)
        assert len(theirs.recv(4096)) == size - 64


def test_a_peer_that_says_nothing() -> None:
    with pair() as (_, theirs):
        started = time.monotonic()
        with pytest.raises(QvdUsbError) as caught:
            sockets.read_head(theirs, started + 0.05)
        assert time.monotonic() - started >= 0.05
    assert caught.value.problem is errors.SLAVE_SILENT


def test_a_peer_that_dribbles_does_not_stretch_the_deadline() -> None:
    with pair() as (ours, theirs):
        stop = threading.Event()
        dribbler = threading.Thread(target=dribble, args=(ours, stop))
        dribbler.start()
        started = time.monotonic()
        with pytest.raises(QvdUsbError) as caught:
            sockets.read_head(theirs, started + 0.3)
        stop.set()
        dribbler.join()
    assert caught.value.problem is errors.SLAVE_SILENT
    assert time.monotonic() - started < 5


def dribble(connection: socket.socket, stop: threading.Event) -> None:
    while not stop.wait(0.02):
        connection.sendall(b"x")


def test_a_deadline_that_has_passed() -> None:
    with pair() as (ours, theirs):
        ours.sendall(b"65538 3\n")
        with pytest.raises(QvdUsbError) as caught:
            sockets.read_line(theirs, soon(-1))
    assert caught.value.problem is errors.SLAVE_SILENT


@pytest.mark.parametrize("said", [b"", b"POST /usb", b"65538"])
def test_a_peer_that_closes(said: bytes) -> None:
    with pair() as (ours, theirs):
        ours.sendall(said)
        ours.close()
        with pytest.raises(QvdUsbError) as caught:
            sockets.read_head(theirs, soon())
    assert caught.value.problem is errors.PEER_GONE


def test_a_peer_that_resets() -> None:
    with tcp() as (ours, theirs):
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        ours.close()
        with pytest.raises(QvdUsbError) as caught:
            sockets.read_head(theirs, soon())
    assert caught.value.problem is errors.PEER_GONE


def test_the_head_limit() -> None:
    with tcp() as (ours, theirs):
        sender = threading.Thread(target=ours.sendall, args=(b"x" * 20_000,))
        sender.start()
        assert len(sockets.read_head(theirs, soon(), limit=8192)) == 8192
        sender.join()


def test_the_kernel_says_whose_process_connected() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert sockets.peer_credentials(ours) == (os.getpid(), os.getuid(), os.getgid())


def test_the_last_user_there_can_be_is_no_negative_number() -> None:
    class FromAfar(socket.socket):
        """Somebody else's."""

        def getsockopt(self, level: int, option: int, length: int = 0) -> bytes:  # type: ignore[override]
            assert (level, option, length) == (socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
            return struct.pack("=iII", 7, 0xFFFF_FFFE, 0xFFFF_FFFE)

    with FromAfar(socket.AF_UNIX) as connection:
        assert sockets.peer_credentials(connection) == (7, 0xFFFF_FFFE, 0xFFFF_FFFE)


def test_the_error_of_a_socket_is_told_once_and_the_socket_stays_open() -> None:
    with refused() as fd:
        assert sockets.pending_error(fd) == errno.ECONNREFUSED
        assert sockets.pending_error(fd) == 0
        assert not is_readable(fd)
