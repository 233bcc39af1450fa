"""What containers are told: in order for each, in batches, nobody held up by another; what fails is said."""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pytest

from qvd_usbip.ids import VmId
from server_agent.actions import Announce
from server_agent.announcer import BATCH, WAITING, Announcer
from server_agent.state import Thing

ONE, TWO = VmId("one"), VmId("two")


@dataclass
class FakeSpeaker:
    """Says nothing; `one` waits until it may."""

    said: dict[VmId, list[list[str]]] = field(default_factory=dict)
    may: threading.Event = field(default_factory=threading.Event)
    fault: Exception | None = None

    def say(self, name: VmId, batch: list[Announce]) -> None:
        if name == ONE:
            self.may.wait(5)
        if self.fault is not None:
            raise self.fault
        self.said.setdefault(name, []).append([action.thing.devpath for action in batch])


def action(name: VmId, path: str) -> Announce:
    return Announce(container=name, event="add", thing=Thing(devpath=path, properties=()))


@dataclass
class Bench:
    """An announcer in a loop of its own."""

    speaker: FakeSpeaker
    pool: ThreadPoolExecutor
    failed: list[tuple[str, str]] = field(default_factory=list)

    def run(self, work: Callable[[Announcer], Coroutine[Any, Any, None]]) -> None:
        async def inside() -> None:
            announcer = Announcer(
                self.speaker, self.pool, lambda action, why: self.failed.append((action.thing.devpath, why))
            )
            await work(announcer)
            announcer.stop()

        asyncio.run(inside())


@pytest.fixture
def bench() -> Iterator[Bench]:
    with ThreadPoolExecutor(4) as pool:
        yield Bench(speaker=FakeSpeaker(), pool=pool)


async def until(holds: Callable[[], bool]) -> None:
    for _ in range(500):
        if holds():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("not within 5 s")


def test_one_that_hangs_holds_up_itself_and_what_gathers_goes_in_batches(bench: Bench) -> None:
    async def work(announcer: Announcer) -> None:
        for number in range(BATCH + 3):
            announcer.put(action(ONE, f"/{number}"))
        announcer.put(action(TWO, "/x"))
        await until(lambda: TWO in bench.speaker.said)
        assert ONE not in bench.speaker.said
        announcer.put(action(ONE, "/last"))
        bench.speaker.may.set()
        await until(lambda: sum(map(len, bench.speaker.said.get(ONE, []))) == BATCH + 4)

    bench.run(work)
    paths = [path for batch in bench.speaker.said[ONE] for path in batch]
    assert paths == [*(f"/{number}" for number in range(BATCH + 3)), "/last"]
    assert max(map(len, bench.speaker.said[ONE])) <= BATCH
    assert len(bench.speaker.said[ONE]) <= 3
    assert bench.failed == []


def test_what_is_not_heard_is_said_and_the_line_goes_on(bench: Bench) -> None:
    async def work(announcer: Announcer) -> None:
        bench.speaker.fault = OSError(110, "it hangs")
        announcer.put(action(TWO, "/a"))
        await until(lambda: bool(bench.failed))
        bench.speaker.fault = None
        announcer.put(action(TWO, "/b"))
        await until(lambda: TWO in bench.speaker.said)

    bench.run(work)
    assert bench.failed == [("/a", "it hangs")]
    assert bench.speaker.said[TWO] == [["/b"]]


def test_after_a_failure_nobody_thought_of_the_container_is_told_again(bench: Bench) -> None:
    async def work(announcer: Announcer) -> None:
        bench.speaker.fault = ValueError("odd")
        announcer.put(action(TWO, "/a"))
        await until(lambda: not announcer._lines)
        bench.speaker.fault = None
        announcer.put(action(TWO, "/b"))
        await until(lambda: TWO in bench.speaker.said)

    bench.run(work)
    assert bench.speaker.said[TWO] == [["/b"]]


def test_a_line_has_an_end(bench: Bench) -> None:
    async def work(announcer: Announcer) -> None:
        for number in range(WAITING + BATCH + 10):
            announcer.put(action(ONE, f"/{number}"))
        await until(lambda: len(bench.failed) >= 10)
        bench.speaker.may.set()

    bench.run(work)
    assert all(why == "too much is waiting to be said" for _, why in bench.failed)
