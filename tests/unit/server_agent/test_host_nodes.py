"""Nodes that the host makes, and what a container on its own is told: after each event, and from a look alone."""

from dataclasses import replace

import pytest

from qvd_usbip.ids import BusId, DevNum, HubId, VmId
from server_agent import actions, events
from server_agent.decide import decide
from server_agent.events import DeviceSeen, HubSeen, Observed
from server_agent.host_nodes import THINGS, name_inside
from server_agent.state import (
    Container,
    Device,
    Hold,
    HostNodes,
    HubBuses,
    Phase,
    Port,
    Right,
    Stage,
    State,
    Thing,
    claims_of,
)

NAME = VmId("three")
ACCESS = HostNodes(root=100000, group=100997)
PORT = Port(hub=HubId(1), half="hs", rhport=0)
USB = Right(kind="c", number=DevNum(189, 257))
TTY = Right(kind="c", number=DevNum(166, 0))
ROOT = "/devices/platform/vhci_hcd.1/usb3/3-1"
INTERFACE, TTY_PATH = f"{ROOT}/3-1:1.0", f"{ROOT}/3-1:1.0/tty/ttyACM0"
WORDS = {
    ROOT: ("SUBSYSTEM=usb", "DEVNAME=bus/usb/003/002", "DEVTYPE=usb_device"),
    INTERFACE: ("SUBSYSTEM=usb", "DEVTYPE=usb_interface"),
    TTY_PATH: ("SUBSYSTEM=tty", "DEVNAME=ttyACM0"),
}
RIGHTS = {ROOT: USB, TTY_PATH: TTY}
THREE = [Thing(devpath=path, properties=words, right=RIGHTS.get(path)) for path, words in WORDS.items()]


class Bench:
    """A container whose nodes the host makes, with one device; actions of the last step."""

    def __init__(self, access: HostNodes | None = ACCESS, stage: Stage = Stage.AUTHORISING) -> None:
        container = Container(name=NAME, hub=HubId(1), phase=Phase.IN_FORCE, nodes=access, broker_open=True)
        device = Device(
            port=PORT, container=NAME, stage=stage, busid=BusId.parse("3-1"), number=USB,
            rights={USB: Hold.GRANTING}, names={USB: "bus/usb/003/002"},
        )  # fmt: skip
        self.state = State(
            hubs={HubId(1): HubBuses(hs=3, ss=4)},
            ports_per_half=3,
            containers={NAME: container},
            devices={PORT: device},
            claims=claims_of({PORT: device}),
        )
        self.now = 10.0
        self.done: list[actions.Action] = []

    def submit(self, event: events.Event) -> list[actions.Action]:
        self.now += 1
        self.state, self.done = decide(self.state, replace(event, at=self.now))
        return self.done

    def hear(self, path: str, event: str = "add") -> list[actions.Action]:
        thing = Thing(devpath=path, properties=WORDS[path], right=RIGHTS.get(path))
        return self.submit(events.Heard(at=0, port=PORT, event=event, thing=thing))

    def grant(self, right: Right) -> list[actions.Action]:
        self.submit(events.Granted(at=0, container=NAME, right=right))
        return self.done

    def made(self, right: Right) -> list[actions.Action]:
        return self.submit(events.NodeMade(at=0, container=NAME, right=right))

    def in_use(self) -> "Bench":
        """Device and serial port granted, nodes made, all told."""
        self.hear(ROOT)
        self.state = replace(self.state, devices={PORT: replace(self.device, stage=Stage.GRANTING)})
        self.grant(USB)
        self.made(USB)
        self.hear(INTERFACE)
        self.submit(events.Authorised(at=0, port=PORT, number=USB))
        self.submit(events.NodeAdded(at=0, port=PORT, right=TTY, name="ttyACM0"))
        self.hear(TTY_PATH)
        self.grant(TTY)
        self.made(TTY)
        return self

    @property
    def device(self) -> Device:
        return self.state.devices[PORT]

    def told(self) -> list[str]:
        return [path for path, thing in self.state.things.get(PORT, {}).items() if thing.told]

    @staticmethod
    def look_at() -> dict[Port, DeviceSeen]:
        found = DeviceSeen(
            port=PORT, busid=BusId.parse("3-1"), number=USB, name="bus/usb/003/002", authorised=True,
            children={TTY: "ttyACM0"}, things=tuple(THREE),
        )  # fmt: skip
        return {PORT: found}

    def look(self, **words: object) -> list[actions.Action]:
        known: dict[str, object] = {
            "rights": {NAME: frozenset({USB, TTY})}, "devices": self.look_at(), "told": {NAME: THREE},
            "nodes": {NAME: {"bus/usb/003/002": USB, "ttyACM0": TTY}},
        }  # fmt: skip
        hub = HubSeen(buses=HubBuses(hs=3, ss=4), gate_closed=True, used=frozenset({PORT}))
        return self.submit(
            Observed(
                at=0, hubs={HubId(1): hub}, ports_per_half=3, running=frozenset({NAME}), leftovers={},
                **{**known, **words},  # type: ignore[arg-type]
            )
        )  # fmt: skip


def announced(done: list[actions.Action]) -> list[tuple[str, str, str]]:
    return [(a.event, a.thing.devpath, a.link) for a in done if isinstance(a, actions.Announce)]


def nodes(done: list[actions.Action]) -> list[tuple[str, str]]:
    return [(type(a).__name__, a.name) for a in done if isinstance(a, actions.MakeNode | actions.RemoveNode)]


def test_the_node_comes_after_the_right_and_the_word_after_node_and_authorisation() -> None:
    bench = Bench(stage=Stage.GRANTING)
    assert announced(bench.hear(ROOT)) == []
    done = bench.grant(USB)
    assert [type(a) for a in done] == [actions.Authorise, actions.MakeNode]
    assert actions.MakeNode(container=NAME, right=USB, name="bus/usb/003/002", access=ACCESS) in done
    assert bench.hear(INTERFACE) == []
    assert bench.made(USB) == []
    assert announced(bench.submit(events.Authorised(at=0, port=PORT, number=USB))) == [
        ("add", ROOT, ""), ("add", INTERFACE, ""),
    ]  # fmt: skip


def test_a_child_with_a_number_is_told_of_with_the_link_once_its_node_is_there() -> None:
    bench = Bench(stage=Stage.GRANTING)
    bench.in_use()
    assert announced(bench.done) == [("add", TTY_PATH, "ttyACM0")]
    assert bench.told() == [ROOT, INTERFACE, TTY_PATH]


def test_nothing_below_what_was_not_told_of_is_told() -> None:
    bench = Bench()
    bench.grant(USB)
    bench.submit(events.Authorised(at=0, port=PORT, number=USB))
    assert announced(bench.hear(INTERFACE)) == []
    assert announced(bench.hear(ROOT)) == []
    assert announced(bench.made(USB)) == [("add", ROOT, ""), ("add", INTERFACE, "")]


def test_what_goes_takes_its_node_along_and_is_told_with_the_words_of_its_coming() -> None:
    bench = Bench(stage=Stage.GRANTING).in_use()
    done = bench.submit(events.NodeRemoved(at=0, port=PORT, right=TTY))
    assert [type(a) for a in done] == [actions.Revoke, actions.RemoveNode]
    bench.submit(events.Heard(at=0, port=PORT, event="remove", thing=Thing(devpath=TTY_PATH, properties=())))
    (said,) = [a for a in bench.done if isinstance(a, actions.Announce)]
    assert (said.event, said.link, said.thing.properties) == ("remove", "ttyACM0", WORDS[TTY_PATH])
    assert bench.hear(TTY_PATH, "remove") == [], "told once"


def test_a_device_that_goes_takes_everything_along_children_first() -> None:
    bench = Bench(stage=Stage.GRANTING).in_use()
    done = bench.submit(events.UsbRemoved(at=0, port=PORT, number=USB))
    assert nodes(done) == [("RemoveNode", "bus/usb/003/002"), ("RemoveNode", "ttyACM0")]
    assert announced(done) == [("remove", TTY_PATH, "ttyACM0"), ("remove", INTERFACE, ""), ("remove", ROOT, "")]
    assert not bench.state.nodes
    assert not bench.state.things
    assert bench.hear(INTERFACE, "remove") == []
    assert bench.hear(TTY_PATH) == [], "a device that is being detached brings nothing new"


def test_a_change_is_passed_on_in_its_own_words_to_who_knows_the_thing() -> None:
    bench = Bench(stage=Stage.GRANTING).in_use()
    medium = Thing(devpath=TTY_PATH, properties=("SUBSYSTEM=tty", "DISK_MEDIA_CHANGE=1"), right=TTY)
    (said,) = bench.submit(events.Heard(at=0, port=PORT, event="change", thing=medium))
    assert isinstance(said, actions.Announce)
    assert (said.event, said.thing, said.link) == ("change", medium, "")
    unknown = replace(medium, devpath=f"{ROOT}/other")
    assert bench.submit(events.Heard(at=0, port=PORT, event="change", thing=unknown)) == []


def test_a_change_of_a_thing_that_is_not_told_of_yet_is_not_passed_on() -> None:
    bench = Bench(stage=Stage.GRANTING)
    bench.hear(ROOT)
    assert bench.hear(ROOT, "change") == []
    assert announced(bench.in_use().hear(ROOT, "change")) == [("change", ROOT, "")]


def test_a_node_that_is_made_when_its_device_is_another_containers_tells_nobody() -> None:
    bench = Bench(stage=Stage.GRANTING).in_use()
    theirs = replace(bench.device, container=VmId("other"))
    untold = {ROOT: replace(bench.state.things[PORT][ROOT], told=False)}
    bench.state = replace(bench.state, devices={PORT: theirs}, things={PORT: untold})
    assert bench.made(USB) == []


def test_a_thing_that_comes_twice_goes_in_between_with_all_below_it() -> None:
    bench = Bench(stage=Stage.GRANTING).in_use()
    gone = [("remove", TTY_PATH, "ttyACM0"), ("remove", INTERFACE, "")]
    assert announced(bench.hear(INTERFACE)) == [*gone, ("add", INTERFACE, "")]
    assert bench.told() == [ROOT, INTERFACE]


def test_a_look_that_began_before_a_thing_came_anew_does_not_take_what_was_below_it_for_told() -> None:
    bench = Bench(stage=Stage.GRANTING).in_use()
    bench.hear(INTERFACE)
    bench.now -= 2
    bench.look()
    bench.now += 5
    assert announced(bench.look(told={NAME: THREE[:2]})) == [("add", TTY_PATH, "ttyACM0")]
    assert bench.told() == [ROOT, INTERFACE, TTY_PATH]


def test_what_is_below_a_thing_that_went_has_gone_unheard() -> None:
    bench = Bench(stage=Stage.GRANTING).in_use()
    other = replace(THREE[2], devpath=f"{INTERFACE}0", told=True)
    bench.state = replace(bench.state, things={PORT: {**bench.state.things[PORT], other.devpath: other}})
    gone = [("remove", TTY_PATH, "ttyACM0"), ("remove", INTERFACE, "")]
    assert announced(bench.hear(INTERFACE, "remove")) == gone
    assert bench.told() == [ROOT, other.devpath], "a name that begins alike is something else"


def test_a_container_whose_image_makes_nodes_is_left_alone() -> None:
    bench = Bench(access=None, stage=Stage.GRANTING)
    bench.in_use()
    assert not bench.state.nodes
    assert not bench.state.things
    assert bench.look() == []


def test_a_container_that_is_going_hears_nothing_more() -> None:
    bench = Bench(stage=Stage.GRANTING).in_use()
    done = bench.submit(events.Release(at=0, container=NAME, request=None))
    assert announced(done) == []
    assert len(nodes(done)) == 2


def test_no_more_things_are_kept_than_a_device_can_have() -> None:
    bench = Bench()
    for number in range(THINGS + 5):
        thing = Thing(devpath=f"{ROOT}/x{number}", properties=())
        bench.submit(events.Heard(at=0, port=PORT, event="add", thing=thing))
    assert len(bench.state.things[PORT]) == THINGS


# a look alone --------------------------------------------------------------------------------------------------------
def test_a_look_at_what_is_right_does_nothing() -> None:
    assert Bench(stage=Stage.GRANTING).in_use().look() == []


def test_a_restarted_agent_says_nothing_again() -> None:
    bench = Bench(stage=Stage.ATTACHED)
    bench.state = replace(bench.state, devices={})
    done = bench.look()
    assert nodes(done) == [("MakeNode", "bus/usb/003/002"), ("MakeNode", "ttyACM0")], "which changes none that is right"
    assert announced(done) == []
    for right in (USB, TTY):
        assert bench.made(right) == []
    assert bench.look() == []


def test_with_every_event_lost_all_is_told_in_order() -> None:
    bench = Bench(stage=Stage.ATTACHED)
    bench.state = replace(bench.state, devices={})
    assert announced(bench.look(told={}, nodes={})) == []
    assert announced(bench.made(USB)) == [("add", ROOT, ""), ("add", INTERFACE, "")]
    assert announced(bench.made(TTY)) == [("add", TTY_PATH, "ttyACM0")]


def test_what_went_while_nobody_looked_is_told_and_its_node_goes() -> None:
    bench = Bench(stage=Stage.ATTACHED)
    bench.state = replace(bench.state, devices={})
    done = bench.look(devices={}, rights={NAME: frozenset()})
    assert announced(done) == [("remove", TTY_PATH, "ttyACM0"), ("remove", INTERFACE, ""), ("remove", ROOT, "")]
    assert nodes(done) == [("RemoveNode", "bus/usb/003/002"), ("RemoveNode", "ttyACM0")]


@pytest.mark.parametrize("there", [{}, {"bus/usb/003/002": USB, "ttyACM0": USB}])
def test_a_node_that_is_missing_or_another_ones_is_made_anew(there: dict[str, Right]) -> None:
    done = Bench(stage=Stage.GRANTING).in_use().look(nodes={NAME: there})
    assert ("MakeNode", "ttyACM0") in nodes(done)
    assert (("MakeNode", "bus/usb/003/002") in nodes(done)) == (not there)


def test_a_node_that_could_not_be_made_is_tried_again() -> None:
    bench = Bench(stage=Stage.GRANTING)
    bench.in_use()
    bench.submit(events.NodeNotMade(at=0, container=NAME, right=TTY, detail="full"))
    there = {"bus/usb/003/002": USB}
    assert nodes(bench.look(nodes={NAME: there})) == [("MakeNode", "ttyACM0")]


def test_what_went_unheard_is_told_by_the_next_look_and_only_if_it_was_there_before_that_began() -> None:
    bench = Bench(stage=Stage.GRANTING).in_use()
    (found,) = bench.look_at().values()
    less = {PORT: replace(found, things=(THREE[0], THREE[1]))}
    late = Bench(stage=Stage.GRANTING).in_use()
    late.hear(TTY_PATH)
    late.now -= 1
    assert announced(late.look(devices=less)) == []
    assert announced(bench.look(devices=less)) == [("remove", TTY_PATH, "ttyACM0")]
    assert bench.told() == [ROOT, INTERFACE]


@pytest.mark.parametrize("before", [(), (Port(hub=HubId(1), half="hs", rhport=1),)])
def test_what_was_not_heard_is_said_again_at_the_next_look(before: tuple[Port, ...]) -> None:
    bench = Bench(stage=Stage.GRANTING).in_use()
    others = {port: {f"{ROOT}/other": THREE[1]} for port in before}
    bench.state = replace(bench.state, things={**others, **bench.state.things})
    bench.submit(events.NotTold(at=0, container=NAME, devpath=TTY_PATH, detail="hangs"))
    assert announced(bench.look()) == [("add", TTY_PATH, "ttyACM0")]


def test_a_look_that_began_before_a_thing_went_does_not_bring_it_back() -> None:
    bench = Bench(stage=Stage.GRANTING).in_use()
    bench.hear(INTERFACE, "remove")
    bench.now -= 2
    assert bench.look() == []
    assert INTERFACE not in bench.told()


def test_the_image_is_told_where_its_nodes_are() -> None:
    container = Container(name=NAME, hub=None, phase=Phase.IN_FORCE, nodes=ACCESS)
    assert name_inside(container, "bus/usb/003/002") == "bus/usb/003/002"
    assert name_inside(container, "input/event5") == "qvd/input/event5"
    assert name_inside(replace(container, nodes=None), "input/event5") == "input/event5"
    assert name_inside(None, "ttyACM0") == "ttyACM0"
