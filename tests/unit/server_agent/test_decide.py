"""One container, one device: each step in its order."""

from dataclasses import replace

import pytest

from qvd_usbip.ack import AckState
from qvd_usbip.ids import HubId
from server_agent import actions, events
from server_agent.backend import Backend
from server_agent.draft import Draft
from server_agent.lending import Lease
from server_agent.state import (
    ACK_MEMORY,
    PENDING_LIMIT,
    Container,
    Phase,
    Port,
    Progress,
    Stage,
    State,
)
from tests.unit.server_agent.steps import (
    FIRST,
    FOUR,
    ONE,
    THREE,
    TWO,
    WHOLE,
    attach,
    in_use,
    kinds,
    reserve,
    started,
)
from tests.unit.server_agent.world import PORTS, World
from tests.unit.server_agent.world_hubs import busid_of


def test_a_container_gets_a_hub_only_when_everything_is_in_force() -> None:
    world = World()
    request = world.ask(events.Reserve, container=ONE, broker_gid=7, enabled=True, running=False)
    assert request not in world.answers
    assert world.ledger, "the lease is remembered before anything is made"
    world.deliver_slow()
    assert world.answers[request].context == {"hub": "vhci_hcd.1"}
    assert world.state.containers[ONE].phase == Phase.IN_FORCE


def test_switched_off_a_container_starts_without_usb_but_with_its_map_until_it_is_started_again() -> None:
    world = World()
    request = reserve(world, ONE, enabled=False)
    assert world.answers[request].problem == ""
    assert world.answers[request].context == {"hub": "", "without_usb": "hubs-disabled"}
    assert world.maps[ONE] == set()
    assert world.answers[attach(world, ONE)].problem == "hubs-disabled"
    world.running.clear()
    world.ask(events.Release, container=ONE)
    world.deliver_all()
    assert world.answers[reserve(world, ONE)].context["hub"] == "vhci_hcd.1"


def test_no_free_hub_starts_the_container_without_usb_but_with_its_map() -> None:
    world = started(ONE, TWO, THREE)
    request = reserve(world, FOUR)
    assert world.answers[request].problem == ""
    assert world.answers[request].context == {"hub": "", "without_usb": "no-free-hub"}
    assert world.maps[FOUR] == set()
    assert world.answers[attach(world, FOUR)].problem == "no-free-hub"


def test_a_hub_that_is_not_empty_is_quarantined_and_the_next_one_lent() -> None:
    world = World()
    world.attached.add(FIRST)
    request = reserve(world, ONE)
    assert world.answers[request].context == {"hub": "vhci_hcd.2"}
    assert Lease(hub=HubId(1)) in world.state.quarantine
    world.attached.clear()
    world.look()
    assert not world.state.quarantine


def test_the_right_comes_before_the_authorisation_and_after_the_look() -> None:
    world = started()
    in_use(world)
    assert kinds(world)[-4:] == ["AttachPort", "Inspect", "Grant", "Authorise"]
    progress = world.state.progress["a"]
    assert progress.state == AckState.AUTHORISED
    assert list(progress.at) == [AckState.ATTACHED, AckState.GRANTED, AckState.AUTHORISED]


def test_a_hub_of_a_client_is_refused_before_it_is_authorised() -> None:
    world = started()
    attach(world)
    world.enumerate(FIRST, is_hub=True)
    world.settle()
    assert "Authorise" not in kinds(world)
    assert "Grant" not in kinds(world)
    assert world.state.progress["a"].problem == "device-is-hub"
    assert world.state.progress["a"].state == AckState.REFUSED
    assert not world.attached


def test_isochronous_endpoints_are_refused_before_the_authorisation_and_let_through_where_that_is_allowed() -> None:
    world = started()
    attach(world)
    world.enumerate(FIRST, isochronous=True)
    world.settle()
    assert not {"Authorise", "Grant"} & set(kinds(world))
    assert world.state.progress["a"].problem == "isochronous-unsafe"
    assert world.state.progress["a"].state == AckState.REFUSED
    assert not world.attached

    world.state = replace(world.state, isochronous=True)
    attach(world, attach_id="b")
    world.enumerate(FIRST, isochronous=True)
    world.settle()
    assert world.state.progress["b"].state == AckState.AUTHORISED


def test_what_enumerates_anew_has_no_right_any_more_and_is_not_authorised() -> None:
    world = started()
    in_use(world)
    before = world.plugged.pop(FIRST)
    world.uevents.append(events.UsbRemoved(at=0, port=FIRST, number=before.number))
    world.enumerate(FIRST, isochronous=True)
    world.settle()
    assert kinds(world).count("Authorise") == 1
    assert world.maps[ONE] == set()
    assert not world.attached


def test_ready_counts_from_the_authorisation_however_early_it_is_said() -> None:
    world = started()
    attach(world)
    world.enumerate(FIRST)
    world.deliver_uevent()
    world.ask(events.Ready, container=ONE, attach_id="a", node="/dev/bus/usb/003/002")
    assert "ready" not in [str(state) for state in world.state.progress["a"].at]
    world.settle()
    assert world.state.progress["a"].state == AckState.READY


def test_another_containers_attach_is_not_there_for_this_one() -> None:
    world = started(ONE, TWO)
    in_use(world)
    request = world.ask(events.Ready, container=TWO, attach_id="a", node="/dev/x")
    assert world.answers[request].problem == "device-gone"
    world.ask(events.DetachAsked, container=TWO, attach_id="a")
    assert world.state.devices[FIRST].stage == Stage.AUTHORISED


def test_a_child_gets_its_right_and_loses_it() -> None:
    world = started()
    in_use(world)
    world.child(FIRST)
    world.deliver_uevent()
    assert len(world.maps[ONE]) == 2
    world.lose_child(FIRST)
    world.deliver_uevent()
    assert len(world.maps[ONE]) == 1


def test_a_busy_port_is_passed_over() -> None:
    world = started()
    world.busy_once.add(FIRST)
    request = attach(world)
    assert world.answers[request].problem == ""
    assert list(world.state.devices) == [Port(hub=HubId(1), half="hs", rhport=1)]


def test_no_port_left_is_said_in_the_old_clients_words() -> None:
    world = started()
    for number in range(PORTS):
        in_use(world, attach_id=f"a{number}", port=Port(hub=HubId(1), half="hs", rhport=number))
    assert world.answers[attach(world, attach_id="more")].problem == "no-free-port"
    assert world.answers[attach(world, attach_id="fast", speed=5)].problem == ""


def test_attaches_that_do_not_come_into_use_are_limited() -> None:
    world = started()
    speeds = (3, 3, 3, 5, 5)
    requests = [attach(world, attach_id=str(n), speed=speed) for n, speed in enumerate(speeds)]
    assert [world.answers[r].problem for r in requests] == [""] * PENDING_LIMIT + ["slave-limit"]


def test_an_attach_id_is_used_once() -> None:
    world = started()
    attach(world)
    assert world.answers[attach(world)].problem == "broker-protocol"


def test_a_device_that_never_appears_is_given_up() -> None:
    world = started()
    attach(world)
    world.now += 60
    world.submit(events.Clock(at=world.now))
    world.settle()
    assert world.state.progress["a"].problem == "device-timeout"
    assert not world.attached
    assert not world.state.devices


def test_an_administrator_takes_a_device_away_no_new_opens_then_no_open_ones() -> None:
    world = started()
    in_use(world)
    world.written.clear()
    request = world.ask(events.RevokeAsked, container=ONE, busid=busid_of(FIRST))
    assert not world.maps[ONE], "while it is detached nobody opens it any more"
    assert request not in world.answers, "what is open already ends with the port only"
    world.settle()
    assert kinds(world)[:2] == ["Revoke", "DetachPort"]
    assert world.answers[request].problem == ""
    assert not world.maps[ONE]
    again = world.ask(events.RevokeAsked, container=ONE, busid=busid_of(FIRST))
    assert world.answers[again].problem == "device-not-attached"


def test_the_back_end_of_a_container_is_repaired_and_reserved_anew_with_it() -> None:
    world = World()
    for backend in (Backend.LXC, Backend.V1):
        world.ask(events.Reserve, container=ONE, broker_gid=0, backend=backend, enabled=True, running=False)
        while world.slow:
            world.deliver_slow()
        assert world.state.containers[ONE].backend == backend
        made = [action for action in world.written if isinstance(action, actions.PutInForce)]
        assert made[-1].backend == backend
    world.running.add(ONE)
    seen = replace(world.observe(), at=world.now + 1, rights={ONE: None})
    world.submit(seen)
    assert [a.backend for a in world.slow if isinstance(a, actions.PutInForce)] == [Backend.V1]


def test_release_detaches_denies_and_gives_the_hub_back() -> None:
    world = started()
    in_use(world)
    request = world.ask(events.Release, container=ONE)
    world.running.clear()
    world.settle()
    assert world.answers[request].problem == ""
    assert not world.maps
    assert not world.attached
    assert not world.state.containers
    assert world.state.free_lease(WHOLE) == Lease(hub=HubId(1))


def test_a_port_that_stays_in_use_keeps_its_hub_from_the_next_container() -> None:
    world = started()
    in_use(world)
    world.stubborn.add(FIRST)
    request = world.ask(events.Release, container=ONE)
    while world.slow:
        world.deliver_slow()
    assert world.answers[request].problem == ""
    assert Lease(hub=HubId(1)) in world.state.quarantine
    assert world.answers[reserve(world, TWO)].context == {"hub": "vhci_hcd.2"}
    assert not world.maps[TWO]


def test_a_start_before_the_last_stop_was_handled_releases_first() -> None:
    world = started()
    in_use(world)
    request = reserve(world, ONE)
    assert world.answers[request].context == {"hub": "vhci_hcd.1"}
    assert not world.attached
    assert world.maps == {ONE: set()}


def test_a_running_container_is_not_prepared_again() -> None:
    world = started()
    in_use(world)
    assert world.answers[reserve(world, ONE, running=True)].problem == "container-busy"
    assert world.maps[ONE]


@pytest.mark.parametrize("with_child", [False, True])
def test_a_restarted_agent_knows_everything_and_writes_no_right(*, with_child: bool) -> None:
    world = started()
    in_use(world)
    if with_child:
        world.child(FIRST)
        world.deliver_uevent()
    world.ask(events.Ready, container=ONE, attach_id="a", node="/dev/x")
    world.deliver_all()
    before = {name: set(rights) for name, rights in world.maps.items()}
    world.written.clear()
    world.restart()
    assert world.maps == before
    assert kinds(world) == ["OpenBroker"]
    assert world.state.progress["a"].state == AckState.READY
    world.written.clear()
    world.look()
    assert not world.written


def test_an_agent_killed_before_it_wrote_down_that_a_device_is_ready_hears_it_again() -> None:
    world = started()
    in_use(world)
    world.ask(events.Ready, container=ONE, attach_id="a", node="/dev/x")
    held = set(world.maps[ONE])
    assert actions.RememberSoon() in world.slow
    world.restart()
    assert world.maps[ONE] == held
    found = world.state.progress["a"]
    world.ask(events.Ready, container=ONE, attach_id="a", node="/dev/x")
    heard = world.state.progress["a"]
    assert (found.state, heard.state) == (AckState.AUTHORISED, AckState.READY)


def test_what_happened_while_the_agent_was_away_is_made_up_for() -> None:
    world = started(ONE, TWO)
    in_use(world)
    second = Port(hub=HubId(2), half="hs", rhport=0)
    in_use(world, TWO, "b", second)
    world.vanish(FIRST)
    world.child(second)
    world.restart()
    world.settle()
    assert world.state.progress["a"].state == AckState.GONE
    assert world.maps == {ONE: set(), TWO: {world.plugged[second].number, *world.plugged[second].children}}


def test_killed_in_the_middle_of_a_revoke_it_looks_for_what_drivers_had_made_already() -> None:
    world = started()
    in_use(world)
    world.child(FIRST)
    world.deliver_uevent()
    everything = set(world.maps[ONE])
    assert len(everything) == 2
    world.maps[ONE].clear()
    world.restart()
    while world.slow:
        world.deliver_slow()
    assert world.looks_wanted
    world.look()
    assert world.maps == {ONE: everything}


def test_what_ended_in_one_container_does_not_push_out_what_another_can_ask_about() -> None:
    draft = Draft(State(), 0.0)
    draft.put_progress("other", Progress(container=TWO, started=0.0, state=AckState.FAILED))
    draft.put_progress("under way", Progress(container=ONE, started=0.0))
    for number in range(ACK_MEMORY + 1):
        draft.put_progress(str(number), Progress(container=ONE, started=0.0, state=AckState.REFUSED))
    assert "0" not in draft.state.progress, "the oldest of its own is forgotten"
    assert draft.state.progress.keys() >= {"other", "under way", "1", str(ACK_MEMORY)}
    draft.drop_container(Container(name=ONE, hub=None, phase=Phase.TEARING))
    assert draft.state.progress.keys() == {"other"}


def test_a_peer_that_went_before_anything_enumerated_is_a_failure() -> None:
    world = started()
    attach(world)
    world.vanish(FIRST)
    world.settle()
    assert (world.state.progress["a"].state, world.state.progress["a"].problem) == (AckState.FAILED, "peer-gone")


def test_a_lost_ledger_is_rebuilt_from_the_containers_that_run() -> None:
    world = started(ONE, TWO)
    in_use(world)
    world.running.discard(TWO)
    world.ledger = ""
    world.restart()
    world.settle()
    assert set(world.state.containers) == {ONE}
    assert world.state.containers[ONE].hub == HubId(1)
    assert world.maps == {ONE: {world.plugged[FIRST].number}}


def test_a_container_that_died_without_a_word_is_released() -> None:
    world = started()
    in_use(world)
    world.running.clear()
    world.now += 100
    world.look()
    world.settle()
    assert not world.state.containers
    assert not world.attached
