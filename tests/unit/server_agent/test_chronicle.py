"""What is kept of what happened: each grant, revoke, refusal, attach and detach once, with device, rule and time."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from qvd_usbip.ids import DevNum, HubId, VmId
from server_agent import events
from server_agent.actions import Answer
from server_agent.chronicle import Chronicle, Entry, Kind
from server_agent.decide import decide
from server_agent.state import Port, Right, Stage
from tests.unit.server_agent.world import World
from tests.unit.server_agent.world_hubs import busid_of

ONE, TWO = VmId("one"), VmId("two")
PORT = Port(hub=HubId(1), half="hs", rhport=0)


@dataclass(slots=True)
class Told(World):
    """The model of the kernel, with a chronicle of what the agent does in it."""

    chronicle: Chronicle = field(default_factory=Chronicle)
    told: list[Entry] = field(default_factory=list)

    def submit(self, event: events.Event) -> None:
        self.now += 0.01
        queue = deque([event])
        while queue:
            each, before = queue.popleft(), self.state
            self.state, todo = decide(before, each)
            self.told += self.chronicle.follow(before, each, self.state, todo)
            queue += [result for action in todo if (result := self._quick(action)) is not None]

    def of(self, kind: Kind) -> list[dict[str, Any]]:
        return [entry.as_json() for entry in self.told if entry.kind is kind]

    def kinds(self) -> list[str]:
        return [str(entry.kind) for entry in self.told]

    def reserve(self, name: VmId) -> None:
        self.ask(events.Reserve, container=name, broker_gid=0, enabled=True, running=False)
        self.deliver_all()
        self.running.add(name)

    def attach(self, name: VmId, attach_id: str) -> None:
        self.ask(events.Attach, container=name, attach_id=attach_id, devid=65538, speed=3)


def in_use() -> Told:
    world = Told()
    world.reserve(ONE)
    world.attach(ONE, "a")
    world.enumerate(PORT)
    world.deliver_all()
    world.child(PORT)
    world.deliver_all()
    return world


def test_the_way_in_is_told_step_by_step() -> None:
    world = in_use()
    assert world.kinds() == ["lease", "attach", "grant", "authorise", "grant"]
    assert world.of(Kind.LEASE) == [{"v": 1, "event": "lease", "container": "one", "hub": "vhci_hcd.1"}]
    own, child = world.of(Kind.GRANT)
    assert own["device"] == child["device"] == "3-1"
    assert own["identity"] == "0bda:58c2"
    assert own["rule"] == child["rule"] == "default"
    assert child["node"] == "/dev/tty0"
    assert child["right"] == "c 166:0"
    assert own["ms"] > 0
    (attach,) = world.of(Kind.ATTACH)
    assert (attach["port"], attach["device"], attach["rule"]) == ("vhci_hcd.1/hs/0", "3-1", "lease")
    assert attach["ms"] >= 0


def test_the_way_out_says_how_long_it_lasted() -> None:
    world = in_use()
    world.told.clear()
    world.now += 5
    world.ask(events.RevokeAsked, container=ONE, busid=next(iter(world.state.devices.values())).busid)
    world.deliver_all()
    world.ask(events.Release, container=ONE)
    world.deliver_all()
    assert world.kinds() == ["revoke", "revoke", "detach", "release"]
    assert all(row["held_ms"] >= 5000 and row["identity"] == "0bda:58c2" for row in world.of(Kind.REVOKE))
    (detach,) = world.of(Kind.DETACH)
    assert detach["held_ms"] >= 5000
    assert (detach["outcome"], detach["device"], detach["container"]) == ("gone", "3-1", "one")


def test_a_refused_device_names_the_rule() -> None:
    world = Told()
    world.reserve(ONE)
    world.attach(ONE, "a")
    world.enumerate(PORT, is_hub=True)
    world.deliver_all()
    (refusal,) = world.of(Kind.REFUSAL)
    assert refusal.pop("ms") > 0
    assert refusal == {
        "v": 1, "event": "refusal", "container": "one", "device": "3-1", "identity": "0bda:58c2",
        "rule": "device-is-hub", "problem": "device-is-hub",
    }  # fmt: skip
    assert not world.of(Kind.GRANT)


def test_a_refused_request_and_a_start_without_usb_are_told() -> None:
    world = Told()
    for name in ("one", "two", "three", "four"):
        world.reserve(VmId(name))
    assert world.of(Kind.LEASE)[-1] == {"v": 1, "event": "lease", "container": "four", "problem": "no-free-hub"}
    world.attach(VmId("four"), "x")
    (refusal,) = world.of(Kind.REFUSAL)
    rule = {"problem": "no-free-hub", "rule": "no-free-hub", "ms": 0}
    assert refusal == {"v": 1, "event": "refusal", "container": "four", **rule}
    world.ask(events.Reserve, container=TWO, broker_gid=0, enabled=True, running=True)
    assert world.of(Kind.REFUSAL)[-1]["problem"] == "container-busy"
    world.ask(events.Reserve, container=VmId("five"), broker_gid=0, enabled=False, running=False)
    world.deliver_all()
    assert world.of(Kind.LEASE)[-1] == {"v": 1, "event": "lease", "container": "five", "problem": "hubs-disabled"}


def test_a_request_that_is_refused_late_says_after_how_long() -> None:
    """The image waits for its attach while the kernel says of one port after the other that it is taken."""
    world = Told()
    world.reserve(ONE)
    before = world.state
    attach = events.Attach(at=world.now, container=TWO, attach_id="x", devid=65538, speed=3, request=77)
    assert not list(world.chronicle.follow(before, attach, before, []))
    busy = events.PortBusy(at=world.now + 2, port=PORT)
    answers = [Answer(request=77, problem="no-free-port", context={}), Answer(request=77, problem="again", context={})]
    first, second = world.chronicle.follow(before, busy, before, answers)
    assert first.words == {"problem": "no-free-port", "rule": "no-free-port", "ms": 2000}
    assert first.container == TWO
    assert second.words["ms"] == 0, "it is not kept for ever"


def test_what_an_earlier_agent_let_through_and_what_ended_before_it_was_seen_have_a_rule_too() -> None:
    world = in_use()
    world.chronicle = Chronicle()
    world.told.clear()
    world.vanish(PORT)
    world.deliver_all()
    (detach,) = world.of(Kind.DETACH)
    assert (detach["device"], detach["rule"]) == ("3-1", "earlier")
    world.attach(ONE, "b")
    world.ask(events.DetachAsked, container=ONE, attach_id="b")
    world.deliver_all()
    ended = world.of(Kind.DETACH)[-1]
    assert (ended["device"], ended["rule"]) == ("3-1", "lease")
    world.attach(ONE, "c")
    going = replace(world.state.devices[PORT], stage=Stage.DETACHING)
    nowhere = replace(world.state, hubs={}, devices={PORT: going})
    (entry,) = world.chronicle.follow(nowhere, events.PortFree(at=9, port=PORT), nowhere, [])
    assert "device" not in entry.words, "its hub went with the module"


def test_a_device_that_went_before_it_was_judged_was_let_through_by_nobody() -> None:
    world = in_use()
    world.vanish(PORT)
    world.deliver_all()
    world.attach(ONE, "b")
    world.enumerate(PORT)
    world.deliver_uevent()
    world.vanish(PORT)
    world.told.clear()
    world.deliver_all()
    (detach,) = world.of(Kind.DETACH)
    assert (detach["device"], detach["rule"]) == ("3-1", "lease")


def test_what_fails_is_told_and_so_is_a_hub_that_is_held_back() -> None:
    world = in_use()
    world.told.clear()
    world.stubborn.add(PORT)
    world.revoke_fails = True
    world.running.clear()
    world.ask(events.Release, container=ONE)
    world.deliver_all()
    assert {row["reason"] for row in world.of(Kind.FAILURE)} == {"fault", "stubborn"}
    assert world.of(Kind.QUARANTINE) == [{"v": 1, "event": "quarantine", "hub": "vhci_hcd.1", "reason": "in use"}]


def test_a_repair_of_the_map_is_no_new_grant() -> None:
    world = in_use()
    world.told.clear()
    del world.maps[ONE]
    world.look()
    world.deliver_all()
    assert not world.of(Kind.GRANT)


def test_what_the_kernel_says_of_ports_that_are_nobodys_is_not_told() -> None:
    world = in_use()
    world.told.clear()
    right = Right(kind="c", number=DevNum(166, 2))
    for port in (Port(hub=HubId(2), half="hs", rhport=0), Port(hub=HubId(1), half="hs", rhport=1)):
        for event in (
            events.UsbAdded(at=0, port=port, busid=busid_of(port), number=right, name="usb/x"),
            events.NodeRemoved(at=0, port=port, right=right),
            events.Attached(at=0, port=port),
            events.PortFree(at=0, port=port),
        ):
            state, _ = decide(world.state, event)
            assert list(world.chronicle.follow(world.state, event, state, [])) == []


def test_an_attach_and_a_detach_that_come_late_are_not_told_twice() -> None:
    world = in_use()
    world.told.clear()
    world.submit(events.Attached(at=0, port=PORT))
    world.submit(events.PortFree(at=0, port=PORT))
    assert world.kinds() == []


def test_a_number_that_is_announced_again_while_it_has_its_right_is_no_new_wait() -> None:
    world = in_use()
    (number,) = world.plugged[PORT].children
    world.submit(events.NodeAdded(at=world.now, port=PORT, right=number, name="tty0"))
    world.vanish(PORT)
    world.uevents = deque(event for event in world.uevents if isinstance(event, events.UsbRemoved))
    world.deliver_all()
    world.now += 100
    world.attach(ONE, "b")
    world.enumerate(PORT)
    world.deliver_all()
    world.child(PORT)
    world.deliver_all()
    again = world.of(Kind.GRANT)[-1]
    assert again["right"] == str(number)
    assert again["ms"] < 1000


def attach_one(world: Told) -> None:
    world.attach(ONE, str(world.requests))


def enumerate_all(world: Told) -> None:
    for port in list(world.attached):
        world.enumerate(port)


def children(world: Told) -> None:
    for port in list(world.plugged):
        world.child(port)


def lose_children(world: Told) -> None:
    for port in list(world.plugged):
        world.lose_child(port)


def vanish(world: Told) -> None:
    for port in list(world.attached)[:1]:
        world.vanish(port)


def revoke(world: Told) -> None:
    for device in list(world.state.devices.values()):
        if device.busid is not None:
            world.ask(events.RevokeAsked, container=ONE, busid=device.busid)


def restart_container(world: Told) -> None:
    world.ask(events.Release, container=ONE)
    world.deliver_all()
    world.reserve(ONE)


STEPS = (attach_one, enumerate_all, children, lose_children, vanish, revoke, restart_container)


@settings(max_examples=40)
@given(st.lists(st.sampled_from(STEPS), max_size=40))
def test_grants_and_revokes_are_told_in_pairs_and_nothing_is_remembered_of_what_is_gone(
    steps: list[Callable[[Told], None]],
) -> None:
    world = Told()
    world.reserve(ONE)
    for step in steps:
        step(world)
        world.deliver_all()
    world.ask(events.Release, container=ONE)
    world.settle()
    open_rights: set[object] = set()
    for entry in world.told:
        if entry.kind is Kind.GRANT:
            assert entry.words["right"] not in open_rights
            open_rights.add(entry.words["right"])
        elif entry.kind is Kind.REVOKE:
            open_rights.discard(entry.words["right"])
    assert not open_rights
    assert len(world.of(Kind.ATTACH)) == len(world.of(Kind.DETACH))
    kept = world.chronicle
    assert (kept._seen, kept._granted, kept._judged, kept._attached) == ({}, {}, {}, {})
