"""Where the kernel had no room for its events: what it drops until all that waited was read is made up for too."""

import asyncio
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from server_agent.chronicle import Kind
from server_agent.daemon import Daemon
from server_agent.records import Records
from tests.kit.crowd.agent import with_agent
from tests.kit.crowd.host import Crowd

ROOM = 50


async def until(holds: Callable[[], bool]) -> None:
    for _ in range(1000):
        if holds():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("not within 5 s")


def test_what_is_lost_after_a_look_and_before_all_was_read_is_looked_at_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: Counter[Kind] = Counter()
    crowd = Crowd(folder=tmp_path, containers=1, devices=2)
    crowd.plug()
    crowd.write_ledger()
    crowd.give_all()
    crowd.events.room = ROOM
    crowd.records = Records(sinks=(lambda entry, _: told.update([entry.kind]),))

    def read_at_once(count: int) -> None:
        for name in ("READ_AT_ONCE", "CATCH_UP"):
            monkeypatch.setattr(f"server_agent.daemon.{name}", count)

    async def work(daemon: Daemon) -> None:
        await crowd.settled(daemon)
        for _ in range(ROOM):
            for action in ("remove", "add"):
                crowd.events.send(crowd.tty_event(action, 1, 0))
        read_at_once(1)
        await until(lambda: told[Kind.OVERFLOW] == 1)
        read_at_once(0)
        await until(lambda: daemon._hint is None and not daemon._tasks)  # it has looked
        lost = crowd.events.lost
        crowd.unplug_tty(1, 1)
        crowd.events.send(crowd.tty_event("remove", 1, 1))
        assert crowd.events.lost == lost + 1, "the agent cannot hear of it"
        assert crowd.events.waiting
        read_at_once(2 * ROOM)
        await crowd.settled(daemon)

    with_agent(crowd.wiring(), work)
    crowd.events.close()
    assert crowd.events.overflows == 1, "it is not told twice"
    assert crowd.rights.held(crowd.name(1)) == crowd.expected(1) - {crowd.tty(1, 1)}
