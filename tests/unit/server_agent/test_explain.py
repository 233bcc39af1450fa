"""Why things are as they are, in sentences: the hub, the device, the rule that decided."""

from dataclasses import replace

from qvd_usbip.ids import BusId, DevNum, HubId, VmId
from server_agent import events
from server_agent.explain import explain_busid, explain_container, explain_device
from server_agent.lending import Lease
from server_agent.records import Row
from server_agent.state import APPEAR_SECONDS, Container, Device, Hold, Phase, Right, Stage, State
from tests.unit.server_agent.test_chronicle import ONE, PORT, Told, in_use


def rows(world: Told) -> list[Row]:
    return [{**entry.as_json(), "time": "12:00"} for entry in world.told]


def container(world: Told, name: str) -> str:
    return "\n".join(explain_container(world.state, rows(world), VmId(name)))


def device(world: Told, busid: str) -> str:
    return "\n".join(explain_busid(world.state, rows(world), BusId.parse(busid)))


def test_a_container_with_a_device() -> None:
    world = in_use()
    said = container(world, "one")
    assert "one has vhci_hcd.1: its devices appear on buses 3 and 4." in said
    assert "3-1: in use." in said
    assert "3-1: one may open /dev/tty0 (c 166:0), since it is part of this device." in said
    assert "12:00: right given by rule 'default': /dev/tty0." in said
    assert device(world, "3-1").startswith("3-1 belongs to one, which has vhci_hcd.1.\n3-1: in use.")


def test_a_container_that_the_agent_does_not_know() -> None:
    assert "nobody is not known to the agent" in container(in_use(), "nobody")
    assert "lxc-config nobody." in container(in_use(), "nobody")


def test_a_container_without_a_hub_learns_who_has_them() -> None:
    world = Told()
    for name in ("one", "two", "three", "four"):
        world.reserve(VmId(name))
    said = container(world, "four")
    assert "four runs without USB: when it started no hub and no port of one was free." in said
    for hub, name in (("1", "one"), ("2", "two"), ("3 ports 1-3", "three")):
        assert f"vhci_hcd.{hub} belongs to {name}." in said
    world.ask(events.Release, container=VmId("two"))
    world.deliver_all()
    assert "vhci_hcd.2 has become free since: restart the container" in container(world, "four")


def test_a_container_that_started_while_hubs_were_switched_off_learns_how_to_switch_them_on() -> None:
    world = Told()
    world.ask(events.Reserve, container=ONE, broker_gid=0, enabled=False, running=False)
    world.deliver_all()
    said = container(world, "one")
    assert "Container 'one' has no USB: vm.lxc.use_vhci_hubs was not 1 on this server when it started." in said
    assert "config set key=vm.lxc.use_vhci_hubs,value=1; then start the container again." in said


def test_a_refused_device_is_explained_by_its_rule_with_the_remedy() -> None:
    world = Told()
    world.reserve(ONE)
    world.attach(ONE, "a")
    world.enumerate(PORT, is_hub=True)
    world.deliver_all()
    for said in (device(world, "3-1"), container(world, "one")):
        assert "refusal by rule 'device-is-hub': 3-1 is a USB hub; hubs are not shared." in said
        assert "Share the devices plugged into it." in said
    assert "Nothing is at 3-1 now.\nThat place belongs to one, which has vhci_hcd.1." in device(world, "3-1")
    assert "Bus 99 belongs to no hub" in device(world, "99-1")


def test_what_failed_is_explained_by_what_was_wrong_and_not_by_the_rule_that_let_it_come() -> None:
    """It has its port by the lease, and nothing enumerates there."""
    world = Told()
    world.reserve(ONE)
    world.attach(ONE, "a")
    world.deliver_all()
    world.now += APPEAR_SECONDS
    world.submit(events.Clock(at=world.now))
    said = container(world, "one")
    assert "failure by rule 'device-timeout': " in said
    assert "'lease'" not in said


def test_what_is_owed_and_stuck_is_said() -> None:
    world = in_use()
    world.stubborn.add(PORT)
    world.revoke_fails = True
    world.ask(events.RevokeAsked, container=ONE, busid=BusId.parse("3-1"))
    world.deliver_all()
    said = container(world, "one")
    assert "c 166:0 is still being taken from one." in said
    assert "3-1: its port did not become free; it is tried again each minute." in said
    assert "fault." in said


def test_each_phase_has_its_words() -> None:
    world = in_use()
    world.stubborn.add(PORT)
    world.ask(events.Release, container=ONE)
    assert "one has stopped: its devices are being taken away." in container(world, "one")
    world.ask(events.Reserve, container=VmId("two"), broker_gid=0, enabled=True, running=False)
    assert "two is about to start" in container(world, "two")


def test_a_place_on_a_hub_that_nobody_has() -> None:
    assert "That place belongs to vhci_hcd.2, and to no container." in device(in_use(), "5-1")


def test_a_right_that_is_not_in_force_says_what_it_waits_for() -> None:
    right = Right(kind="c", number=DevNum(166, 0))
    waiting = Device(
        port=PORT, container=ONE, stage=Stage.AUTHORISED, rights={right: Hold.WANTED}, names={right: "tty0"}
    )
    owed = State(revoking=frozenset({(VmId("two"), right)}))
    assert "waits until the same number is taken from whoever had it before" in "".join(explain_device(owed, waiting))
    asked = replace(waiting, rights={right: Hold.GRANTING})
    for state, about in ((owed, asked), (State(), waiting)):
        assert "the right to /dev/tty0 (c 166:0) is not in force yet." in "".join(explain_device(state, about))


def test_a_host_without_hubs_and_a_hub_held_back_are_said() -> None:
    none = Container(name=ONE, hub=None, phase=Phase.IN_FORCE)
    state = State(containers={ONE: none}, quarantine={Lease(hub=HubId(2)): "a port did not become free"})
    said = "".join(explain_container(state, [], ONE))
    assert "vhci_hcd.2 is held back: a port did not become free." in said
    assert "This host has no hub that could be lent" in said


def test_a_hub_that_went_with_the_module_has_no_buses_to_name() -> None:
    state = State(containers={ONE: Container(name=ONE, hub=HubId(1), phase=Phase.IN_FORCE)})
    assert "buses that the kernel does not show at the moment" in "".join(explain_container(state, [], ONE))
