"""PURE: what containers hold and know whose nodes the host makes: their folders, and what they were told is there."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from qvd_usbip.ids import VmId
from server_agent import actions, events
from server_agent.state import HostNodes, Port, Right, Thing

DEPTH = 5  # slashes in a device's path
ACCESS = HostNodes(root=100000, group=100997)


@dataclass(slots=True)
class Inside:
    """All such containers, by name."""

    nodes: dict[VmId, dict[str, Right]] = field(default_factory=dict)
    told: dict[VmId, dict[str, Thing]] = field(default_factory=dict)
    cramped: bool = False  # no node can be made
    deaf: bool = False  # nobody hears anything

    def open(self, name: VmId) -> None:
        self.nodes[name], self.told[name] = {}, {}

    def close(self, name: VmId) -> None:
        self.nodes.pop(name, None)
        self.told.pop(name, None)

    def perform(self, action: actions.Action, rights: set[Right], at: float) -> events.Event | None:
        match action:
            case actions.MakeNode(container=name, right=right, name=node):
                assert right in rights, "a node without its right"
                if self.cramped or name not in self.nodes:
                    return events.NodeNotMade(at=at, container=name, right=right, detail="full")
                self.nodes[name][node] = right
                return events.NodeMade(at=at, container=name, right=right)
            case actions.RemoveNode(container=name, right=right, name=node):
                if self.nodes.get(name, {}).get(node) == right:
                    del self.nodes[name][node]
            case actions.Announce(container=name, event=event, thing=thing):
                return self._hear(name, event, thing, at)
        return None

    def _hear(self, name: VmId, event: str, thing: Thing, at: float) -> events.Event | None:
        if self.deaf:
            return events.NotTold(at=at, container=name, devpath=thing.devpath, detail="it hangs")
        told = self.told.get(name, {})
        if event == "remove":
            told.pop(thing.devpath, None)
            return None
        assert thing.right is None or thing.right in self.nodes[name].values(), "told before its node was there"
        above = thing.devpath.rpartition("/")[0]
        assert thing.devpath.count("/") == DEPTH or above in told, "told before what it is part of"
        told[thing.devpath] = thing
        return None

    def check(self, containers: Iterable[VmId], rights: dict[VmId, set[Right]], things: dict[VmId, set[str]]) -> None:
        """At rest: a node for each right and no other, and everything that is there was told, nothing else."""
        assert set(self.nodes) == set(containers)
        for name, nodes in self.nodes.items():
            assert set(nodes.values()) == rights[name]
            assert set(self.told[name]) == things[name]


def things_of(port: Port, number: Right, children: Iterable[Right], *, authorised: bool) -> tuple[Thing, ...]:
    """A device, its interface once drivers may have it, and what they made of it; parents first."""
    root = f"/devices/platform/{port.hub.name}/{port.half}/{port.rhport}"
    interface = f"{root}/1.0"
    found = [Thing(devpath=root, properties=("SUBSYSTEM=usb", f"DEVNAME=usb/{port}"), right=number)]
    if authorised:
        found.append(Thing(devpath=interface, properties=("SUBSYSTEM=usb",)))
    for right in sorted(children):
        words = ("SUBSYSTEM=tty", f"DEVNAME=tty{right.number.minor}")
        path = f"{interface}/tty{right.number.minor}"
        found.append(Thing(devpath=path, properties=words, right=right))
    return tuple(found)
