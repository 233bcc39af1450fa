"""Bytes between TLS and the kernel: both ways, no more held than there is room for, and over when one end is."""

import select
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from types import SimpleNamespace

import pytest

from qvd_usbip.system import relay
from qvd_usbip.system.relay import ROOM, pump

CHUNK = bytes(range(256)) * 256


@dataclass
class Ends:
    """Both outer ends of a relay that runs; what TLS does to the bytes is none of its business."""

    far: socket.socket
    near: socket.socket
    at_work: threading.Thread

    def fill(self) -> int:
        """Write into the far end until nothing more fits anywhere; how many bytes that were."""
        sent, quiet = 0, 0
        self.far.setblocking(False)
        while quiet < 20:
            try:
                sent += self.far.send(CHUNK)
                quiet = 0
            except BlockingIOError:
                quiet += 1
                time.sleep(0.01)
        return sent

    def ended(self) -> bool:
        self.at_work.join(10)
        return not self.at_work.is_alive()


@pytest.fixture
def ends() -> Iterator[Ends]:
    far, tls = socket.socketpair()
    near, plain = socket.socketpair()
    at_work = threading.Thread(target=pump, args=(tls, plain), daemon=True)
    at_work.start()
    yield Ends(far=far, near=near, at_work=at_work)
    for end in (far, near):
        end.close()
    at_work.join(10)


def read_all(connection: socket.socket) -> int:
    count = 0
    while data := connection.recv(1 << 16):
        count += len(data)
    return count


def test_each_side_gets_what_the_other_says_and_both_are_over_with_either(ends: Ends) -> None:
    ends.far.sendall(b"question")
    assert ends.near.recv(100) == b"question"
    ends.near.sendall(b"answer, and nothing more")
    ends.near.shutdown(socket.SHUT_WR)
    assert read_all(ends.far) == len(b"answer, and nothing more")
    assert ends.ended()


def test_a_full_relay_waits_without_spinning_though_its_writer_has_hung_up_and_loses_nothing(
    ends: Ends, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = ends.fill()
    assert sent > ROOM
    ends.far.close()
    asked: list[None] = []

    def poll() -> object:
        asked.append(None)
        return select.poll()

    monkeypatch.setattr(relay, "select", SimpleNamespace(poll=poll, POLLIN=select.POLLIN, POLLOUT=select.POLLOUT))
    time.sleep(0.3)
    assert len(asked) < 10
    assert read_all(ends.near) == sent
    assert ends.ended()


def test_a_look_at_the_keys_makes_nothing_of_an_end_undone(ends: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay, "_KEYS_EVERY", -1.0)
    ends.far.sendall(b"x")
    assert ends.near.recv(1) == b"x"
    ends.far.close()
    assert ends.near.recv(1) == b""
    assert ends.ended()


def test_keys_that_are_used_up_end_it(ends: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay, "_KEYS_EVERY", -1.0)
    monkeypatch.setattr(relay, "is_used_up", lambda _: True)
    ends.far.sendall(b"x")
    assert ends.ended()
