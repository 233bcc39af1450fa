"""The host's end of the line to a guest's agent, with a stand-in for the guest."""

import base64
import json
import socket
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.lab.errors import LabError, TimedOut
from tests.lab.link import Link


class FakeGuest:
    """Answers `echo X` with X after the delay in `timeout`-less words: `late`, `never`, `hang-up`, `half`."""

    def __init__(self, path: Path) -> None:
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self.connections = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as stream:
            while len(head := stream.read(4)) == 4:
                request = json.loads(stream.read(struct.unpack(">I", head)[0]))
                threading.Thread(target=self._answer, args=(connection, request), daemon=True).start()

    def _answer(self, connection: socket.socket, request: dict[str, Any]) -> None:
        word = request.get("cmd", "")
        out = base64.b64encode(base64.b64decode(request.get("stdin", "")) or word.encode()).decode()
        data = json.dumps({"id": request["id"], "rc": 7 if word == "seven" else 0, "out": out}).encode()
        frame = struct.pack(">I", len(data)) + data
        if word == "late":
            time.sleep(0.2)
        if word == "half":
            frame = frame[:9]
        if word == "hang-up":
            connection.shutdown(socket.SHUT_RDWR)
        elif word != "never":
            connection.sendall(frame)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


@pytest.fixture
def guest(tmp_path: Path) -> Iterator[FakeGuest]:
    guest = FakeGuest(tmp_path / "agent")
    yield guest
    guest.close()


@pytest.fixture
def link(guest: FakeGuest, tmp_path: Path) -> Iterator[Link]:
    link = Link("server", tmp_path / "agent")
    yield link
    link.reset()


def test_status_output_and_input(link: Link) -> None:
    assert link.run("seven", 5) == (7, b"seven")
    assert link.run("cat", 5, stdin=b"\x00\xff") == (0, b"\x00\xff")


def test_a_slow_answer_holds_up_no_other(link: Link, guest: FakeGuest) -> None:
    slow: list[tuple[int, bytes]] = []
    thread = threading.Thread(target=lambda: slow.append(link.run("late", 5)))
    thread.start()
    assert link.run("quick", 5) == (0, b"quick")
    assert not slow
    thread.join()
    assert slow == [(0, b"late")]
    assert guest.connections == 1


def test_an_answer_that_comes_too_late_is_dropped(link: Link) -> None:
    with pytest.raises(TimedOut):
        link.call(0.05, op="run", cmd="late")
    time.sleep(0.3)
    assert link.run("next", 5) == (0, b"next")


def test_a_line_that_breaks_ends_the_calls_at_once_and_comes_back(link: Link) -> None:
    with pytest.raises(LabError, match="the line to its agent broke"):
        link.call(30, op="run", cmd="hang-up")
    assert link.run("again", 5) == (0, b"again")


def test_half_a_message_is_forgotten_by_a_reset(link: Link, guest: FakeGuest) -> None:
    with pytest.raises(TimedOut):
        link.call(0.2, op="run", cmd="half")
    link.reset()
    assert link.run("clean", 5) == (0, b"clean")
    assert guest.connections == 2


def test_a_guest_that_is_not_there(tmp_path: Path) -> None:
    link = Link("client", tmp_path / "nothing")
    with pytest.raises(LabError, match="client: its agent cannot be reached"):
        link.run("true", 1)
    with pytest.raises(TimedOut, match="client did not come up"):
        link.wait_until_it_answers(0.3)
