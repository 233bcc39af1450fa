"""The agent looks around by itself each minute, though nothing tells it to: what no event told is right by then."""

import asyncio
import time

import pytest

from server_agent.daemon import HINT_SECONDS, LOOK_SECONDS
from tests.unit.server_agent.conftest import Bench, FakeKernel, Run

WORDS = "the kernel could not be looked at"


class Clock:
    """The loop's time, which stands still but for what a test lets pass."""

    def __init__(self) -> None:
        self._now = asyncio.get_running_loop().time()
        asyncio.get_running_loop().time = lambda: self._now  # type: ignore[method-assign]

    async def passes(self, bench: Bench, seconds: float) -> None:
        """So much time passes, and what is due then is done."""
        self._now += seconds
        await self.rests(bench)
        self._now += HINT_SECONDS  # looks are asked for, and those of a moment are one
        await self.rests(bench)

    async def rests(self, bench: Bench) -> None:
        """Until what is due now was begun, and what was begun is done."""
        end = time.monotonic() + 10
        for _ in range(5):
            await asyncio.sleep(0)
            while bench.daemon._tasks:
                await asyncio.sleep(0)
                assert time.monotonic() < end


def test_a_look_comes_each_minute_without_any_event_and_not_more_often(run: Run) -> None:
    async def work(bench: Bench) -> None:
        clock, began = Clock(), bench.kernel.looks
        for minute in range(5):
            await clock.passes(bench, 59.0 - HINT_SECONDS)
            assert bench.kernel.looks == began + minute
            await clock.passes(bench, 1.0)
            assert bench.kernel.looks == began + minute + 1
            assert not bench.kernel.performed

    assert LOOK_SECONDS == 60.0
    run(work)


def test_a_look_that_cannot_be_taken_leaves_the_next_minutes_as_it_was(
    run: Run, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def unreadable(*_: object) -> None:
        raise OSError(5, "Input/output error")

    async def work(bench: Bench) -> None:
        clock, began = Clock(), bench.kernel.looks
        with monkeypatch.context() as kernel:
            kernel.setattr(FakeKernel, "look", unreadable)
            for _ in range(2):
                await clock.passes(bench, LOOK_SECONDS)
        assert len([record for record in caplog.records if WORDS in record.message]) == 2
        await clock.passes(bench, LOOK_SECONDS)
        assert bench.kernel.looks == began + 1

    with caplog.at_level("WARNING"):
        run(work)
