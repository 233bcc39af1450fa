"""One look at the kernel, held against what is known of devices and numbers; the rest is left to the events."""

from dataclasses import replace
from typing import Any

import pytest

from qvd_usbip.ack import AckState
from qvd_usbip.port_range import PortRange
from server_agent import actions
from server_agent.state import (
    APPEAR_SECONDS,
    LOST_SECONDS,
    SETTLE_SECONDS,
    Device,
    Hold,
    Phase,
    Port,
    Progress,
    Stage,
)
from tests.unit.server_agent.looks import (
    AT,
    BUSID,
    DETACH,
    DISK,
    FIRST,
    HUB,
    NAME,
    NOW,
    ONE,
    OTHER,
    SECOND,
    TTY,
    TWO,
    USB,
    attached,
    container,
    device,
    found,
    hub,
    in_use,
    known,
    look,
    seen,
)


# devices --------------------------------------------------------------------------------------------------------------
def detaching(**changes: Any) -> Device:
    return device(**{"stage": Stage.DETACHING, "rights": {}, "names": {}, "end": AckState.GONE, **changes})


OVERDUE = {"changed": AT - LOST_SECONDS - 1}


def test_while_it_is_released_a_container_loses_the_devices_whose_ports_are_free() -> None:
    ending = container(phase=Phase.RELEASING)
    freed = look(known(ending, detaching()), seen())
    assert freed.actions == [actions.RememberSoon(), actions.TearDown(container=ONE, hub=HUB)]
    assert not freed.state.devices
    assert look(known(ending, detaching()), seen(hubs={})).state.devices == {}, "its hub went with the module"
    assert look(known(ending, detaching()), seen(hubs=hub(FIRST))).actions == []
    assert look(known(ending, detaching(changed=AT)), seen()).actions == [], "it is not known yet whether it is free"
    assert look(known(ending, detaching(**OVERDUE)), seen(hubs=hub(FIRST))).actions == DETACH
    late = look(known(ending, device()), seen(hubs=hub(FIRST)))
    assert late.actions == [actions.Revoke(container=ONE, right=USB), *DETACH]
    assert look(known(ending, device(changed=AT)), seen(hubs=hub(FIRST))).actions == late.actions


def test_what_is_left_to_a_container_that_is_released_is_taken_unless_its_life_began_after_the_look() -> None:
    at_it = seen(rights={ONE: frozenset({USB})})
    taken = actions.Revoke(container=ONE, right=USB)
    assert taken in look(known(container(phase=Phase.RELEASING)), at_it).actions
    assert taken not in look(known(container(phase=Phase.RELEASING, since=AT)), at_it).actions


def test_with_its_hub_everything_on_it_is_gone() -> None:
    gone = [actions.Revoke(container=ONE, right=USB), *DETACH]
    assert look(known(container(), device()), seen(hubs={})).actions == gone
    assert look(known(container(), device(changed=AT)), seen(hubs={})).actions == []
    assert look(known(container(), detaching()), seen(hubs={})).state.devices == {}
    assert look(known(container(hub=None), device()), seen()).actions == gone


def test_a_port_that_is_used_and_not_known_has_the_usual_time_to_become_a_device() -> None:
    theirs = Port(hub=HUB, half="ss", rhport=1)
    part = container(ports=PortRange(0, 0))
    done = look(known(part), seen(hubs=hub(FIRST, SECOND, theirs)))
    waits = Device(port=FIRST, container=ONE, stage=Stage.ATTACHED, deadline=NOW + APPEAR_SECONDS, changed=NOW)
    assert done.state.devices == {FIRST: waits}
    assert done.actions == []


def test_a_device_that_changed_since_the_look_began_is_left_to_the_events() -> None:
    other = device(port=SECOND, number=OTHER, rights={})
    done = look(known(container(), device(changed=AT), other), seen())
    assert [d.stage for d in done.state.devices.values()] == [Stage.AUTHORISED, Stage.DETACHING]


def test_what_enumerates_on_a_port_that_is_being_emptied_is_not_adopted() -> None:
    at_it = seen(**in_use(), rights={ONE: frozenset({USB})})
    assert look(known(container(), detaching(number=None)), at_it).state.devices[FIRST].stage == Stage.DETACHING


@pytest.mark.parametrize("authorised", [False, True])
def test_a_device_whose_coming_was_missed_is_judged_with_all_that_is_below_it(*, authorised: bool) -> None:
    at_it = seen(hubs=hub(FIRST), devices=found(authorised=authorised, children={TTY: "ttyACM0"}), rights={ONE: None})
    done = look(known(container(), attached()), at_it)
    assert [action for action in done.actions if not isinstance(action, actions.PutInForce)] == [
        actions.Inspect(port=FIRST, busid=BUSID, number=USB)
    ]
    assert done.state.devices[FIRST] == attached(
        stage=Stage.INSPECTING, busid=BUSID, number=USB, names={USB: NAME, TTY: "ttyACM0"},
        deadline=NOW + SETTLE_SECONDS, changed=NOW,
    )  # fmt: skip


def test_what_has_its_right_and_is_not_authorised_is_judged_and_so_is_what_is_authorised_without_a_right() -> None:
    for authorised, rights in ((False, {USB}), (True, set())):
        at_it = seen(**in_use(authorised=authorised), rights={ONE: frozenset(rights)})
        assert look(known(container()), at_it).state.devices[FIRST].stage == Stage.INSPECTING


@pytest.mark.parametrize("before", [[], [attached(deadline=NOW)]])
def test_a_device_that_was_let_through_before_keeps_its_rights(before: list[Device]) -> None:
    children = {DISK: "sda", TTY: "ttyACM0"}
    at_it = seen(**in_use(children=children), rights={ONE: frozenset({USB, DISK})})
    done = look(known(container(), *before, disk_request_kib=512), at_it)
    assert done.actions == [
        actions.RaiseLimits(port=FIRST, right=DISK, request_kib=512),
        actions.Grant(container=ONE, right=TTY),
    ]
    assert done.state.devices[FIRST] == device(
        attach_id="a" if before else "", names={USB: NAME, **children}, changed=NOW,
        rights={USB: Hold.GRANTED, DISK: Hold.GRANTED, TTY: Hold.GRANTING},
    )  # fmt: skip


@pytest.mark.parametrize(("node", "state"), [("", AckState.AUTHORISED), ("/dev/x", AckState.READY)])
def test_the_attach_of_such_a_device_is_ready_if_the_image_had_said_so(node: str, state: AckState) -> None:
    progress = {"a": Progress(container=ONE, started=AT, node=node)}
    at_it = seen(**in_use(), rights={ONE: frozenset({USB})})
    done = look(known(container(), attached(), progress=progress), at_it)
    assert done.state.progress["a"].state == state


def test_another_device_on_the_port_ends_the_one_that_was_there() -> None:
    done = look(known(container(), device()), seen(**in_use(number=OTHER), rights={ONE: frozenset({USB})}))
    assert done.actions == [actions.Revoke(container=ONE, right=USB), *DETACH]


@pytest.mark.parametrize(
    ("before", "todo"),
    [
        (detaching(), []),
        (detaching(stuck=True), DETACH),
        (detaching(changed=AT - LOST_SECONDS), []),
        (detaching(**OVERDUE), DETACH),
        (device(stage=Stage.INSPECTING, rights={}, **OVERDUE), []),
    ],
)
def test_a_detach_is_tried_again_when_it_failed_or_its_result_is_overdue(
    before: Device, todo: list[actions.Action]
) -> None:
    there = look(known(container(), before), seen(**in_use()))
    assert there.actions == todo
    assert there.state.devices[FIRST].stuck is False
    if before.stage == Stage.DETACHING:
        assert look(known(container(), before), seen(hubs=hub(FIRST))).actions == todo


def test_a_right_follows_what_is_below_the_device_and_what_is_in_the_map() -> None:
    rights = {USB: Hold.GRANTED, TTY: Hold.GRANTED}
    lost = look(known(container(), device(rights=rights)), seen(**in_use(), rights={ONE: frozenset({USB, TTY})}))
    assert lost.actions == [actions.Revoke(container=ONE, right=TTY)]
    at_it = seen(**in_use(children={TTY: "ttyACM0"}), rights={ONE: frozenset()})
    again = look(known(container(), device(rights=rights)), at_it)
    assert again.actions == [actions.Grant(container=ONE, right=right) for right in (USB, TTY)]
    assert again.state.devices[FIRST].rights == {USB: Hold.GRANTING, TTY: Hold.GRANTING}
    unknown = look(known(container(), device(rights=rights)), replace(at_it, rights={}))
    assert [type(action) for action in unknown.actions] == [actions.PutInForce], "which then gives them all"


@pytest.mark.parametrize(
    ("hold", "changed", "asked"),
    [
        (Hold.GRANTING, AT - LOST_SECONDS, False),
        (Hold.GRANTING, AT - LOST_SECONDS - 1, True),
        (Hold.WANTED, AT - 1, True),
    ],
)
def test_a_right_that_is_waited_for_in_vain_is_asked_for_again(hold: Hold, changed: float, *, asked: bool) -> None:
    before = device(rights={USB: Hold.GRANTED, TTY: hold}, changed=changed)
    at_it = seen(**in_use(children={TTY: "ttyACM0"}), rights={ONE: frozenset({USB})})
    assert look(known(container(), before), at_it).actions == ([actions.Grant(container=ONE, right=TTY)] * asked)


def test_a_number_that_may_still_be_somebody_elses_is_waited_for() -> None:
    before = device(rights={USB: Hold.GRANTED, TTY: Hold.WANTED})
    at_it = seen(**in_use(children={TTY: "ttyACM0"}), rights={ONE: frozenset({USB})})
    done = look(known(container(), before, revoking=frozenset({(TWO, TTY)})), at_it)
    assert done.actions == [actions.Revoke(container=TWO, right=TTY)]
    assert done.state.devices == {FIRST: before}


@pytest.mark.parametrize(
    ("reached", "state"), [([AckState.ATTACHED], AckState.FAILED), ([AckState.AUTHORISED], AckState.GONE)]
)
def test_a_port_that_became_free_unnoticed_ends_its_attach(reached: list[AckState], state: AckState) -> None:
    progress = {"a": Progress(container=ONE, started=AT, state=reached[0], at=dict.fromkeys(reached, 1))}
    before = known(container(), attached(), progress=progress)
    done = look(before, seen())
    assert done.actions == DETACH
    assert (done.state.progress["a"].state, done.state.progress["a"].problem) == (state, "peer-gone")
    assert look(before, seen(hubs=hub(FIRST))).actions == [], "it has the usual time to enumerate"


def test_a_device_that_is_detached_is_forgotten_once_its_port_is_free() -> None:
    done = look(known(container(), detaching(requests=(3,))), seen())
    assert done.state.devices == {}
    assert done.actions == [actions.Answer(request=3), actions.RememberSoon()]


def test_an_attach_that_the_kernel_has_not_answered_is_left_alone() -> None:
    asked = device(stage=Stage.ATTACHING, number=None, rights={}, **OVERDUE)
    assert look(known(container(), asked), seen()).actions == []


# numbers --------------------------------------------------------------------------------------------------------------
def test_numbers_in_the_map_that_no_device_accounts_for_are_taken_out_once() -> None:
    at_it = seen(**in_use(), rights={ONE: frozenset({USB, TTY, DISK, OTHER})})
    done = look(known(container(), device(), revoking=frozenset({(ONE, OTHER), (TWO, DISK)})), at_it)
    taken = [(ONE, OTHER), (TWO, DISK), (ONE, DISK), (ONE, TTY)]
    assert done.actions == [actions.Revoke(container=name, right=right) for name, right in taken]
    assert done.state.revoking == frozenset(taken)


@pytest.mark.parametrize(("changed", "taken"), [(AT, False), (NOW - 0.5, False), (NOW, True)])
def test_while_a_device_has_changed_since_the_look_its_numbers_are_not_taken(changed: float, *, taken: bool) -> None:
    at_it = seen(**in_use(), rights={ONE: frozenset({USB, TTY})})
    done = look(known(container(), device(changed=changed)), at_it)
    assert done.actions == [actions.Revoke(container=ONE, right=TTY)] * taken
