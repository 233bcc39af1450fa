"""The agent looks itself for a device's nodes: it says ready once they are seen, and why not while they are not."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

import pytest

from qvd_usbip.ack import AckState
from qvd_usbip.errors import DEVICE_NOT_ATTACHED, QvdUsbError
from server_agent import actions, events, lookout
from server_agent.decide import decide
from server_agent.lookout import Lookout
from server_agent.state import Hold, HostNodes, State
from server_agent.usable import Question, Seen
from tests.unit.server_agent.test_usable import ACCESS, ID, NAME, NODES, SEEN, state_with


class Host:
    """An agent that decides in earnest, and what it would see."""

    def __init__(self, nodes: HostNodes | None = ACCESS, at: AckState = AckState.AUTHORISED) -> None:
        self.state = state_with(nodes, at=at)
        self.seen: Seen | OSError = replace(SEEN, right=())
        self.looks = 0
        self.began, self.may_see = threading.Event(), threading.Event()
        self.may_see.set()
        self.changed = asyncio.Event()
        self.lookout = Lookout(self, self.look)

    now = property(lambda _: asyncio.get_running_loop().time())

    def look(self, question: Question) -> Seen:
        self.looks += 1
        self.began.set()
        self.may_see.wait(10)
        assert question.container == NAME
        if isinstance(self.seen, OSError):
            raise self.seen
        return self.seen

    async def request(self, make: Callable[[int], events.Event]) -> actions.Answer:
        self.become(decide(self.state, make(1))[0])
        return actions.Answer(request=1)

    async def wait_until(self, holds: Callable[[State], bool], seconds: float) -> bool:
        async with asyncio.timeout(seconds):
            while not holds(self.state):
                await self.changed.wait()
        return True

    def become(self, state: State) -> None:
        self.state = state
        self.changed.set()
        self.changed = asyncio.Event()

    def told(self) -> tuple[AckState | None, str]:
        progress = self.state.progress[ID]
        return progress.state, progress.problem

    async def until(self, *expected: object) -> None:
        for _ in range(1000):
            if self.told() == expected:
                return
            await asyncio.sleep(0.01)
        raise AssertionError(f"{self.told()} and not {expected} within 10 s")


def scenario(
    monkeypatch: pytest.MonkeyPatch,
    work: Callable[[Host], Coroutine[Any, Any, None]],
    patience: float = 1000.0,
    **more: Any,
) -> None:
    monkeypatch.setattr(lookout, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(lookout, "LOOK_LATER_SECONDS", 0.01)
    monkeypatch.setattr(lookout, "UNSEEN_SECONDS", patience)

    async def run() -> None:
        host = Host(**more)
        host.lookout.follow(NAME, ID)
        try:
            await work(host)
        finally:
            host.lookout.stop()
            await asyncio.sleep(0)

    asyncio.run(run())


def test_it_is_ready_when_the_nodes_are_seen_and_not_before(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(host: Host) -> None:
        await asyncio.sleep(0.03)
        assert host.told() == (AckState.AUTHORISED, "")
        host.seen = SEEN
        await host.until(AckState.READY, "")
        assert host.state.progress[ID].node == f"/dev/{NODES[0]}"
        looks = host.looks
        await asyncio.sleep(0.05)
        assert host.looks == looks, "nothing is looked for any more"

    scenario(monkeypatch, work)


def test_what_is_not_seen_in_time_is_said_and_taken_back_when_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(host: Host) -> None:
        await host.until(AckState.AUTHORISED, "node-unseen")
        assert NODES[0] in host.lookout.reasons[NAME, ID]
        host.seen = SEEN
        await host.until(AckState.READY, "")
        await asyncio.sleep(0.02)
        assert host.lookout.reasons == {}

    scenario(monkeypatch, work, patience=0.0)


def test_a_look_that_fails_is_a_reason_too(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(host: Host) -> None:
        host.seen = PermissionError(1, "no way in")
        await host.until(AckState.AUTHORISED, "node-unseen")
        assert "no way in" in host.lookout.reasons[NAME, ID]

    scenario(monkeypatch, work, patience=0.0)


def test_into_a_container_that_makes_its_nodes_itself_nobody_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(host: Host) -> None:
        await host.until(AckState.AUTHORISED, "node-unseen")
        assert host.looks == 0

    scenario(monkeypatch, work, nodes=None)


def test_of_such_a_container_an_event_is_waited_for_and_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(host: Host) -> None:
        monkeypatch.setattr(lookout, "LOOK_LATER_SECONDS", 1000.0)
        await host.until(AckState.AUTHORISED, "node-unseen")
        ready = events.Ready(at=0.0, container=NAME, attach_id=ID, node="/dev/x", request=1)
        host.become(decide(host.state, ready)[0])
        await asyncio.sleep(0.05)
        assert host.lookout.reasons == {}, "it is followed no more"

    scenario(monkeypatch, work, nodes=None)


def test_a_receiver_in_the_container_that_says_ready_ends_the_looking(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(host: Host) -> None:
        ready = events.Ready(at=0.0, container=NAME, attach_id=ID, node="/dev/x", request=1)
        host.become(decide(host.state, ready)[0])
        await asyncio.sleep(0.05)
        looks = host.looks
        await asyncio.sleep(0.05)
        assert host.looks == looks
        assert host.state.progress[ID].node == "/dev/x"

    scenario(monkeypatch, work)


def test_before_drivers_have_it_nobody_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(host: Host) -> None:
        host.seen = SEEN
        await asyncio.sleep(0.03)
        assert host.looks == 0
        host.become(state_with())
        await host.until(AckState.READY, "")

    scenario(monkeypatch, work, at=AckState.GRANTED)


def test_what_was_seen_before_a_node_more_was_wanted_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(host: Host) -> None:
        host.may_see.clear()
        await asyncio.to_thread(host.began.wait, 10)
        host.become(state_with(tty=Hold.WANTED))
        host.seen = SEEN
        host.may_see.set()
        await asyncio.sleep(0.1)
        assert host.told() == (AckState.AUTHORISED, "")
        host.become(state_with())
        await host.until(AckState.READY, "")

    scenario(monkeypatch, work)


def test_a_device_that_went_is_not_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(host: Host) -> None:
        await asyncio.sleep(0.03)
        host.become(replace(host.state, devices={}))
        await asyncio.sleep(0.1)
        host.lookout.follow(NAME, ID)
        looks = host.looks
        await asyncio.sleep(0.05)
        assert host.looks == looks

    scenario(monkeypatch, work)


def test_an_agent_that_refuses_to_hear_it_once_is_told_what_is_seen_later(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(host: Host) -> None:
        refused = asyncio.Event()
        takes = host.request

        async def refuse(_: Callable[[int], events.Event]) -> actions.Answer:
            monkeypatch.setattr(host, "request", takes)
            refused.set()
            raise QvdUsbError(DEVICE_NOT_ATTACHED, container=NAME, busid="1-1")

        monkeypatch.setattr(host, "request", refuse)
        await asyncio.wait_for(refused.wait(), 10)
        host.seen = SEEN
        await host.until(AckState.READY, "")

    scenario(monkeypatch, work, patience=0.0)
