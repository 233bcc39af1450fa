"""One look at the kernel, held against what is known of hubs and containers."""

from dataclasses import replace
from typing import Any

import pytest

from qvd_usbip.ids import HubId, VmId
from qvd_usbip.port_range import ALL_PORTS, PortRange
from server_agent import actions
from server_agent.backend import Backend
from server_agent.events import Left
from server_agent.lending import Lease
from server_agent.state import (
    LOST_SECONDS,
    START_SECONDS,
    Container,
    HostNodes,
    Phase,
    State,
)
from tests.unit.server_agent.looks import (
    AT,
    BUSES,
    FIRST,
    HUB,
    NOW,
    ONE,
    TTY,
    TWO,
    USB,
    container,
    device,
    hub,
    in_use,
    known,
    look,
    seen,
)


# hubs -----------------------------------------------------------------------------------------------------------------
def test_nothing_is_done_about_what_is_right() -> None:
    before = known(container(), device())
    found = seen(**in_use(), rights={ONE: frozenset({USB})})
    done = look(before, found)
    assert done.actions == []
    assert done.state == replace(before, hubs={HUB: BUSES}, ports_per_half=8, looked=found.at)


def test_ports_in_quarantine_are_lent_again_once_they_were_seen_empty() -> None:
    held = {
        Lease(hub=HubId(2)): "its hub is not there",
        Lease(hub=HUB, ports=PortRange(0, 3)): "one of them is used",
        Lease(hub=HUB, ports=PortRange(4, 7)): "they are empty",
    }
    done = look(State(quarantine=held), seen(hubs=hub(FIRST)))
    assert list(done.state.quarantine.values()) == ["its hub is not there", "one of them is used"]
    assert done.actions == [actions.Remember()]
    assert look(done.state, seen(hubs=hub(FIRST))).actions == []


# containers -----------------------------------------------------------------------------------------------------------
def left(**changes: Any) -> Left:
    return replace(Left(hub=HUB, running=True, broker_gid=7), **changes)


def test_of_a_stranger_that_does_not_run_nothing_is_left_and_of_a_known_container_everything() -> None:
    dead = left(running=False)
    done = look(known(container()), seen(leftovers={TWO: dead, VmId("three"): dead, ONE: dead}))
    assert done.actions == [actions.ClearLeftover(container=VmId("three")), actions.ClearLeftover(container=TWO)]
    assert set(done.state.containers) == {ONE}


def test_a_stranger_that_runs_is_taken_over_as_it_was_found() -> None:
    nodes = HostNodes(root=100000, group=100044)
    stranger = left(backend=Backend.LXC, ports=PortRange(0, 3), nodes=nodes)
    done = look(State(), seen(leftovers={ONE: stranger}))
    assert done.state.containers == {
        ONE: Container(
            name=ONE, hub=HUB, phase=Phase.IN_FORCE, backend=Backend.LXC, ports=PortRange(0, 3), broker_gid=7,
            nodes=nodes,
        )
    }  # fmt: skip
    assert done.actions == [actions.Remember(), actions.OpenBroker(container=ONE, uid=100000, gid=7)]


@pytest.mark.parametrize(
    ("mine", "others"),
    [
        ({"ports": PortRange(0, 3)}, {"ports": PortRange(3, 7)}),
        ({"hub": HubId(2)}, {"hub": None}),
        ({"hub": None}, {"hub": None}),
    ],
)
def test_a_stranger_has_no_hub_where_another_could_have_it_or_it_is_not_there(
    mine: dict[str, Any], others: dict[str, Any]
) -> None:
    strangers = {ONE: left(**mine), TWO: left(**others)}
    done = look(State(), seen(leftovers=strangers, running=frozenset({ONE, TWO})))
    assert {(c.hub, c.ports) for c in done.state.containers.values()} == {(None, ALL_PORTS)}


def test_a_stranger_gets_nothing_that_a_known_container_has() -> None:
    done = look(known(container()), seen(leftovers={TWO: left()}, running=frozenset({ONE, TWO})))
    assert done.state.containers[TWO].hub is None
    assert done.state.containers[ONE].hub == HUB


def test_what_could_not_be_revoked_is_tried_again() -> None:
    done = look(known(revoking=frozenset({(TWO, USB), (ONE, USB), (ONE, TTY)})), seen())
    wanted = [(ONE, TTY), (ONE, USB), (TWO, USB)]
    assert done.actions == [actions.Revoke(container=name, right=right) for name, right in wanted]


def test_a_record_that_is_behind_is_written_again() -> None:
    assert look(State(unrecorded="No space left on device"), seen()).actions == [actions.Remember()]
    assert look(State(), seen()).actions == []


def test_what_changed_since_the_look_began_is_left_to_the_events() -> None:
    late = container(since=AT, broker_open=False)
    assert look(known(late), seen(rights={}, hubs=hub(gate_closed=False))).actions == []


@pytest.mark.parametrize(("waited", "ended"), [(START_SECONDS, False), (START_SECONDS + 1, True)])
def test_a_container_that_does_not_run_is_released_after_the_time_it_has_to_start(
    waited: float, *, ended: bool
) -> None:
    done = look(known(container(since=AT - waited)), seen(running=frozenset()))
    assert done.actions == (
        [actions.Remember(), actions.CloseBroker(container=ONE), actions.TearDown(container=ONE, hub=HUB)]
        if ended
        else []
    )


def test_a_container_that_runs_needs_no_time() -> None:
    assert look(known(container(since=0.0)), seen()).actions == []


def test_what_a_container_needs_is_put_in_force_again() -> None:
    ports = PortRange(0, 3)
    open_to_all = container(backend=Backend.V1, ports=ports, broker_open=False, broker_gid=7)
    for rights in ({}, {ONE: None}):
        done = look(known(open_to_all), seen(rights=rights, hubs=hub(gate_closed=False)))
        assert done.actions == [
            actions.PutInForce(container=ONE, hub=HUB, ports=ports, backend=Backend.V1, fresh=False),
            actions.OpenBroker(container=ONE, gid=7),
            actions.CloseGate(hub=HUB),
        ]


@pytest.mark.parametrize(("waited", "ended"), [(LOST_SECONDS, False), (LOST_SECONDS + 1, True)])
def test_a_start_whose_next_step_is_lost_is_refused(waited: float, *, ended: bool) -> None:
    ports = PortRange(0, 3)
    starting = container(phase=Phase.PREPARING, since=AT - waited, requests=(3, 4), ports=ports)
    done = look(known(starting), seen())
    reason = {"reason": "what a container needs was not made in time"}
    assert done.actions == (
        [
            actions.Answer(request=3, problem="internal", context=reason),
            actions.Answer(request=4, problem="internal", context=reason),
            actions.CloseBroker(container=ONE),
            actions.TearDown(container=ONE, hub=HUB, ports=ports),
        ]
        if ended
        else []
    )


def test_an_end_that_is_lost_is_asked_for_again_and_then_has_its_time() -> None:
    ending = container(phase=Phase.TEARING, since=AT - LOST_SECONDS - 1, requests=(3,), ports=PortRange(0, 3))
    done = look(known(ending), seen())
    assert done.actions == [actions.TearDown(container=ONE, hub=HUB, ports=PortRange(0, 3))]
    assert done.state.containers == {ONE: replace(ending, since=NOW)}
