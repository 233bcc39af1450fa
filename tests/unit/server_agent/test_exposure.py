"""A number that drivers gave to a device while it was open to another container: the device goes, and comes again."""

import pytest

from qvd_usbip.ack import AckState
from qvd_usbip.ids import HubId
from server_agent import events
from server_agent.state import Hold, Port, Right, Stage
from tests.unit.server_agent.steps import FIRST, ONE, THREE, TWO, in_use, started
from tests.unit.server_agent.world import World
from tests.unit.server_agent.world_hubs import busid_of

SECOND = Port(hub=HubId(2), half="hs", rhport=0)
THIRD = Port(hub=HubId(3), half="hs", rhport=0)


def one_has_a_terminal(*more: object) -> tuple[World, Right]:
    """Container ONE has a device with a terminal, container TWO one without."""
    world = started(ONE, TWO, *more)
    in_use(world)
    world.child(FIRST)
    hear(world)
    in_use(world, TWO, "b", SECOND)
    (number,) = world.plugged[FIRST].children
    assert number in world.maps[ONE]
    return world, number


def hear(world: World) -> None:
    """Every event of the kernel reaches the agent."""
    while world.uevents:
        world.deliver_uevent()


def is_given_up(world: World) -> bool:
    """Whether the second device is being taken away, with the reason told."""
    device = world.state.devices[SECOND]
    progress = world.state.progress["b"]
    told = (progress.state, progress.problem) == (AckState.FAILED, "number-exposed")
    return told and device.stage == Stage.DETACHING and not world.maps[TWO]


def has_it(world: World, number: Right) -> bool:
    """Whether the second device is in use, with this number."""
    return world.state.devices[SECOND].stage == Stage.AUTHORISED and number in world.maps[TWO]


# --- it was open to another one -------------------------------------------------------------------------------------


def test_a_number_that_was_lost_unheard_when_another_device_got_it() -> None:
    world, number = one_has_a_terminal()
    own = world.plugged[FIRST].number
    world.plugged[SECOND].expose(ONE, number)
    world.submit(events.NodeAdded(at=0, port=SECOND, right=number, name="tty0", since=9))
    assert world.state.devices[FIRST].rights == {own: Hold.GRANTED}, "the first one loses that number alone"
    assert world.maps[ONE] == {own}
    assert is_given_up(world)


def test_another_devices_own_number() -> None:
    world, _ = one_has_a_terminal()
    number = world.plugged[FIRST].number
    world.plugged[SECOND].expose(ONE, number)
    world.submit(events.NodeAdded(at=0, port=SECOND, right=number, name="tty0", since=9))
    assert world.state.devices[FIRST].stage == Stage.DETACHING
    assert is_given_up(world)


def test_a_number_whose_right_went_after_another_device_had_it() -> None:
    world, number = one_has_a_terminal()
    world.vanish(FIRST)
    world.child(SECOND)  # the kernel gives the same number before the agent hears of anything
    assert world.plugged[SECOND].children == {number}
    hear(world)
    assert is_given_up(world)


def test_a_number_whose_right_cannot_be_taken() -> None:
    world, number = one_has_a_terminal()
    world.revoke_fails = True
    world.vanish(FIRST)
    world.child(SECOND)
    hear(world)
    assert (ONE, number) in world.state.revoking
    assert world.state.progress["b"].problem == "number-exposed"


def test_a_number_that_a_dead_agent_left_open_to_another_container() -> None:
    world, number = one_has_a_terminal()
    world.vanish(FIRST)
    world.child(SECOND)
    world.restart()
    assert number not in world.maps[TWO]
    assert world.state.devices[SECOND].stage == Stage.DETACHING


def test_a_number_that_a_look_found_and_no_event_told_of() -> None:
    world, number = one_has_a_terminal()
    world.vanish(FIRST)
    hear(world)
    world.child(SECOND)
    world.uevents.clear()
    world.look()
    assert number not in world.maps[TWO]
    assert world.state.progress["b"].problem == "number-exposed", "nobody knows when it came"


def test_a_disk_that_could_be_opened_before_its_event_came() -> None:
    world, number = one_has_a_terminal()
    before = world.count
    world.vanish(FIRST)
    hear(world)
    world.plugged[SECOND].expose(ONE, number)
    world.submit(events.NodeAdded(at=0, port=SECOND, right=number, name="sda", since=before))
    assert is_given_up(world)


# --- it was not -----------------------------------------------------------------------------------------------------


def test_a_number_that_came_after_the_right_had_gone_is_its_own() -> None:
    world, number = one_has_a_terminal()
    world.vanish(FIRST)
    hear(world)
    world.child(SECOND)
    assert world.plugged[SECOND].children == {number}
    hear(world)
    assert has_it(world, number)


def test_a_number_that_was_given_back_before_the_kernel_had_it_again_is_its_own() -> None:
    world, number = one_has_a_terminal()
    busid = world.state.devices[FIRST].busid
    world.ask(events.RevokeAsked, container=ONE, busid=busid)  # the right goes first, then the device
    world.deliver_all()
    world.child(SECOND)
    hear(world)
    assert has_it(world, number)


def test_a_loss_counts_once_and_not_for_whoever_comes_later() -> None:
    world, number = one_has_a_terminal(THREE)
    in_use(world, THREE, "c", THIRD)
    world.vanish(FIRST)
    world.child(SECOND)
    hear(world)
    assert is_given_up(world)
    world.deliver_all()
    world.child(THIRD)
    hear(world)
    assert number in world.maps[THREE]


def test_a_right_that_is_taken_twice_is_gone_with_the_first_time() -> None:
    world, number = one_has_a_terminal()
    world.slow_rights.add(ONE)
    world.vanish(FIRST)
    hear(world)
    world.look()  # which finds it owed, and asks again
    world.deliver_all()
    world.child(SECOND)
    hear(world)
    assert has_it(world, number)


def test_what_was_taken_is_forgotten_after_two_looks() -> None:
    world, _ = one_has_a_terminal()
    world.vanish(FIRST)
    hear(world)
    assert world.state.taken
    world.look()
    world.look()
    assert world.state.taken == {}


def test_a_number_of_the_same_container_is_no_secret_to_it() -> None:
    world = started(ONE)
    second = Port(hub=HubId(1), half="hs", rhport=1)
    in_use(world)
    world.child(FIRST)
    hear(world)
    in_use(world, ONE, "b", second)
    (number,) = world.plugged[FIRST].children
    world.vanish(FIRST)
    world.child(second)
    hear(world)
    assert world.state.devices[second].rights[number] == Hold.GRANTED


# --- the node of the device itself ----------------------------------------------------------------------------------


@pytest.mark.parametrize("fails", [False, True])
def test_a_device_that_enumerates_with_a_number_of_another_container_is_never_authorised(*, fails: bool) -> None:
    world = started(ONE, TWO)
    in_use(world)
    number = world.plugged[FIRST].number
    world.revoke_fails = fails
    world.ask(events.Attach, container=TWO, attach_id="b", devid=0x10002, speed=3)
    world.vanish(FIRST)
    world.submit(events.UsbAdded(at=0, port=SECOND, busid=busid_of(SECOND), number=number, name="usb/x", since=1))
    assert world.state.progress["b"].problem == "number-exposed"
    assert world.state.devices[SECOND].stage == Stage.DETACHING
