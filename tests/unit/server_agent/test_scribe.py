"""What is written of the ledger, and when: nothing waits for it, and the newest state is what stands in the end."""

import asyncio
import threading
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from qvd_usbip.errors import CONFIG_UNWRITABLE, QvdUsbError
from server_agent.ledger import Ledger
from server_agent.scribe import Scribe
from server_agent.state import State

FULL = QvdUsbError(CONFIG_UNWRITABLE, path="ledger.json", reason="the disk is full")


def state(number: int) -> State:
    return State(ports_per_half=number)


@dataclass(slots=True)
class Disk:
    """A ledger on a disk that takes its time where it is told to; `file` is what stands there."""

    saved: list[int] = field(default_factory=list)
    busy: threading.Event = field(default_factory=threading.Event)
    turns: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))  # writes beside the loop
    full: bool = False

    def save(self, found: State) -> None:
        beside = threading.current_thread() is not threading.main_thread()
        if beside:
            self.busy.set()
            assert self.turns.acquire(timeout=5)
        if self.full:
            raise FULL
        self.saved.append(found.ports_per_half)

    async def is_busy(self) -> None:
        assert await asyncio.to_thread(self.busy.wait, 5)
        self.busy.clear()


@pytest.fixture
def disk() -> Disk:
    return Disk()


def scribe_of(disk: Disk, failures: list[QvdUsbError] | None = None) -> Scribe:
    return Scribe(cast("Ledger", disk), ([] if failures is None else failures).append)


def go(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, 10))


def test_wishes_that_come_while_the_disk_is_busy_are_one_write_of_the_newest_state(disk: Disk) -> None:
    async def work() -> None:
        scribe = scribe_of(disk)
        scribe.write_soon(state(1))
        await disk.is_busy()
        for number in range(2, 9):
            scribe.write_soon(state(number))
        disk.turns.release(8)
        await scribe.settled()
        scribe.close()

    go(work())
    assert disk.saved == [1, 8]


def test_an_older_state_is_never_written_over_a_newer_one(disk: Disk) -> None:
    async def work() -> None:
        scribe = scribe_of(disk)
        blocker = scribe._pool.submit(disk.turns.acquire, timeout=5)  # the thread has not come to the older state yet
        scribe.write_soon(state(1))
        await asyncio.sleep(0)
        scribe.write(state(2))
        disk.turns.release(2)
        await scribe.settled()
        await asyncio.to_thread(blocker.result, 5)
        scribe.close()

    go(work())
    assert disk.saved == [2]


def test_who_waits_does_not_wait_for_wishes_that_came_later(disk: Disk) -> None:
    async def work() -> None:
        scribe = scribe_of(disk)
        scribe.write_soon(state(1))
        await disk.is_busy()
        waiting = asyncio.ensure_future(scribe.settled())
        await asyncio.sleep(0)
        scribe.write_soon(state(2))
        disk.turns.release()
        await waiting
        assert disk.saved == [1]
        disk.turns.release()
        await scribe.settled()
        scribe.close()

    go(work())
    assert disk.saved == [1, 2]


def test_a_disk_that_is_full_is_told_of_and_holds_up_nobody(disk: Disk) -> None:
    failures: list[QvdUsbError] = []

    async def work() -> None:
        scribe = scribe_of(disk, failures)
        disk.full = True
        disk.turns.release(2)
        scribe.write_soon(state(1))
        await scribe.settled()
        assert failures == [FULL]
        with pytest.raises(QvdUsbError):
            scribe.write(state(2))
        disk.full = False
        scribe.write_soon(state(3))
        await scribe.settled()
        scribe.close()

    go(work())
    assert disk.saved == [3]
    assert failures == [FULL]
