"""One number and two containers: what is open to one, or may still be, is nobody else's."""

from qvd_usbip.ack import AckState
from qvd_usbip.ids import HubId
from server_agent import events
from server_agent.state import Hold, Port, Right
from tests.unit.server_agent.steps import FIRST, ONE, TWO, attach, in_use, started
from tests.unit.server_agent.world import World
from tests.unit.server_agent.world_hubs import busid_of


def plugged_with(world: World, port: Port, number: Right) -> None:
    """A device of container TWO that gets the number which another container had before."""
    attach(world, TWO, "b")
    world.enumerate(port)
    world.plugged[port].number = number
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


def test_nothing_is_authorised_while_its_number_is_being_revoked() -> None:
    world, number = in_use_for_good()
    world.vanish(FIRST)
    world.deliver_uevent()
    assert (ONE, number) in world.state.revoking
    second = Port(hub=HubId(2), half="hs", rhport=0)
    plugged_with(world, second, number)
    assert world.state.devices[second].rights == {number: Hold.WANTED}
    assert not world.plugged[second].authorised
    world.revoke_fails = False
    world.settle()
    assert world.plugged[second].authorised
    assert number in world.maps[TWO]


def test_a_number_that_a_container_may_still_open_stays_blocked_though_its_hub_was_taken_back() -> None:
    world, number = in_use_for_good()
    world.ask(events.Release, container=ONE)  # by hand, while it runs
    world.deliver_all()
    assert ONE not in world.state.containers
    assert number in world.maps[ONE]
    second = Port(hub=HubId(2), half="hs", rhport=0)
    plugged_with(world, second, number)
    assert not world.plugged[second].authorised
    world.revoke_fails = False
    world.settle()
    assert number not in world.maps[ONE]
    assert world.plugged[second].authorised


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
