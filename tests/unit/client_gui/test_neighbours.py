"""Several programs of one user at once: one shares, the others see and command it."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client_gui import doorway
from client_gui.doorway import Doorway
from client_gui.engine import Engine
from client_gui.loop import Loop
from client_gui.mirror import Mirror, give_order
from client_gui.orders import OPERATIONS, Order, format_order, parse_line, parse_order
from client_gui.reported import parse_status
from client_gui.state import Asked, DeviceState, Mode, Snapshot
from qvd_usbip.errors import QvdUsbError
from tests.unit.client_gui.bench import Bench

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

ENTRY = "0bda:58c2@1234"


class Other:
    """A second engine of the same user."""

    def __init__(self, bench: Bench) -> None:
        self.seen: list[Snapshot] = []
        self.engine = Engine(bench.files, runtime=bench.runtime, check=lambda _: None, listen=False)
        self.engine.subscribe(self.seen.append)
        self.engine.start()

    def wait(self, test: Callable[[Snapshot], bool], seconds: float = 30) -> Snapshot:
        deadline = time.monotonic() + seconds
        while not (self.seen and test(self.seen[-1])):
            assert time.monotonic() < deadline, self.seen[-1:]
            time.sleep(0.005)
        return self.seen[-1]

    def wait_state(self, state: DeviceState, *, elsewhere: bool = True) -> Snapshot:
        return self.wait(lambda seen: seen.elsewhere is elsewhere and [row.state for row in seen.rows] == [state])


@pytest.fixture
def other(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Iterator[Other]:
    """The bench shares; a second engine looks on."""
    monkeypatch.setattr("client_gui.neighbours.LOOK_EVERY", 0.02)
    bench.bus.plug()
    bench.configure(ENTRY)
    bench.run().set_session(bench.session())
    bench.wait_state(DeviceState.IN_USE)
    second = Other(bench)
    yield second
    second.engine.stop()


def test_the_other_program_shows_what_the_one_that_shares_does(bench: Bench, other: Other) -> None:
    seen = other.wait_state(DeviceState.IN_USE)
    assert seen.session is not None
    assert seen.session.name == "Work desktop"
    assert [step.name for step in seen.rows[0].steps] == ["released", "exported", "attached", "ready"]
    assert bench.helper.diary().count("bound") == 1


def test_the_other_program_commands_the_one_that_shares(bench: Bench, other: Other) -> None:
    other.wait_state(DeviceState.IN_USE)
    other.engine.rename(ENTRY, "the good one")
    other.wait(lambda seen: seen.rows[0].nickname == "the good one")
    other.engine.set_mode(ENTRY, Mode.ASK)
    other.wait(lambda seen: seen.rows[0].mode is Mode.ASK)
    other.engine.toggle(ENTRY, False)
    other.wait_state(DeviceState.NOT_SHARED)
    assert "asked to return" in bench.helper.diary()
    other.engine.toggle(ENTRY, True)
    other.wait_state(DeviceState.IN_USE)
    bench.peer.drop()
    other.wait_state(DeviceState.FAILED)
    other.engine.retry(ENTRY)
    other.wait_state(DeviceState.IN_USE)


def test_when_the_one_that_shares_ends_the_other_sees_for_itself_and_may_share(bench: Bench, other: Other) -> None:
    other.wait_state(DeviceState.IN_USE)
    assert bench.engine is not None
    bench.engine.stop()
    other.wait_state(DeviceState.WAITING, elsewhere=False)
    other.engine.set_session(bench.session())
    other.wait_state(DeviceState.IN_USE, elsewhere=False)
    assert (bench.runtime / doorway.NAME).stat().st_mode & 0o777 == 0o600


def test_a_program_without_an_engine_gives_an_order(bench: Bench, other: Other) -> None:
    assert give_order(bench.runtime, Order(op="toggle", key=ENTRY, on=False))
    bench.wait_state(DeviceState.NOT_SHARED)
    assert bench.engine is not None
    bench.engine.set_session(None)
    deadline = time.monotonic() + 20
    while give_order(bench.runtime, Order(op="rescan")):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def is_sent_away(guest: socket.socket) -> bool:
    """Whether the connection was ended; where something of the guest's was not even read, it is reset."""
    try:
        return guest.recv(10) == b""
    except ConnectionResetError:
        return True


class Door:
    """A doorway, and the loop that it stands on."""

    def __init__(self, folder: Path) -> None:
        self.loop = Loop()
        self.orders: list[Order] = []
        self.doorway = Doorway(self.loop, folder, self.orders.append)
        self._path = str(folder / doorway.NAME)

    def enter(self) -> socket.socket:
        guest = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        guest.connect(self._path)
        guest.settimeout(10)
        self.turn()
        return guest

    def turn(self) -> None:
        for _ in range(3):
            self.loop.turn(0.01)

    def close(self) -> None:
        self.doorway.close()
        self.loop.close()


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    opened = Door(tmp_path)
    yield opened
    opened.close()
    assert not (tmp_path / doorway.NAME).exists()


@pytest.mark.parametrize(
    "line", [b"\xff\n", b"[]\n", b"{}\n", b'{"v":1,"op":"format-disk"}\n', b"[" * 9000 + b"\n", b"x" * 5000]
)
def test_a_guest_that_talks_nonsense_is_sent_away(door: Door, line: bytes) -> None:
    with door.enter() as guest:
        guest.sendall(line)
        door.turn()
        assert is_sent_away(guest)
    assert door.orders == []


def test_a_guest_that_does_not_read_is_sent_away(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doorway, "MOST_UNSENT", 100_000)
    with door.enter() as deaf, door.enter() as good:
        received = 0
        for _ in range(60):
            door.doorway.publish({"text": "x" * 50_000})
            door.turn()
            received += len(good.recv(200_000))
        assert received > 2_000_000
        assert len(door.doorway._guests) == 1
        deaf.close()


def test_too_many_guests_and_guests_of_other_users_stay_outside(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doorway, "MOST_GUESTS", 1)
    with door.enter(), door.enter() as second:
        assert second.recv(10) == b""
    door.turn()
    monkeypatch.setattr(doorway, "peer_credentials", lambda _: (1, os.geteuid() + 1, 1))
    with door.enter() as stranger:
        assert stranger.recv(10) == b""


def test_an_order_in_two_pieces_and_two_in_one(door: Door) -> None:
    lines = [json.dumps(format_order(Order(op="retry", key=key))).encode() + b"\n" for key in "ab"]
    with door.enter() as guest:
        guest.sendall(lines[0][:9])
        door.turn()
        guest.sendall(lines[0][9:] + lines[1])
        door.turn()
    assert [order.key for order in door.orders] == ["a", "b"]


orders = st.builds(
    Order,
    op=st.sampled_from(OPERATIONS),
    key=st.text(max_size=40),
    on=st.booleans(),
    asked=st.sampled_from(Asked),
    mode=st.sampled_from(Mode),
    nickname=st.text(max_size=60),
    seconds=st.integers(0, 600),
)


@given(orders)
def test_an_order_is_read_back(order: Order) -> None:
    assert parse_order(json.loads(json.dumps(format_order(order)))) == order


@pytest.mark.parametrize(
    "change", [{"v": 2}, {"op": 3}, {"key": 1}, {"on": "yes"}, {"asked": "moon"}, {"mode": 1}, {"seconds": "3"}]
)
def test_what_is_no_order_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(QvdUsbError):
        parse_order({**format_order(Order(op="toggle", key="a", on=True)), **change})


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[socket.socket]:
    """Where the engine that shares listens."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as made:
        made.bind(str(tmp_path / doorway.NAME))
        made.listen()
        yield made


@pytest.fixture
def mirror(tmp_path: Path, listener: socket.socket) -> Iterator[tuple[Mirror, Loop]]:
    loop = Loop()
    made = Mirror(loop, tmp_path, lambda _: None)
    made.look()
    yield made, loop
    made.leave()
    loop.close()


def test_orders_to_an_engine_that_is_busy_reach_it_in_their_order(
    listener: socket.socket, mirror: tuple[Mirror, Loop]
) -> None:
    watching, loop = mirror
    orders = [Order(op="rename", key=str(number), nickname="x" * 60) for number in range(3000)]
    assert all(watching.give(order) for order in orders)
    with listener.accept()[0] as engine:
        engine.setblocking(False)
        heard, deadline = b"", time.monotonic() + 30
        while heard.count(b"\n") < len(orders):
            assert time.monotonic() < deadline
            loop.turn(0.01)
            with contextlib.suppress(BlockingIOError):
                heard += engine.recv(1 << 20)
    assert [parse_line(line) for line in heard.splitlines()] == orders


def test_an_order_that_does_not_reach_the_engine_that_shares_is_said_so(
    listener: socket.socket, mirror: tuple[Mirror, Loop], monkeypatch: pytest.MonkeyPatch
) -> None:
    watching, _ = mirror
    monkeypatch.setattr("client_gui.mirror.MOST_UNGIVEN", 1 << 16)
    assert watching.give(Order(op="rescan"))
    while watching.give(Order(op="rename", nickname="x" * 1000)):
        assert watching.is_connected
    assert not watching.is_connected
    assert not watching.give(Order(op="rescan"))
    watching.look()
    listener.accept()[0].close()
    listener.accept()[0].close()
    assert not watching.give(Order(op="rescan")), "it went"


def test_an_engine_that_stops_answering_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not give_order(tmp_path, Order(op="rescan"))
    (tmp_path / doorway.NAME).write_text("left behind")
    assert not give_order(tmp_path, Order(op="rescan"))
    assert parse_status(b"[]") is None
    assert parse_status(b"{") is None
