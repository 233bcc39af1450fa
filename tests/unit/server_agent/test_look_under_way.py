"""What went while a look was under way may have been seen by it: it does not come back."""

from qvd_usbip.ids import HubId
from server_agent import actions, events
from server_agent.state import Port, Stage
from tests.unit.server_agent.steps import FIRST, ONE, TWO, attach, in_use, started
from tests.unit.server_agent.world import World

OTHERS = Port(hub=HubId(2), half="hs", rhport=0)


def looks_and_loses_the_device() -> World:
    """A device that was in use when the look began, and is gone when it ends."""
    world = started(ONE, TWO)
    in_use(world)
    world.child(FIRST)
    world.deliver_all()
    world.begin_look()
    world.vanish(FIRST)
    world.deliver_all()
    assert not world.state.devices
    return world


def test_a_device_is_not_found_again_nor_has_its_container_a_right_to_its_numbers() -> None:
    world = looks_and_loses_the_device()
    world.written.clear()
    world.end_look()
    assert not world.state.devices
    assert not [action for action in world.written if isinstance(action, actions.Grant)]
    assert world.maps[ONE] == set()


def test_who_gets_its_numbers_next_keeps_them() -> None:
    world = looks_and_loses_the_device()
    world.end_look()
    in_use(world, TWO, "b", OTHERS)
    world.child(OTHERS)
    world.deliver_all()
    assert world.state.devices[OTHERS].stage == Stage.AUTHORISED
    assert world.plugged[OTHERS].numbers == world.maps[TWO]


def test_a_socket_that_was_given_back_is_not_waited_for() -> None:
    world = started()
    attach(world)
    world.begin_look()
    world.ask(events.DetachAsked, container=ONE, attach_id="a")
    world.deliver_all()
    assert not world.state.devices
    world.end_look()
    assert not world.state.devices


def test_a_container_that_ended_has_no_hub_again() -> None:
    world = started()
    world.begin_look()
    world.running.discard(ONE)
    world.ask(events.Release, container=ONE)
    world.deliver_all()
    world.end_look()
    assert ONE not in world.state.containers
    assert ONE not in world.maps


def test_a_right_that_went_is_not_taken_again_from_who_has_it_no_more() -> None:
    """It would seem to have been open to both, and the device would be taken from who has the number now."""
    world = started(ONE, TWO)
    in_use(world)
    in_use(world, TWO, "b", OTHERS)
    world.child(FIRST)
    world.deliver_all()
    world.slow_rights.add(ONE)
    world.lose_child(FIRST)
    world.deliver_uevent()
    world.begin_look()
    world.deliver_slow()
    assert not world.state.revoking
    world.end_look()
    assert not world.state.revoking
    world.child(OTHERS)
    world.deliver_all()
    assert world.state.devices[OTHERS].stage == Stage.AUTHORISED


def test_what_went_is_remembered_for_one_look() -> None:
    world = looks_and_loses_the_device()
    world.ask(events.Release, container=TWO)
    world.deliver_all()
    assert set(world.state.forgotten) == {FIRST, TWO}
    world.end_look()
    assert set(world.state.forgotten) == {FIRST, TWO}, "until a look begins that cannot see them"
    world.look()
    assert not world.state.forgotten


def test_a_look_that_begins_later_finds_what_is_there() -> None:
    """Somebody attached by hand what the agent was never told of, to the port that has just become free."""
    world = looks_and_loses_the_device()
    world.attached.add(FIRST)
    world.enumerate(FIRST)
    world.uevents.clear()
    world.end_look()
    world.look()
    world.deliver_all()
    assert world.state.devices[FIRST].stage == Stage.AUTHORISED


def test_what_a_dead_agent_left_to_a_container_that_ends_goes_before_anybody_else_gets_the_number() -> None:
    """It was killed after it had written down that the container ends, and before it took a right away."""
    world = started(ONE, TWO)
    in_use(world)
    left = world.plugged[FIRST].number
    world.revoke_fails = True
    world.ask(events.Release, container=ONE)
    world.restart()
    assert (ONE, left) in world.state.revoking
    world.revoke_fails = False
    world.look()
    assert not world.state.revoking
    assert not world.maps[ONE]
