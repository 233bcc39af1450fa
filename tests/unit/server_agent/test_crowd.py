"""64 containers with 8 devices each, on a simulated host: a restart, a storm, and a storm of which half is lost.

Simulated, since no kernel has so many hubs: the agent's loop, observer and executor are the real ones, on plain files.
"""

import random
import time
from collections import Counter
from collections.abc import Iterator

import pytest

from server_agent.chronicle import Kind
from server_agent.daemon import Daemon
from server_agent.records import Records
from tests.kit.crowd.agent import restart, with_agent
from tests.kit.crowd.host import Crowd

CONTAINERS, DEVICES = 64, 8
RESTART_SECONDS = 2.0


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crowd]:
    """All of it, with every device plugged in."""
    crowd = Crowd(folder=tmp_path_factory.mktemp("crowd"), containers=CONTAINERS, devices=DEVICES)
    crowd.plug()
    yield crowd
    crowd.events.close()


@pytest.fixture
def crowd(host: Crowd) -> Crowd:
    """The host with a record of who has which hub; no right is given, no agent runs."""
    host.forget()
    host.write_ledger()
    return host


@pytest.mark.deep
def test_a_restart_knows_everything_again_within_two_seconds_and_writes_nothing(crowd: Crowd) -> None:
    crowd.give_all()
    done = restart(crowd)
    assert done.processor <= RESTART_SECONDS
    assert crowd.rights.written == 0


@pytest.mark.deep
def test_a_restart_makes_wrong_rights_exact_within_two_seconds(crowd: Crowd) -> None:
    crowd.give_all()
    crowd.spoil(random.Random(1))
    assert not crowd.exact()
    done = restart(crowd)
    assert done.processor <= RESTART_SECONDS
    assert crowd.exact()
    assert done.again == 0, "a second look writes nothing"


@pytest.mark.deep
def test_a_thousand_events_a_second_for_a_minute_are_all_followed(crowd: Crowd) -> None:
    crowd.give_all()
    dice = random.Random(2)
    places = [(number, port) for number in range(1, CONTAINERS + 1) for port in range(DEVICES)]

    async def work(daemon: Daemon) -> None:
        await crowd.settled(daemon)
        begun = time.process_time()
        for _ in range(60):
            for number, port in dice.sample(places, 500):
                for action in ("remove", "add"):
                    crowd.events.send(crowd.tty_event(action, number, port))
            await crowd.settled(daemon)
        assert time.process_time() - begun <= 60.0, "simulating the events included"
        assert crowd.rights.written >= 60_000

    with_agent(crowd.wiring(), work)
    assert crowd.events.lost == 0
    assert crowd.exact()


@pytest.mark.deep
def test_a_burst_that_overflows_is_noticed_and_made_up_for(crowd: Crowd) -> None:
    crowd.give_all()
    crowd.events.room = 20_000
    told: Counter[Kind] = Counter()
    crowd.records = Records(sinks=(lambda entry, _: told.update([entry.kind]),))
    gone = [(number, number % DEVICES) for number in range(1, CONTAINERS + 1, 2)]

    async def work(daemon: Daemon) -> None:
        await crowd.settled(daemon)
        for count in range(25_000):
            number, port = 1 + count % CONTAINERS, count % DEVICES
            for action in ("remove", "add"):
                crowd.events.send(crowd.tty_event(action, number, port))
        for number, port in gone:
            crowd.unplug_tty(number, port)
            crowd.events.send(crowd.tty_event("remove", number, port))
        assert crowd.events.lost >= 30_000
        await crowd.settled(daemon)

    try:
        with_agent(crowd.wiring(), work)
        assert crowd.events.overflows == 1
        for number in range(1, CONTAINERS + 1):
            missing = {crowd.tty(*place) for place in gone if place[0] == number}
            assert crowd.rights.held(crowd.name(number)) == crowd.expected(number) - missing
        assert told[Kind.OVERFLOW] == 1
    finally:
        for number, port in gone:
            crowd.plug_tty(number, port)
