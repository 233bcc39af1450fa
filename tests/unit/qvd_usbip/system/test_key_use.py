"""How much a connection's keys have encrypted is what the kernel counts."""

import socket
import time

import pytest

from qvd_usbip.system import key_use


def test_the_kernels_counters_of_either_direction_say_when_the_keys_are_used_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(key_use, "MOST_BYTES", 5000)
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.create_connection(listener.getsockname()) as ours,
        listener.accept()[0] as theirs,
    ):
        ours.sendall(bytes(4000))
        theirs.sendall(bytes(4000))
        assert not key_use.is_used_up(ours), "8000 bytes, but in two directions, each with a key of its own"
        ours.sendall(bytes(2000))
        end = time.monotonic() + 10
        while not key_use.is_used_up(ours) or not key_use.is_used_up(theirs):
            assert time.monotonic() < end


def test_a_unix_socket_has_no_keys() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert not key_use.is_used_up(ours)
