"""More containers than hubs, a record that cannot be written, results that never come."""

import pytest

from qvd_usbip.ack import AckState
from qvd_usbip.ids import HubId
from server_agent import events
from server_agent.lending import Lease, Lending
from server_agent.state import LOST_SECONDS, Port
from tests.unit.server_agent.steps import (
    FIRST,
    FIVE,
    FOUR,
    ONE,
    SIX,
    THREE,
    TWO,
    WHOLE,
    attach,
    in_use,
    kinds,
    reserve,
    started,
)
from tests.unit.server_agent.world import World
from tests.unit.server_agent.world_hubs import busid_of

SHARED = Lending(shared=1, ports=1)


def shared(*names: object) -> World:
    """Hubs 1 and 2 are taken; these have a port each of hub 3."""
    world = started(FIVE, SIX)
    for name in names:
        reserve(world, name, lending=SHARED)
    return world


def test_beyond_the_hubs_containers_get_ports_of_the_shared_one_and_then_nothing() -> None:
    world = shared(ONE, TWO, THREE)
    assert [str(world.state.containers[name].lease) for name in (FIVE, ONE, TWO, THREE)] == [
        "vhci_hcd.1", "vhci_hcd.3 ports 1-1", "vhci_hcd.3 ports 2-2", "vhci_hcd.3 ports 3-3",
    ]  # fmt: skip
    request = reserve(world, FOUR, lending=SHARED)
    assert world.answers[request].context == {"hub": "", "without_usb": "no-free-hub"}


def test_on_a_shared_hub_a_device_goes_to_its_own_port_and_to_nobody_else() -> None:
    world = shared(ONE, TWO)
    mine, theirs = (Port(hub=HubId(3), half="hs", rhport=number) for number in (0, 1))
    in_use(world, TWO, "b", theirs)
    in_use(world, ONE, "a", mine)
    assert world.state.owner(mine) is world.state.containers[ONE]
    assert world.maps[ONE] == {world.plugged[mine].number}
    assert world.maps[TWO] == {world.plugged[theirs].number}
    assert world.answers[attach(world, ONE, "more")].problem == "no-free-port"
    assert world.answers[attach(world, ONE, "fast", speed=5)].problem == ""


def test_a_device_on_a_port_of_a_shared_hub_that_nobody_has_is_left_waiting() -> None:
    world = shared(ONE)
    port = Port(hub=HubId(3), half="hs", rhport=2)
    world.attached.add(port)
    world.enumerate(port)
    world.settle()
    assert not world.plugged[port].authorised
    assert world.maps[ONE] == set()
    request = reserve(world, TWO, lending=SHARED)
    assert world.answers[request].context == {"hub": "vhci_hcd.3 ports 2-2"}
    request = reserve(world, THREE, lending=SHARED)
    assert world.answers[request].context == {"hub": "", "without_usb": "no-free-hub"}, "its port is not proven empty"
    assert [str(lease) for lease in world.state.quarantine] == ["vhci_hcd.3 ports 3-3"]


def test_one_tenant_goes_and_the_others_stay_as_they_are() -> None:
    world = shared(ONE, TWO)
    mine, theirs = (Port(hub=HubId(3), half="hs", rhport=number) for number in (0, 1))
    in_use(world, ONE, "a", mine)
    in_use(world, TWO, "b", theirs)
    world.stubborn.add(mine)
    world.ask(events.Release, container=ONE)
    world.running.discard(ONE)
    world.settle()
    assert world.maps[TWO] == {world.plugged[theirs].number}
    assert [str(lease) for lease in world.state.quarantine] == ["vhci_hcd.3 ports 1-1"]
    assert world.answers[reserve(world, THREE, lending=SHARED)].context == {"hub": "vhci_hcd.3 ports 3-3"}
    world.stubborn.clear()
    world.vanish(mine)
    world.look()
    assert world.answers[reserve(world, FOUR, lending=SHARED)].context == {"hub": "vhci_hcd.3 ports 1-1"}


def test_ports_are_known_again_without_the_ledger_unless_two_could_have_them() -> None:
    world = shared(ONE, TWO, THREE)
    before = {name: c.lease for name, c in world.state.containers.items()}
    in_use(world, TWO, "b", Port(hub=HubId(3), half="hs", rhport=1))
    world.ledger = ""
    world.restart()
    assert {name: c.lease for name, c in world.state.containers.items()} == before
    assert len(world.maps[TWO]) == 1
    world.mounts[ONE] = Lease(hub=HubId(3))  # the file with its ports is lost
    world.ledger = ""
    world.restart()
    world.settle()
    assert {name for name, c in world.state.containers.items() if c.lease is None} == {ONE, TWO, THREE}
    assert world.maps[TWO] == set(), "whose it is is not guessed"


def test_a_lease_that_cannot_be_written_down_is_not_given() -> None:
    world = World()
    world.disk_full = True
    request = reserve(world, ONE)
    assert world.answers[request].problem == "config-unwritable"
    assert world.answers[request].context == {"path": "ledger.json", "reason": "No space left on device"}
    assert not world.written, "nothing was made"
    assert not world.state.containers
    assert world.state.unrecorded
    world.disk_full = False
    world.look()
    assert not world.state.unrecorded
    assert world.answers[reserve(world, ONE)].context == {"hub": "vhci_hcd.1"}


def test_a_disk_that_fills_on_the_way_refuses_the_start_and_undoes_it() -> None:
    world = World()
    words = {"container": ONE, "broker_gid": 0, "enabled": True, "running": False, "lending": WHOLE}
    request = world.ask(events.Reserve, **words)
    world.disk_full = True
    while world.slow:
        world.deliver_slow()
    assert world.answers[request].problem == "config-unwritable"
    assert kinds(world)[-2:] == ["OpenBroker", "TearDown"]
    assert (world.maps, world.brokers, dict(world.state.containers)) == ({}, set(), {})


def test_without_a_record_what_runs_goes_on() -> None:
    world = started()
    world.disk_full = True
    in_use(world)
    assert world.state.progress["a"].state == AckState.AUTHORISED
    request = world.ask(events.Release, container=ONE)
    world.running.clear()
    while world.slow:
        world.deliver_slow()
    assert world.answers[request].problem == ""
    assert not world.maps


def test_a_result_that_never_comes_is_not_waited_for_for_ever() -> None:
    world = World()
    words = {"container": ONE, "broker_gid": 0, "enabled": True, "running": False, "lending": WHOLE}
    request = world.ask(events.Reserve, **words)
    world.results_lost = True
    world.deliver_slow()
    world.results_lost = False
    world.settle()
    assert world.answers[request].problem == "internal"
    assert not world.state.containers
    assert world.answers[reserve(world, ONE)].context == {"hub": "vhci_hcd.1"}


def test_a_port_that_became_free_unnoticed_ends_the_release() -> None:
    world = started()
    in_use(world)
    request = world.ask(events.Release, container=ONE)
    world.running.clear()
    world.results_lost = True
    world.deliver_slow()
    world.results_lost = False
    world.uevents.clear()
    world.look()
    assert [type(action).__name__ for action in world.slow] == ["RememberSoon", "TearDown"]
    world.settle()
    assert world.answers[request].problem == ""


@pytest.mark.parametrize("gone", [False, True])
@pytest.mark.parametrize("released", [False, True])
def test_a_detach_that_never_happened_is_asked_for_again(*, gone: bool, released: bool) -> None:
    world = started()
    in_use(world)
    if released:
        world.ask(events.Release, container=ONE)
    else:
        world.ask(events.RevokeAsked, container=ONE, busid=busid_of(FIRST))
    world.slow.clear()  # what was to be done is lost
    if gone:  # the device, but not what holds the port
        world.plugged.clear()
    world.look()
    assert not world.slow, "it may still be on its way"
    world.now += LOST_SECONDS + 1
    world.look()
    assert [type(action).__name__ for action in world.slow] == ["DetachPort"]
    world.settle()
    assert not world.attached


def test_a_grant_that_never_happened_is_asked_for_again() -> None:
    world = started()
    in_use(world)
    world.slow_rights.add(ONE)
    world.child(FIRST)
    world.deliver_uevent()
    assert [type(action).__name__ for action in world.slow] == ["Grant"]
    world.slow.clear()
    world.slow_rights.clear()
    world.look()
    assert len(world.maps[ONE]) == 1, "it may still be on its way"
    world.now += LOST_SECONDS + 1
    world.look()
    assert len(world.maps[ONE]) == 2
