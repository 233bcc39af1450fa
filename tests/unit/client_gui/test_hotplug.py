"""A USB event only says "look again", and soon; a flood of them, or a lost one, changes nothing."""

from __future__ import annotations

import errno
import os
import time
from typing import TYPE_CHECKING

import pytest
import pyudev

from client_gui.engine import Engine
from client_gui.hotplug import Hotplug
from client_gui.state import DeviceState
from tests.kit.unread_error import is_readable, refused

if TYPE_CHECKING:
    from tests.unit.client_gui.bench import Bench


class FakeMonitor:
    """Events by hand: each is a byte in a pipe."""

    def __init__(self) -> None:
        self._read_end, self._write_end = os.pipe2(os.O_NONBLOCK)
        self.overflow = False
        self.taken = 0

    def event(self, times: int = 1) -> None:
        os.write(self._write_end, b"e" * times)

    def fileno(self) -> int:
        return self._read_end

    def poll(self, timeout: float | None = None) -> object | None:
        assert timeout == 0, "the engine's thread must not wait here"
        if self.overflow:
            self.overflow = False
            os.read(self._read_end, 100_000)
            raise OSError(errno.ENOBUFS, "lost events")
        try:
            os.read(self._read_end, 1)
        except BlockingIOError:
            return None
        self.taken += 1
        return object()

    def close(self) -> None:
        os.close(self._read_end)
        os.close(self._write_end)


@pytest.fixture
def monitor(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> FakeMonitor:
    made = FakeMonitor()
    monkeypatch.setattr("client_gui.engine.RESCAN_EVERY", 60.0)
    monkeypatch.setattr(Hotplug, "start", classmethod(lambda cls: cls(made)))
    bench.engine = Engine(bench.files, runtime=bench.runtime, check=lambda _: None)
    bench.engine.subscribe(bench.take)
    bench.engine.start()
    bench.wait(lambda seen: seen.generation > 0 or not seen.rows, "started")
    return made


def test_a_plugged_device_shows_at_once(bench: Bench, monitor: FakeMonitor) -> None:
    bench.bus.plug()
    began = time.monotonic()
    monitor.event()
    bench.wait_state(DeviceState.NOT_SHARED)
    assert time.monotonic() - began < 2.0  # 0.2 is the aim; this machine may be busy
    bench.bus.unplug()
    monitor.event()
    bench.wait(lambda seen: seen.rows == (), "gone")


def test_a_flood_is_answered_and_taken_whole(bench: Bench, monitor: FakeMonitor) -> None:
    bench.bus.plug()
    monitor.event(5000)
    bench.wait_state(DeviceState.NOT_SHARED)
    deadline = time.monotonic() + 10
    while monitor.taken < 5000 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert monitor.taken == 5000


def test_lost_events_do_no_harm(bench: Bench, monitor: FakeMonitor) -> None:
    bench.bus.plug()
    monitor.overflow = True
    monitor.event()
    bench.wait_state(DeviceState.NOT_SHARED)


def test_an_overflow_that_pyudev_sees_by_polling_wakes_the_engine_once() -> None:
    class Overflowed:
        def __init__(self, fd: int) -> None:
            self._fd = fd

        def fileno(self) -> int:
            return self._fd

        def poll(self, timeout: float | None = None) -> object | None:
            raise OSError(f"Error while polling fd: {self._fd}")

    with refused() as fd:
        Hotplug(Overflowed(fd)).drain()
        assert not is_readable(fd)


@pytest.mark.parametrize("problem", [OSError("no netlink"), ImportError("no libudev")])
def test_without_events_devices_are_found_all_the_same(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, problem: Exception
) -> None:
    def refuse(_: object) -> Hotplug:
        raise problem

    monkeypatch.setattr("client_gui.engine.RESCAN_EVERY", 0.1)
    monkeypatch.setattr(Hotplug, "start", classmethod(refuse))
    bench.engine = Engine(bench.files, runtime=bench.runtime, check=lambda _: None)
    bench.engine.subscribe(bench.take)
    bench.engine.start()
    bench.bus.plug()
    bench.wait_state(DeviceState.NOT_SHARED)


def test_the_kernel_itself_is_listened_to_and_only_for_usb(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    class Recorder:
        def filter_by(self, subsystem: str) -> None:
            asked.append(subsystem)

        def start(self) -> None:
            asked.append("start")

    def from_netlink(context: str, source: str) -> Recorder:
        asked.append((context, source))
        return Recorder()

    monkeypatch.setattr(pyudev, "Context", lambda: "context")
    monkeypatch.setattr(pyudev.Monitor, "from_netlink", from_netlink)
    Hotplug.start()
    assert asked == [("context", "kernel"), "usb", "start"]
