"""What comes late, or is about what is not there any more, changes nothing; what comes anew ends what was before."""

from dataclasses import replace

import pytest

from qvd_usbip.ack import AckState
from qvd_usbip.ids import DevNum, HubId, VmId
from server_agent import actions, events
from server_agent.decide import decide
from server_agent.state import Port, Right, Stage, State
from tests.unit.server_agent.steps import FIRST, ONE, in_use, started
from tests.unit.server_agent.world import World
from tests.unit.server_agent.world_hubs import busid_of

NOBODY = VmId("nobody")
FREE = Port(hub=HubId(1), half="hs", rhport=2)
FOREIGN = Port(hub=HubId(2), half="hs", rhport=0)
OTHER = Right(kind="c", number=DevNum(189, 9999))

ABOUT_NOTHING = (
    *(kind(at=99.0, port=FREE) for kind in (events.Attached, events.PortBusy, events.PortFree)),
    *(kind(at=99.0, port=FREE, detail="x") for kind in (events.AttachFailed, events.DetachFailed)),
    *(kind(at=99.0, port=FREE, number=OTHER) for kind in (events.Authorised, events.UsbRemoved)),
    *(kind(at=99.0, port=FREE, number=OTHER, detail="x") for kind in (events.InspectFailed, events.AuthoriseFailed)),
    events.UsbAdded(at=99.0, port=FOREIGN, busid=busid_of(FOREIGN), number=OTHER, name="bus/usb/005/002"),
    events.NodeAdded(at=99.0, port=FREE, right=OTHER, name="tty0"),
    events.NodeRemoved(at=99.0, port=FREE, right=OTHER),
    events.Granted(at=99.0, container=NOBODY, right=OTHER),
    events.GrantFailed(at=99.0, container=NOBODY, right=OTHER, detail="x"),
    *(kind(at=99.0, container=NOBODY) for kind in (events.InForce, events.BrokerOpened)),
    events.NotInForce(at=99.0, container=NOBODY, problem="rights-failed", detail="x", hub_at_fault=False),
    events.BrokerFailed(at=99.0, container=NOBODY, detail="x"),
    events.TornDown(at=99.0, container=NOBODY, reason=""),
    events.NodeMade(at=99.0, container=NOBODY, right=OTHER),
    events.NotTold(at=99.0, container=NOBODY, devpath="/devices/x", detail="x"),
)
ABOUT_WHAT_IS_OVER = (
    *(kind(at=99.0, port=FIRST) for kind in (events.Attached, events.PortBusy, events.PortFree)),
    *(kind(at=99.0, port=FIRST, detail="x") for kind in (events.AttachFailed, events.DetachFailed)),
    *(kind(at=99.0, port=FIRST, number=OTHER) for kind in (events.Authorised, events.UsbRemoved)),
    *(kind(at=99.0, port=FIRST, number=OTHER, detail="x") for kind in (events.InspectFailed, events.AuthoriseFailed)),
    events.NotInForce(at=99.0, container=ONE, problem="rights-failed", detail="x", hub_at_fault=True),
    events.BrokerFailed(at=99.0, container=ONE, detail="x"),
    events.TornDown(at=99.0, container=ONE, reason="x"),
)


@pytest.fixture(scope="module")
def used() -> State:
    """A container with a device in use."""
    world = started()
    in_use(world)
    assert world.state.devices[FIRST].stage == Stage.AUTHORISED
    return world.state


@pytest.mark.parametrize("event", ABOUT_NOTHING + ABOUT_WHAT_IS_OVER, ids=lambda event: type(event).__name__)
def test_it_changes_nothing(used: State, event: events.Event) -> None:
    after, todo = decide(used, event)
    assert after == used
    assert list(todo) == []


def begun() -> World:
    """A container for which the kernel is just being asked to attach a device."""
    world = started()
    world.state, _ = decide(
        world.state, events.Attach(at=5.0, container=ONE, attach_id="a", devid=0x10002, speed=3, request=77)
    )
    assert world.state.devices[FIRST].stage == Stage.ATTACHING
    return world


def test_a_socket_that_the_kernel_refuses_is_a_failed_attach() -> None:
    after, todo = decide(begun().state, events.AttachFailed(at=6.0, port=FIRST, detail="no"))
    assert FIRST not in after.devices
    assert after.progress["a"].state == AckState.FAILED
    (answer,) = [action for action in todo if isinstance(action, actions.Answer)]
    assert (answer.request, answer.problem, answer.context["reason"]) == (77, "attach-failed", "no")


def test_what_was_given_up_while_the_kernel_was_asked_is_detached_once_it_is_attached() -> None:
    given_up, _ = decide(begun().state, events.DetachAsked(at=6.0, container=ONE, attach_id="a", request=78))
    assert given_up.devices[FIRST].stage == Stage.ATTACHING
    after, todo = decide(given_up, events.Attached(at=7.0, port=FIRST))
    assert after.devices[FIRST].stage == Stage.DETACHING
    assert actions.DetachPort(port=FIRST) in todo


def test_what_was_given_up_does_not_try_another_port() -> None:
    given_up, _ = decide(begun().state, events.DetachAsked(at=6.0, container=ONE, attach_id="a", request=78))
    after, todo = decide(given_up, events.PortBusy(at=7.0, port=FIRST))
    assert not after.devices
    assert {action.problem for action in todo if isinstance(action, actions.Answer)} == {"attach-failed"}


def test_a_device_that_enumerates_anew_has_lost_its_connection(used: State) -> None:
    again = events.UsbAdded(at=99.0, port=FIRST, busid=busid_of(FIRST), number=OTHER, name="bus/usb/003/009")
    after, todo = decide(used, again)
    assert (after.devices[FIRST].stage, after.devices[FIRST].end) == (Stage.DETACHING, AckState.GONE)
    assert actions.DetachPort(port=FIRST) in todo
    assert not after.devices[FIRST].rights


def coming(number: Right) -> events.UsbAdded:
    return events.UsbAdded(at=99.0, port=FIRST, busid=busid_of(FIRST), number=number, name="bus/usb/003/009")


def test_a_device_that_is_announced_twice_is_looked_at_once(used: State) -> None:
    number = used.devices[FIRST].number
    assert number is not None
    assert decide(used, coming(number)) == (used, [])


def test_what_enumerates_on_a_port_that_is_being_emptied_is_let_go(used: State) -> None:
    ending, _ = decide(used, events.DetachAsked(at=98.0, container=ONE, attach_id="a", request=82))
    assert ending.devices[FIRST].stage == Stage.DETACHING
    assert decide(ending, coming(OTHER)) == (ending, [])


def test_what_enumerates_before_the_kernel_has_answered_the_attach_is_left_to_the_next_look() -> None:
    before = begun().state
    assert decide(before, coming(OTHER)) == (before, [])


def test_a_device_that_is_stuck_is_tried_again_when_it_is_asked_for(used: State) -> None:
    stuck = replace(used.devices[FIRST], stage=Stage.DETACHING, stuck=True)
    state = replace(used, devices={FIRST: stuck})
    after, todo = decide(state, events.DetachAsked(at=99.0, container=ONE, attach_id="a", request=79))
    assert not after.devices[FIRST].stuck
    assert actions.DetachPort(port=FIRST) in todo


def test_giving_back_what_is_gone_is_no_failure(used: State) -> None:
    _, todo = decide(used, events.DetachAsked(at=99.0, container=ONE, attach_id="b", request=80))
    assert [(each.request, each.problem) for each in todo if isinstance(each, actions.Answer)] == [(80, "")]


def test_a_detach_that_fails_is_said_and_remembered(used: State) -> None:
    world = replace(used, devices={FIRST: replace(used.devices[FIRST], stage=Stage.DETACHING, requests=(81,))})
    after, todo = decide(world, events.DetachFailed(at=99.0, port=FIRST, detail="busy"))
    assert after.devices[FIRST].stuck
    assert [each.request for each in todo if isinstance(each, actions.Answer)] == [81]
