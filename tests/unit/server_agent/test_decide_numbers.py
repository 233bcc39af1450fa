"""One number and two devices: while it is open, or may still be, for the sake of the one, the other has to wait."""

from dataclasses import replace

from qvd_usbip.ack import AckState
from qvd_usbip.ids import HubId
from server_agent import events
from server_agent.state import Hold, Port, Right
from tests.unit.server_agent.steps import FIRST, ONE, THREE, TWO, attach, in_use, started
from tests.unit.server_agent.world import World
from tests.unit.server_agent.world_hubs import busid_of, usb_device
from tests.unit.server_agent.world_promises import note_exposed

SECOND = Port(hub=HubId(1), half="hs", rhport=1)
OTHERS = Port(hub=HubId(2), half="hs", rhport=0)


def plugged_with(world: World, port: Port, number: Right, name: object = ONE) -> None:
    """A device that gets the number which another one had before."""
    attach(world, name, "b")
    world.enumerate(port)
    world.plugged[port].number = number
    note_exposed(world)
    world.uevents[0] = events.UsbAdded(at=0, port=port, busid=busid_of(port), number=number, name="usb/x")
    while world.uevents or world.slow:
        world.deliver_uevent()
        world.deliver_slow()


def in_use_for_good() -> tuple[World, Right]:
    """Container ONE has a device, whose usbfs number will not be taken from it for now."""
    world = started(ONE, TWO)
    in_use(world)
    number = world.state.devices[FIRST].number
    assert number is not None
    world.revoke_fails = True
    return world, number


def taken_from_one(world: World, number: Right) -> None:
    world.maps[ONE].discard(number)
    world.submit(events.Revoked(at=0, container=ONE, right=number, count=world.count))


def test_nothing_is_authorised_while_its_number_is_being_revoked() -> None:
    world, number = in_use_for_good()
    world.vanish(FIRST)
    world.deliver_uevent()
    assert (ONE, number) in world.state.revoking
    plugged_with(world, SECOND, number)
    assert world.state.devices[SECOND].rights == {number: Hold.WANTED}
    assert not world.plugged[SECOND].authorised
    world.revoke_fails = False
    world.settle()
    assert world.plugged[SECOND].authorised
    assert number in world.maps[ONE]


def test_a_number_that_a_container_may_still_open_stays_blocked_though_its_hub_was_taken_back() -> None:
    world, number = in_use_for_good()
    world.ask(events.Release, container=ONE)  # by hand, while it runs
    world.deliver_all()
    assert ONE not in world.state.containers
    assert number in world.maps[ONE]
    plugged_with(world, OTHERS, number, TWO)
    assert OTHERS not in world.plugged
    assert world.state.progress["b"].problem == "number-exposed"
    world.revoke_fails = False
    world.settle()
    assert number not in world.maps[ONE]


def test_who_waits_for_a_number_gets_it_when_the_last_one_who_may_open_it_cannot_any_more() -> None:
    world, number = in_use_for_good()
    world.vanish(FIRST)
    world.deliver_uevent()
    plugged_with(world, SECOND, number)
    world.state = replace(world.state, revoking=world.state.revoking | {(THREE, number)})
    taken_from_one(world, number)
    assert world.state.devices[SECOND].rights == {number: Hold.WANTED}
    world.submit(events.Revoked(at=0, container=THREE, right=number, count=world.count))
    assert world.state.devices[SECOND].rights == {number: Hold.GRANTED}


def test_a_revoke_that_is_answered_twice_gives_nobody_the_number_twice() -> None:
    world, number = in_use_for_good()
    world.vanish(FIRST)
    world.deliver_uevent()
    plugged_with(world, SECOND, number)
    taken_from_one(world, number)
    granted = world.state.devices[SECOND]
    assert granted.rights == {number: Hold.GRANTED}
    world.written.clear()
    taken_from_one(world, number)
    assert world.state.devices[SECOND] == granted
    assert world.written == []


def test_of_two_who_wait_for_a_number_the_second_gets_it_when_the_first_has_gone() -> None:
    world, number = in_use_for_good()
    world.vanish(FIRST)
    world.deliver_uevent()
    plugged_with(world, SECOND, number)
    third = Port(hub=HubId(1), half="hs", rhport=2)
    attach(world, ONE, "c")
    world.submit(events.UsbAdded(at=0, port=third, busid=busid_of(third), number=number, name="usb/y"))
    world.submit(events.Inspected(at=0, port=third, number=number, device=usb_device(third), isochronous=False))
    assert [device.port for device in world.state.claimants(number)] == [SECOND, third]
    world.submit(events.UsbRemoved(at=0, port=SECOND, number=number))
    assert [device.port for device in world.state.claimants(number)] == [third]
    taken_from_one(world, number)
    assert world.state.devices[third].rights == {number: Hold.GRANTED}


def test_a_device_whose_number_turns_up_on_another_port_went_unheard_and_is_taken_away() -> None:
    world = started(ONE, TWO)
    in_use(world)
    number = world.state.devices[FIRST].number
    assert number is not None
    world.plugged.clear()
    world.uevents.clear()
    plugged_with(world, SECOND, number)
    assert FIRST not in world.state.devices
    assert world.maps == {ONE: {number}, TWO: set()}
    assert world.plugged[SECOND].authorised


def test_a_right_that_was_not_surely_given_is_taken_back_and_the_device_with_it() -> None:
    world = started()
    world.grants_fail = True
    in_use(world)
    assert (world.state.progress["a"].state, world.state.progress["a"].problem) == (AckState.FAILED, "rights-failed")
    assert world.maps == {ONE: set()}
    assert not world.attached


def test_a_childs_right_that_failed_is_taken_back_and_tried_again_by_the_next_look() -> None:
    world = started()
    in_use(world)
    world.grants_fail = True
    world.child(FIRST)
    world.deliver_uevent()
    assert world.maps == {ONE: {world.plugged[FIRST].number}}
    world.grants_fail = False
    world.look()
    assert world.maps == {ONE: {world.plugged[FIRST].number, *world.plugged[FIRST].children}}


def test_a_foreign_number_in_the_map_is_taken_out() -> None:
    world = started()
    in_use(world)
    stray = next(iter(world.maps[ONE]))
    world.maps[ONE].add(type(stray)(kind="b", number=stray.number))
    world.settle()
    assert world.maps[ONE] == {stray}
