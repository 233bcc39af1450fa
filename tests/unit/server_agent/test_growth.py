"""A hundred thousand devices come and go: the agent holds no more memory afterwards. The kernel is simulated."""

import asyncio
import gc
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import psutil
import pytest

from qvd_usbip.ids import BusId, DevNum
from server_agent import actions, events
from server_agent.state import Right
from tests.unit.server_agent.conftest import NUMBER, ONE, PORT, Bench, Run

CYCLES, WARM = 100_000, 5_000
MOST = 5 << 20
BUSID = BusId.parse("3-1")


def at_once(bench: Bench) -> None:
    """Nothing is done beside the loop, nothing is written to a disk, nothing done is kept by the fake."""
    daemon: Any = bench.daemon
    bench.kernel.performed = cast("list[actions.Action]", deque(maxlen=8))

    def perform(_: ThreadPoolExecutor, action: actions.Action) -> None:
        daemon._done(bench.kernel.perform(action))

    daemon._beside = perform
    daemon._remember = lambda: events.Remembered(at=daemon.now)
    daemon._scribe.write_soon = lambda _: None


def cycle(bench: Bench, number: int) -> None:
    daemon, now = bench.daemon, bench.daemon.now
    tty = Right(kind="c", number=DevNum(166, number % 64))
    daemon.submit(events.Attach(at=now, container=ONE, attach_id=f"attach {number}", devid=65538, speed=3, request=-1))
    daemon.submit(events.UsbAdded(at=now, port=PORT, busid=BUSID, number=NUMBER, name="bus/usb/003/002"))
    daemon.submit(events.NodeAdded(at=now, port=PORT, right=tty, name="ttyACM0"))
    daemon.submit(events.NodeRemoved(at=now, port=PORT, right=tty))
    daemon.submit(events.UsbRemoved(at=now, port=PORT, number=NUMBER))
    assert not daemon.state.devices


async def cycles(bench: Bench, numbers: range) -> None:
    for number in numbers:
        cycle(bench, number)
        if number % 50 == 0:
            await asyncio.sleep(0)  # the loop has work of its own, as the removal of timers that were cancelled


@pytest.mark.deep
def test_a_hundred_thousand_lives_leave_no_more_memory_in_use(run: Run, tmp_path: Path) -> None:
    async def work(bench: Bench) -> None:
        bench.kernel.may_authorise.set()
        await bench.ask(op="reserve", container="one", broker_gid=0)
        at_once(bench)
        process = psutil.Process()
        await cycles(bench, range(WARM))
        gc.collect()
        before = process.memory_info().rss
        await cycles(bench, range(WARM, WARM + CYCLES))
        gc.collect()
        assert process.memory_info().rss - before <= MOST
        assert len(bench.daemon._wiring.records.recent) == 256

    run(work)
