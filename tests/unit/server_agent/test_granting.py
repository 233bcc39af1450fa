"""A right that was taken counts as gone only when no open that it let in can be under way any more."""

import asyncio
import contextlib
import logging
import threading
from collections.abc import Awaitable, Callable
from typing import cast

import pytest

from qvd_usbip.ids import DevNum, VmId
from server_agent import actions, events, granting
from server_agent.executor import Executor
from server_agent.granting import Granting
from server_agent.state import Right

ONE, TWO = VmId("one"), VmId("two")
NUMBERS = [Right(kind="c", number=DevNum(166, minor)) for minor in range(5)]


class Kernel:
    """What was asked of it, in order; `stays` is how often a process of the container is still inside."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.stays = 0
        self.error: OSError | None = None
        self.counted = 70
        self.takes_long_for: set[VmId] = set()
        self.out = threading.Event()
        self.surprises: dict[str, int] = {}

    def note(self, call: str) -> None:
        self.asked.append(call)
        if self.surprises.get(call, 0):
            self.surprises[call] -= 1
            raise RuntimeError(call)

    def takes_long(self, action: actions.Grant | actions.Revoke) -> bool:
        return action.container in self.takes_long_for

    def perform(self, action: actions.Grant | actions.Revoke) -> events.Event | None:
        self.note(f"{type(action).__name__.lower()} {action.right.number.minor}")
        if isinstance(action, actions.Grant):
            return events.Granted(at=0, container=action.container, right=action.right)
        return None

    def no_open_under_way(self, name: VmId) -> bool:
        self.note(f"out {name}")
        self.counted += 1
        self.out.set()
        if self.error is not None:
            raise self.error
        self.stays -= 1
        return self.stays < 0

    def events_counted(self) -> int:
        return self.counted


class Bench:
    """Granting, what came of it, and the tasks that it began."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.came: list[events.Event | None] = []
        self.tasks: list[asyncio.Future[None]] = []
        self.granting = Granting(cast("Executor", kernel), self.keep, self.came.append)

    def keep(self, work: Awaitable[None]) -> None:
        self.tasks.append(asyncio.ensure_future(work))

    def revoke(self, *numbers: Right, name: VmId = ONE) -> None:
        for number in numbers:
            self.granting.perform(actions.Revoke(container=name, right=number))

    async def rest(self) -> None:
        while any(not task.done() for task in self.tasks):
            await asyncio.gather(*self.tasks)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(granting, "PAUSES", (0.001,) * 3)


def run(scenario: Callable[[Bench], Awaitable[None]], kernel: Kernel) -> Bench:
    async def main() -> Bench:
        bench = Bench(kernel)
        await scenario(bench)
        await bench.rest()
        bench.granting.shutdown()
        return bench

    return asyncio.run(main())


def test_it_is_closed_at_once_and_gone_when_everybody_was_out_and_the_count_is_of_then() -> None:
    kernel = Kernel()
    kernel.stays = 2

    async def scenario(bench: Bench) -> None:
        bench.revoke(NUMBERS[0])
        assert kernel.asked == ["revoke 0"]
        assert bench.came == []

    (gone,) = run(scenario, kernel).came
    assert kernel.asked == ["revoke 0", "out one", "out one", "out one"]
    assert isinstance(gone, events.Revoked)
    assert (gone.container, gone.right, gone.count) == (ONE, NUMBERS[0], 73)


def test_numbers_that_are_lost_together_are_waited_for_together_each_container_by_itself() -> None:
    kernel = Kernel()

    async def scenario(bench: Bench) -> None:
        bench.revoke(*NUMBERS)
        bench.revoke(NUMBERS[0], name=TWO)

    came = run(scenario, kernel).came
    assert sorted(kernel.asked[6:]) == ["out one", "out two"]
    assert [each.right for each in came if isinstance(each, events.Revoked) and each.container == ONE] == NUMBERS


def test_what_is_closed_while_others_come_out_waits_for_the_next_time() -> None:
    kernel = Kernel()

    async def scenario(bench: Bench) -> None:
        bench.revoke(NUMBERS[0])
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert kernel.out.wait(10)
        bench.revoke(NUMBERS[1])

    came = run(scenario, kernel).came
    assert kernel.asked == ["revoke 0", "out one", "revoke 1", "out one"]
    assert [each.count for each in came if isinstance(each, events.Revoked)] == [71, 72]


def test_a_process_that_never_comes_out_is_not_waited_for_for_ever_and_said(caplog: pytest.LogCaptureFixture) -> None:
    kernel = Kernel()
    kernel.stays = 1000

    async def scenario(bench: Bench) -> None:
        bench.revoke(NUMBERS[0])

    with caplog.at_level(logging.WARNING):
        (gone,) = run(scenario, kernel).came
    assert isinstance(gone, events.Revoked)
    assert kernel.asked.count("out one") == 1 + len(granting.PAUSES)
    assert "a process stays in the kernel" in caplog.text


def test_a_container_that_cannot_be_frozen_keeps_its_numbers_blocked() -> None:
    kernel = Kernel()
    kernel.error = OSError("no cgroup to freeze it by")

    async def scenario(bench: Bench) -> None:
        bench.revoke(NUMBERS[0])

    (failed,) = run(scenario, kernel).came
    assert isinstance(failed, events.RevokeFailed)
    assert "no cgroup" in failed.detail


def test_asked_for_again_meanwhile_it_is_done_once_and_later_once_more() -> None:
    kernel = Kernel()

    async def scenario(bench: Bench) -> None:
        bench.revoke(NUMBERS[0], NUMBERS[0])
        await bench.rest()
        bench.revoke(NUMBERS[0])

    assert len(run(scenario, kernel).came) == 2
    assert kernel.asked.count("revoke 0") == 2


@pytest.mark.parametrize("long", [False, True])
def test_a_failure_that_nobody_thought_of_leaves_it_to_be_asked_for_again(long: bool) -> None:
    kernel = Kernel()
    kernel.takes_long_for = {ONE} if long else set()
    kernel.surprises = {"revoke 0": 1, "out one": 1}

    async def scenario(bench: Bench) -> None:
        for _ in range(2):
            with contextlib.suppress(RuntimeError):
                bench.revoke(NUMBERS[0])
            while any(not task.done() for task in bench.tasks):
                await asyncio.gather(*bench.tasks, return_exceptions=True)
            bench.tasks.clear()
        bench.revoke(NUMBERS[0])

    (gone,) = run(scenario, kernel).came
    assert isinstance(gone, events.Revoked)


def test_a_back_end_that_takes_long_keeps_the_order_and_waits_as_well() -> None:
    kernel = Kernel()
    kernel.takes_long_for = {ONE}

    async def scenario(bench: Bench) -> None:
        bench.revoke(NUMBERS[0])
        bench.granting.perform(actions.Grant(container=ONE, right=NUMBERS[1]))
        assert kernel.asked == []

    came = run(scenario, kernel).came
    assert [word for word in kernel.asked if word != "out one"] == ["revoke 0", "grant 1"]
    assert {type(each) for each in came} == {events.Revoked, events.Granted}


def test_after_a_start_no_device_is_let_through_before_each_container_was_out_of_the_kernel_once() -> None:
    kernel = Kernel()
    kernel.stays = 1

    async def scenario(bench: Bench) -> None:
        await bench.granting.sure()
        bench.granting.begin((ONE, TWO))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(bench.granting.sure(), 0)
        await bench.granting.sure()
        assert sorted(kernel.asked) == ["out one", "out one", "out two"]

    assert run(scenario, kernel).came == []


def test_nor_while_one_of_them_cannot_be_frozen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(granting, "AGAIN_SECONDS", 0.001)
    kernel = Kernel()
    kernel.error = OSError("no cgroup to freeze it by")

    async def scenario(bench: Bench) -> None:
        bench.granting.begin((ONE,))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(bench.granting.sure(), 0.05)
        assert len(kernel.asked) > 1
        kernel.error = None
        await bench.granting.sure()

    run(scenario, kernel)
