"""Before the computer sleeps the devices come home, and afterwards they go out again."""

from __future__ import annotations

import os
import socket
import struct
import threading
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client_gui import dbus
from client_gui import sleep as sleeping
from client_gui.engine import Engine
from client_gui.loop import Loop
from client_gui.sleep import SleepWatch
from client_gui.state import Asked, DeviceState, Mode
from qvd_usbip.errors import QvdUsbError
from tests.unit.client_gui.bench import Bench

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

ENTRY = "0bda:58c2@1234"
MANAGER = "org.freedesktop.login1.Manager"


def message(kind: int, member: str = "", *, interface: str = MANAGER, reply_to: int = 0, body: bytes = b"") -> bytes:
    """A message as the bus sends it."""
    fields = b""
    texts = ((2, interface), (3, member)) if member else ()
    for code, text in texts:
        fields += b"\0" * (-len(fields) % 8) + bytes((code, 1)) + b"s\0"
        fields += struct.pack("<I", len(text)) + text.encode() + b"\0"
    if reply_to:
        fields += b"\0" * (-len(fields) % 8) + b"\5\1u\0" + struct.pack("<I", reply_to)
    if body:
        fields += b"\0" * (-len(fields) % 8) + b"\x08\1g\0\1b\0"
    head = struct.pack("<BBBBIII", ord("l"), kind, 0, 1, len(body), 7, len(fields)) + fields
    return head + b"\0" * (-len(head) % 8) + body


class Logind:
    """A system bus with logind on it, for one client."""

    def __init__(self, path: Path) -> None:
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(path))
        self._listener.listen()
        self._listener.settimeout(20)
        self._client: socket.socket | None = None
        self._locks: list[int] = []
        self.asked = b""

    def accept(self) -> None:
        """Takes the client, and gives it the lock that it asks for."""
        self._client, _ = self._listener.accept()
        self._client.settimeout(20)
        self._until(b"BEGIN\r\n")
        self._client.send(b"OK 0123456789abcdef\r\nAGREE_UNIX_FD\r\n" + message(dbus.REPLY, reply_to=1))
        self.give_lock()

    def _until(self, word: bytes) -> None:
        assert self._client is not None
        while word not in self.asked:
            more = self._client.recv(65536)
            assert more, "the client went"
            self.asked += more

    def give_lock(self) -> None:
        """Answers to Inhibit; the lock is held for as long as its other end is open."""
        assert self._client is not None
        self._until(b"Inhibit")
        self.asked = self.asked.partition(b"Inhibit")[2]
        ours, theirs = os.pipe()
        socket.send_fds(self._client, [message(dbus.REPLY, reply_to=3)], [theirs])
        os.close(theirs)
        self._locks.append(ours)

    def prepare(self, asleep: bool) -> None:
        """Says that the computer is about to sleep, or woke."""
        assert self._client is not None
        self._client.send(message(dbus.SIGNAL, "PrepareForSleep", body=struct.pack("<I", asleep)))

    def wait_unlocked(self) -> None:
        """Waits until the last lock was let go."""
        os.set_blocking(self._locks[-1], True)
        assert os.read(self._locks[-1], 1) == b""

    @property
    def is_locked(self) -> bool:
        """Whether the last lock is held."""
        os.set_blocking(self._locks[-1], False)
        try:
            return os.read(self._locks[-1], 1) != b""
        except BlockingIOError:
            return True

    def close(self) -> None:
        """Goes away."""
        self._listener.close()
        if self._client is not None:
            self._client.close()
        for lock in self._locks:
            os.close(lock)


@pytest.fixture
def logind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Logind]:
    path = tmp_path / "bus.sock"
    bus = Logind(path)
    real = SleepWatch.__init__
    monkeypatch.setattr(SleepWatch, "__init__", lambda self, loop, on_sleep: real(self, loop, on_sleep, str(path)))
    yield bus
    bus.close()


@pytest.fixture
def shared(bench: Bench, logind: Logind) -> Bench:
    """A device is in the remote desktop, and logind would say when the computer is about to sleep."""
    bench.bus.plug()
    bench.configure(ENTRY)
    accepting = threading.Thread(target=logind.accept)
    accepting.start()
    bench.engine = Engine(bench.files, runtime=bench.runtime, check=lambda _: None)
    bench.engine.subscribe(bench.take)
    bench.engine.start()
    bench.engine.set_session(bench.session())
    bench.wait_state(DeviceState.IN_USE)
    accepting.join()
    return bench


def test_devices_come_home_before_the_computer_sleeps_and_go_out_after(shared: Bench, logind: Logind) -> None:
    assert logind.is_locked
    logind.prepare(asleep=True)
    logind.wait_unlocked()
    assert "asked to return" in shared.helper.diary()
    shared.wait_state(DeviceState.WAITING)
    logind.prepare(asleep=False)
    logind.give_lock()
    shared.wait_state(DeviceState.IN_USE)
    assert logind.is_locked


def pulled_while_asleep(shared: Bench, logind: Logind, mode: Mode) -> Engine:
    """Asked for by hand, the device goes while the computer sleeps, which has woken by now."""
    engine = shared.engine
    assert engine is not None
    engine.set_mode(ENTRY, mode)
    engine.agree(ENTRY, Asked.PLUGGED)
    shared.wait(lambda seen: seen.rows[0].mode is mode and seen.rows[0].state is DeviceState.IN_USE, "by hand")
    logind.prepare(asleep=True)
    logind.wait_unlocked()
    shared.bus.unplug()
    engine.rescan()
    shared.wait_state_absent()
    logind.prepare(asleep=False)
    logind.give_lock()
    return engine


@pytest.mark.parametrize("mode", Mode)
def test_what_was_shared_by_hand_is_shared_again_though_it_comes_back_by_another_number(
    shared: Bench, logind: Logind, mode: Mode
) -> None:
    """Many a device loses its power meanwhile: for the kernel it is plugged in anew."""
    engine = pulled_while_asleep(shared, logind, mode)
    shared.bus.plug()
    engine.rescan()
    shared.wait_state(DeviceState.IN_USE)


@pytest.mark.parametrize("what", ["another", "changed", "late"])
def test_what_is_plugged_in_while_the_computer_sleeps_or_later_is_as_at_any_time(
    shared: Bench, logind: Logind, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if what == "late":
        monkeypatch.setattr("client_gui.advisor.BACK_WITHIN", 0.0)
    engine = pulled_while_asleep(shared, logind, Mode.ASK)
    shared.bus.plug("1-2" if what == "another" else "1-4", interface="08 06 50" if what == "changed" else "02 02 01")
    engine.rescan()
    shared.wait_state(DeviceState.CONFIRM, "1-2" if what == "another" else "1-4")


def until(loop: Loop, holds: Callable[[], bool]) -> None:
    """Turns the loop until it holds."""
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        loop.turn(0.02)


def test_a_bus_that_goes_while_the_computer_sleeps_leaves_nothing_asleep(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It will never say that the computer woke."""
    monkeypatch.setattr(sleeping, "AGAIN", 60)
    with ExitStack() as stack:
        loop = Loop()
        stack.callback(loop.close)
        heard: list[bool] = []
        watch = SleepWatch(loop, heard.append, str(tmp_path / "bus.sock"))
        bus = Logind(tmp_path / "bus.sock")
        watch.start()
        stack.callback(watch.stop)
        bus.accept()
        bus.prepare(asleep=True)
        until(loop, lambda: heard == [True])
        bus.close()
        until(loop, lambda: heard == [True, False])


def test_a_bus_that_is_not_there_or_goes_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sleeping, "AGAIN", 0.01)
    path = tmp_path / "bus.sock"
    with ExitStack() as stack:
        loop = Loop()
        stack.callback(loop.close)
        heard: list[bool] = []
        watch = SleepWatch(loop, heard.append, str(path))
        watch.start()
        stack.callback(watch.stop)
        first = Logind(path)
        accepting = threading.Thread(target=first.accept)
        accepting.start()
        while accepting.is_alive():
            loop.turn(0.02)
        accepting.join()
        first.close()
        path.unlink()
        second = Logind(path)
        stack.callback(second.close)
        accepting = threading.Thread(target=second.accept)
        accepting.start()
        while accepting.is_alive():
            loop.turn(0.02)
        second.prepare(asleep=True)
        while not heard:
            loop.turn(0.02)
        assert heard == [True]


@pytest.mark.parametrize("said", [b"REJECTED EXTERNAL\r\n", b"OK 1\r\nAGREE_UNIX_FD\r\nB" + bytes(40)])
def test_a_bus_that_talks_nonsense_is_left(tmp_path: Path, said: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sleeping, "AGAIN", 60)
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        listener.bind(str(tmp_path / "bus.sock"))
        listener.listen()
        loop = Loop()
        stack.callback(loop.close)
        watch = SleepWatch(loop, lambda _: None, str(tmp_path / "bus.sock"))
        watch.start()
        client = stack.enter_context(listener.accept()[0])
        client.settimeout(20)
        client.send(said)
        loop.turn(5)
        data = client.recv(65536)
        while data:  # what it asked; then the end
            data = client.recv(65536)


def test_a_call_is_what_the_bus_understands() -> None:
    data = dbus.call(3, "org.a", "/org/a", "org.a.B", "Do", "x", "four")
    found = dbus.parse(data)
    assert found is not None
    assert found[1] == len(data)
    assert (found[0].member, found[0].interface, found[0].signature) == ("Do", "org.a.B", "ss")
    assert found[0].body == b"\1\0\0\0x\0\0\0\4\0\0\0four\0"


def headed(fields: bytes) -> bytes:
    """An answer of the bus with these fields."""
    head = struct.pack("<BBBBIII", ord("l"), dbus.REPLY, 0, 1, 0, 3, len(fields))
    return head + fields + b"\0" * (-len(head + fields) % 8)


@pytest.mark.parametrize(
    "fields",
    [
        b"\5\2u\0\1\0\0\0", b"\5\1uu\1\0\0\0", b"\5\1x\0\1\0\0\0", b"\5\1u\0\1", b"\5", b"\3\1s\0\1\0",
        b"\3\1s\0\1\0\0\0\xff\0", b"\10\1g\0",
    ],
)  # fmt: skip
def test_fields_that_no_bus_writes_are_refused(fields: bytes) -> None:
    assert dbus.parse(headed(b"\5\1u\0\1\0\0\0")) is not None
    with pytest.raises(QvdUsbError):
        dbus.parse(headed(fields))


def test_an_answer_to_a_text_instead_of_a_number_is_refused() -> None:
    fields = bytes((5, 1)) + b"s\0" + struct.pack("<I", 1) + b"x\0"
    with pytest.raises(QvdUsbError):
        dbus.parse(headed(fields))


@given(st.binary(max_size=60), st.integers(0, 100))
def test_whatever_comes_is_read_or_refused(noise: bytes, at: int) -> None:
    good = message(dbus.SIGNAL, "PrepareForSleep", body=b"\1\0\0\0")
    for data in (noise, b"l" + noise, good[:at], good[:at] + noise):
        try:
            found = dbus.parse(data)
        except QvdUsbError:
            continue
        assert found is None or found[1] <= len(data)
