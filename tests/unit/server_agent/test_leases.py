"""A container's life, event by event: what follows from each at each of its phases, and nothing else."""

from dataclasses import replace
from typing import Any

import pytest

from qvd_usbip.ids import HubId
from qvd_usbip.port_range import ALL_PORTS, PortRange
from server_agent import actions, events
from server_agent.backend import Backend
from server_agent.decide import decide
from server_agent.lending import Lease, Lending
from server_agent.state import Container, Hold, HostNodes, HubBuses, Phase, Stage, State
from tests.unit.server_agent.looks import BUSES, HUB, NOW, ONE, TTY, TWO, USB, container, device, known

NODES = HostNodes(root=100000, group=100044)
WHOLE, SHARED = Lending(shared=0), Lending(shared=1, ports=4)
PORTS = PortRange(0, 3)
HUBS = {HUB: BUSES, HubId(2): HubBuses(hs=5, ss=6)}
FORGOTTEN = {ONE: NOW}  # a look that is under way may have seen it


def reserve(**changes: Any) -> events.Reserve:
    usual = events.Reserve(
        at=NOW, container=ONE, broker_gid=7, enabled=True, running=False, request=3, backend=Backend.LXC,
        lending=WHOLE, nodes=NODES,
    )  # fmt: skip
    return replace(usual, **changes)


def starting(phase: Phase = Phase.PREPARING, **changes: Any) -> Container:
    return container(**{"phase": phase, "broker_open": False, "requests": (3, 4), **changes})


def answers(problem: str = "", *, to: tuple[int, ...] = (3, 4), **context: str) -> list[actions.Answer]:
    return [actions.Answer(request=request, problem=problem, context=context) for request in to]


def torn(**ports: Any) -> list[actions.Action]:
    return [actions.CloseBroker(container=ONE), actions.TearDown(container=ONE, hub=HUB, **ports)]


# reserved -------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("before", "asked", "problem", "context"),
    [
        ([], {"running": True}, "container-busy", {"reason": "running"}),
        ([starting(Phase.RECORDING)], {}, "container-busy", {"reason": "starting"}),
        ([starting(Phase.PREPARING)], {}, "container-busy", {"reason": "starting"}),
    ],
)
def test_a_start_is_refused(
    before: list[Container], asked: dict[str, Any], problem: str, context: dict[str, str]
) -> None:
    state, todo = decide(known(*before), reserve(**asked))
    assert todo == answers(problem, to=(3,), container="one", **context)
    assert state == known(*before)


@pytest.mark.parametrize(
    ("hubs", "lending", "hub", "ports"),
    [(HUBS, WHOLE, HUB, ALL_PORTS), ({HUB: BUSES}, SHARED, HUB, PORTS), ({}, WHOLE, None, ALL_PORTS)],
)
def test_what_is_lent_is_written_down_before_anything_is_made(
    hubs: dict[HubId, HubBuses], lending: Lending, hub: HubId | None, ports: PortRange
) -> None:
    state, todo = decide(State(hubs=hubs, ports_per_half=8), reserve(lending=lending))
    assert todo == [actions.Remember()]
    assert state.containers[ONE] == Container(
        name=ONE, hub=hub, ports=ports, phase=Phase.RECORDING, backend=Backend.LXC, lending=lending, broker_gid=7,
        nodes=NODES, since=NOW, requests=(3,),
    )  # fmt: skip


def test_switched_off_nothing_is_lent_and_all_else_is_made() -> None:
    state, todo = decide(State(hubs=HUBS, ports_per_half=8), reserve(enabled=False))
    assert todo == [actions.Remember()]
    assert (state.containers[ONE].hub, state.containers[ONE].switched_off) == (None, True)
    _, todo = decide(state, events.Remembered(at=NOW))
    assert todo == [actions.PutInForce(container=ONE, hub=None, ports=ALL_PORTS, backend=Backend.LXC, nodes=NODES)]


def test_a_start_while_the_last_life_is_being_ended_waits_for_its_end_with_terms_of_its_own() -> None:
    before = container(phase=Phase.TEARING, again=(2,))
    state, todo = decide(known(before), reserve())
    assert todo == []
    terms = replace(before, backend=Backend.LXC, lending=WHOLE, broker_gid=7, nodes=NODES)
    assert state.containers[ONE] == replace(terms, again=(2, 3))


# written down ---------------------------------------------------------------------------------------------------------
def test_what_is_written_down_is_made_and_whose_record_is_complete_may_start() -> None:
    part = starting(Phase.RECORDING, ports=PORTS, backend=Backend.V1, nodes=NODES)
    complete = container(name=TWO, requests=(5, 6), ports=PORTS)
    state, todo = decide(known(part, complete, unrecorded="full"), events.Remembered(at=NOW))
    assert todo == [
        actions.PutInForce(container=ONE, hub=HUB, ports=PORTS, backend=Backend.V1, nodes=NODES),
        *answers(to=(5, 6), hub="vhci_hcd.1 ports 1-4"),
    ]
    assert state == known(replace(part, phase=Phase.PREPARING), replace(complete, requests=()))


@pytest.mark.parametrize(("off", "why"), [(False, "no-free-hub"), (True, "hubs-disabled")])
def test_who_starts_without_usb_is_told_why_and_who_waits_for_nothing_is_told_nothing(*, off: bool, why: str) -> None:
    for phase in (Phase.IN_FORCE, Phase.PREPARING, Phase.RELEASING):
        before = known(container(phase=phase, hub=None, switched_off=off, requests=(3,)), container(name=TWO))
        _, todo = decide(before, events.Remembered(at=NOW))
        assert todo == (answers(to=(3,), hub="", without_usb=why) if phase == Phase.IN_FORCE else [])


def test_what_could_not_be_written_down_is_not_lent_and_all_else_goes_on() -> None:
    goes_on, other = container(name=TWO), starting(name=TWO)
    context: dict[str, Any] = {"path": "ledger.json", "reason": "full"}
    event = events.NotRemembered(at=NOW, path="ledger.json", detail="full")
    for untouched in (goes_on, other):
        state, todo = decide(known(untouched, starting(Phase.RECORDING)), event)
        assert todo == answers("config-unwritable", **context)
        assert state == known(untouched, unrecorded="full", forgotten=FORGOTTEN)
    state, todo = decide(known(goes_on, container(requests=(3, 4))), event)
    assert todo == [*answers("config-unwritable", **context), *torn()]
    ending = container(phase=Phase.TEARING, broker_open=False, since=NOW)
    assert state == known(goes_on, ending, unrecorded="full")


# made -----------------------------------------------------------------------------------------------------------------
def test_what_is_in_force_is_listened_to_and_after_a_repair_has_the_rights_of_before() -> None:
    event = events.InForce(at=NOW, container=ONE)
    assert decide(known(), event) == (known(), [])
    for nodes, uid in ((None, 0), (NODES, NODES.root)):
        _, todo = decide(known(starting(nodes=nodes, broker_gid=7)), event)
        assert todo == [actions.OpenBroker(container=ONE, uid=uid, gid=7)]
    rights = {USB: Hold.GRANTED, TTY: Hold.GRANTING}
    _, todo = decide(known(container(), device(rights=rights)), event)
    assert todo == [actions.Grant(container=ONE, right=USB)]


def test_with_a_hub_at_fault_the_next_one_is_lent() -> None:
    event = events.NotInForce(at=NOW, container=ONE, problem="hub-quarantined", detail="in use", hub_at_fault=True)
    before = known(starting(ports=PORTS), hubs=HUBS, ports_per_half=8, quarantine={Lease(hub=HubId(9)): "old"})
    state, todo = decide(before, event)
    assert todo == [actions.Remember()]
    assert state.quarantine == {Lease(hub=HubId(9)): "old", Lease(hub=HUB, ports=PORTS): "in use"}
    assert state.containers[ONE] == starting(Phase.RECORDING, hub=HubId(2), ports=PORTS, since=NOW)


@pytest.mark.parametrize(("hub", "at_fault"), [(HUB, False), (None, True), (None, False)])
def test_what_cannot_be_put_in_force_must_not_start(hub: HubId | None, *, at_fault: bool) -> None:
    event = events.NotInForce(at=NOW, container=ONE, problem="rights-failed", detail="why", hub_at_fault=at_fault)
    state, todo = decide(known(starting(hub=hub, backend=Backend.V1), hubs=HUBS), event)
    context: dict[str, Any] = {"container": "one", "backend": "v1", "reason": "why"}
    assert todo == [actions.Remember(), *answers("rights-failed", **context)]
    assert state == known(hubs=HUBS, forgotten=FORGOTTEN)
    for before in (known(), known(container(requests=(3,)))):
        assert decide(before, event) == (before, [])


def test_with_its_broker_a_container_is_complete() -> None:
    event = events.BrokerOpened(at=NOW, container=ONE)
    assert decide(known(), event) == (known(), [])
    state, todo = decide(known(starting()), event)
    assert (state, todo) == (known(starting(Phase.IN_FORCE, broker_open=True)), [actions.Remember()])
    assert decide(known(container(broker_open=False)), event) == (known(container()), [])


def test_without_its_broker_it_is_refused_and_undone_and_what_runs_is_left_to_the_next_look() -> None:
    event = events.BrokerFailed(at=NOW, container=ONE, detail="why")
    state, todo = decide(known(starting(ports=PORTS, broker_open=True)), event)
    assert todo == [*answers("broker-missing", container="one", reason="why"), *torn(ports=PORTS)]
    ending = starting(Phase.TEARING, ports=PORTS, since=NOW, requests=())
    assert state == known(ending)
    for before in (known(), known(container(requests=(3,)))):
        assert decide(before, event) == (before, [])


# released -------------------------------------------------------------------------------------------------------------
def test_a_release_takes_what_is_in_force_and_answers_when_it_is_undone() -> None:
    event = events.Release(at=NOW, container=ONE, request=4)
    state, todo = decide(known(container(requests=(3,), ports=PORTS)), event)
    assert todo == [actions.Remember(), *torn(ports=PORTS)]
    ending = starting(Phase.TEARING, ports=PORTS, since=NOW)
    assert state == known(ending)
    again = replace(event, request=5)
    assert decide(state, again) == (known(replace(ending, requests=(3, 4, 5))), [])


def test_a_release_of_what_is_not_known_is_done_and_of_what_is_starting_is_refused() -> None:
    event = events.Release(at=NOW, container=ONE, request=4)
    assert decide(known(), event) == (known(), answers(to=(4,)))
    for phase in (Phase.RECORDING, Phase.PREPARING):
        before = known(starting(phase))
        assert decide(before, event) == (before, answers("container-busy", to=(4,), container="one", reason="starting"))


@pytest.mark.parametrize(("stuck", "ended"), [((True, True), True), ((True, False), False)])
def test_a_container_is_undone_once_no_port_of_it_can_become_free(stuck: tuple[bool, bool], *, ended: bool) -> None:
    first, second = (
        device(port=replace(device().port, rhport=number), stage=Stage.DETACHING, rights={}, stuck=each)
        for number, each in enumerate(stuck)
    )
    third = replace(first, port=replace(first.port, rhport=2), stuck=False)
    event = events.DetachFailed(at=NOW, port=third.port, detail="in use")
    state, todo = decide(known(container(phase=Phase.RELEASING), first, second, third), event)
    assert todo == [actions.TearDown(container=ONE, hub=HUB)] * ended
    assert state.containers[ONE].phase == (Phase.TEARING if ended else Phase.RELEASING)


def test_a_port_that_becomes_free_undoes_nothing_of_a_container_that_runs() -> None:
    given_back = device(stage=Stage.DETACHING, rights={})
    state, todo = decide(known(container(), given_back), events.PortFree(at=NOW, port=given_back.port))
    assert todo == [actions.RememberSoon()]
    assert state.containers == {ONE: container()}


@pytest.mark.parametrize(
    ("hub", "reason", "held"), [(HUB, "in use", {Lease(hub=HUB): "in use"}), (HUB, "", {}), (None, "in use", {})]
)
def test_once_undone_it_is_forgotten_and_ports_that_are_not_empty_are_held_back(
    hub: HubId | None, reason: str, held: dict[Lease, str]
) -> None:
    event = events.TornDown(at=NOW, container=ONE, reason=reason)
    state, todo = decide(known(starting(Phase.TEARING, hub=hub)), event)
    assert todo == [actions.Remember(), *answers()]
    assert state == known(quarantine=held, forgotten=FORGOTTEN)


def test_who_waits_for_a_device_that_would_not_go_hears_of_the_end_of_its_container() -> None:
    stuck = device(stage=Stage.DETACHING, rights={}, stuck=True, requests=(8,))
    event = events.TornDown(at=NOW, container=ONE, reason="in use")
    state, todo = decide(known(starting(Phase.TEARING), stuck), event)
    assert answers(to=(8,))[0] in todo
    assert not state.devices


def test_who_waited_to_start_again_does_so_then() -> None:
    ending = starting(Phase.TEARING, again=(5, 6), lending=WHOLE, broker_open=True)
    state, todo = decide(known(ending, hubs=HUBS), events.TornDown(at=NOW, container=ONE, reason=""))
    assert todo == [actions.Remember(), *answers()]
    assert state.containers == {ONE: starting(Phase.RECORDING, requests=(5, 6), lending=WHOLE, since=NOW)}


def test_an_undoing_that_nobody_asked_for_changes_nothing() -> None:
    event = events.TornDown(at=NOW, container=ONE, reason="in use")
    for before in (known(), known(container())):
        assert decide(before, event) == (before, [])
