"""PURE: containers whose nodes the host makes: a node for each right in force, and what they are told.

Both follow from devices and rights, after every event: nothing else decides about a node. A node goes with its right;
a container hears of a thing once its node is there, and of a parent before its children.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from qvd_usbip.ids import VmId
from server_agent import events
from server_agent.actions import Announce, MakeNode, RemoveNode
from server_agent.draft import Draft
from server_agent.state import Container, Device, Hold, HostNodes, Node, Phase, Port, Right, Stage, State, Thing

ADD, REMOVE = "add", "remove"
THINGS = 512  # of one port; a device with more is not believed
ROOT_PARTS = 6  # "/devices/platform/vhci_hcd.N/usbB/B-P"


def name_inside(container: Container | None, name: str) -> str:
    """Where below its /dev a container has a node: the host's stand in a folder of their own, but for usbfs."""
    plain = container is None or container.nodes is None or name.startswith("bus/usb/")
    return name if plain else f"qvd/{name}"


# after each event ----------------------------------------------------------------------------------------------------
def follow(draft: Draft, before: State) -> None:
    """Bring nodes and what was told in line with the devices that one event has changed."""
    old, new = before.devices, draft.state.devices
    for port in [port for port in draft.touched if old.get(port) is not new.get(port)]:
        device = new.get(port) or old[port]
        container = draft.state.containers.get(device.container) or before.containers.get(device.container)
        if container is None or container.nodes is None:
            continue
        _nodes(draft, container.name, container.nodes, wanted_nodes(new.get(port)), known_to(old.get(port)))
        if port in new and device.stage != Stage.DETACHING:
            tell(draft, container, device)
        else:
            forget(draft, container, port)


def wanted_nodes(device: Device | None) -> dict[Right, str]:
    """The nodes a device should have: one for each right that was read back."""
    if device is None:
        return {}
    return {r: device.names[r] for r, hold in device.rights.items() if hold == Hold.GRANTED and device.names.get(r)}


def known_to(device: Device | None) -> Iterable[Right]:
    """The rights a device had any business with."""
    return () if device is None else device.rights


def _nodes(draft: Draft, container: VmId, access: HostNodes, wanted: Mapping[Right, str], had: Iterable[Right]) -> None:
    for right in had:
        node = draft.state.nodes.get((container, right))
        if right not in wanted and node is not None:
            _put_node(draft, container, right, None)
            draft.do(RemoveNode(container=container, right=right, name=node.name))
    for right, name in wanted.items():
        if (container, right) not in draft.state.nodes:
            make(draft, container, access, right, name)


def make(draft: Draft, container: VmId, access: HostNodes, right: Right, name: str) -> None:
    """Have a node made."""
    _put_node(draft, container, right, Node(name=name))
    draft.do(MakeNode(container=container, right=right, name=name, access=access))


def node_made(draft: Draft, event: events.NodeMade) -> None:
    """A node is there: tell of it, unless it was given up meanwhile."""
    node = draft.state.nodes.get((event.container, event.right))
    if node is None:
        return
    _put_node(draft, event.container, event.right, replace(node, made=True))
    device, container = draft.state.holder(event.right), draft.state.containers.get(event.container)
    if device is not None and container is not None and device.container == event.container:
        tell(draft, container, device)


def node_not_made(draft: Draft, event: events.NodeNotMade) -> None:
    """There is none: the next look around tries again."""
    _put_node(draft, event.container, event.right, None)


def _put_node(draft: Draft, name: VmId, right: Right, node: Node | None) -> None:
    kept = {key: known for key, known in draft.state.nodes.items() if key != (name, right)}
    draft.state = replace(draft.state, nodes=kept if node is None else {**kept, (name, right): node})


# what the kernel says ------------------------------------------------------------------------------------------------
def heard(draft: Draft, event: events.Heard) -> None:
    """Pass an event on: a coming when its turn is there, the rest if the container knows what it is about."""
    device = draft.state.devices.get(event.port)
    container = draft.state.containers.get(device.container) if device is not None else None
    if device is None or container is None or container.nodes is None or device.stage == Stage.DETACHING:
        return
    known = draft.state.things.get(event.port, {}).get(event.thing.devpath)
    if event.event == ADD:
        if known is not None:
            lose(draft, container, event.port, known)
            device = draft.put_device(device)  # changed: a look that began before knows what is no more
        gain(draft, event.port, replace(event.thing, heard=event.at))
        tell(draft, container, device)
    elif known is None:
        return
    elif event.event == REMOVE:
        lose(draft, container, event.port, known)
        draft.put_device(device)  # changed: a look that began before knows nothing of it
    elif known.told:
        draft.do(Announce(container=container.name, event=event.event, thing=event.thing))


def gain(draft: Draft, port: Port, thing: Thing) -> None:
    """Note a thing below a port."""
    things = draft.state.things.get(port, {})
    if len(things) < THINGS:
        _put_things(draft, port, {**things, thing.devpath: thing})


def lose(draft: Draft, container: Container, port: Port, thing: Thing) -> None:
    """Forget a thing below a port, and what is below it, whose going was missed; who was told hears that they went."""
    things = draft.state.things.get(port, {})
    below = f"{thing.devpath}/"
    lost = {path: known for path, known in things.items() if path == thing.devpath or path.startswith(below)}
    _put_things(draft, port, {path: known for path, known in things.items() if path not in lost})
    for known in sorted(lost.values(), key=lambda known: -known.devpath.count("/")):
        if known.told:
            say(draft, container, REMOVE, known)


def forget(draft: Draft, container: Container, port: Port) -> None:
    """Everything below a port is going."""
    for thing in reversed(list(draft.state.things.get(port, {}).values())):
        lose(draft, container, port, thing)


def tell(draft: Draft, container: Container, device: Device) -> None:
    """Announce whatever below a device may be announced by now and was not yet."""
    if device.stage != Stage.AUTHORISED:
        return
    for thing in sorted(draft.state.things.get(device.port, {}).values(), key=lambda thing: thing.devpath.count("/")):
        things = draft.state.things[device.port]
        if not thing.told and _may_be_told(draft, container, thing, things):
            _put_things(draft, device.port, {**things, thing.devpath: replace(thing, told=True)})
            say(draft, container, ADD, thing)


def _may_be_told(draft: Draft, container: Container, thing: Thing, things: Mapping[str, Thing]) -> bool:
    """Its node is there, the device it belongs to was told of, and so was every thing above it."""
    node = draft.state.nodes.get((container.name, thing.right)) if thing.right is not None else None
    if thing.right is not None and (node is None or not node.made):
        return False
    root = "/".join(thing.devpath.split("/")[:ROOT_PARTS])
    above = [other for other in things.values() if thing.devpath.startswith(f"{other.devpath}/")]
    return thing.devpath == root or (root in things and all(other.told for other in above))


def say(draft: Draft, container: Container, event: str, thing: Thing) -> None:
    """Announce one thing, with the link to its node; a container that is going hears nothing more."""
    if container.phase != Phase.IN_FORCE:
        return
    names = [word.removeprefix("DEVNAME=") for word in thing.properties if word.startswith("DEVNAME=")]
    link = names[0] if names and thing.right is not None and not names[0].startswith("bus/usb/") else ""
    draft.do(Announce(container=container.name, event=event, thing=thing, link=link))


def not_told(draft: Draft, event: events.NotTold) -> None:
    """It was not heard: the next look around says it again."""
    for port, things in draft.state.things.items():
        thing = things.get(event.devpath)
        device = draft.state.devices.get(port)
        if thing is not None and device is not None and device.container == event.container:
            _put_things(draft, port, {**things, event.devpath: replace(thing, told=False)})
            return


def _put_things(draft: Draft, port: Port, things: Mapping[str, Thing]) -> None:
    kept = {known: below for known, below in draft.state.things.items() if known != port}
    draft.state = replace(draft.state, things={**kept, port: things} if things else kept)


# a look around -------------------------------------------------------------------------------------------------------
def heal(draft: Draft, seen: events.Observed) -> None:
    """Nodes that are missing are made, those too many removed; what was not told is told."""
    for container in list(draft.state.containers.values()):
        devices = list(draft.state.devices_of(container.name))
        fresh = any(device.changed >= seen.at and device.changed != draft.now for device in devices)
        if container.nodes is None or container.phase != Phase.IN_FORCE or container.since >= seen.at or fresh:
            continue
        _heal_nodes(draft, seen, container.name, container.nodes, devices)
        told = {thing.devpath: thing for thing in seen.told.get(container.name, ())}
        for device in devices:
            found = seen.devices.get(device.port)
            if found is not None and found.number == device.number and device.stage != Stage.DETACHING:
                _heal_things(draft, seen, container, device, told)
                tell(draft, container, device)
        known = {path for device in devices for path in draft.state.things.get(device.port, {})}
        for path in [path for path in reversed(told) if path not in known]:
            say(draft, container, REMOVE, told[path])


def _heal_nodes(
    draft: Draft, seen: events.Observed, container: VmId, access: HostNodes, devices: Iterable[Device]
) -> None:
    there = seen.nodes.get(container, {})
    for right, name in [pair for device in devices for pair in wanted_nodes(device).items()]:
        node = draft.state.nodes.get((container, right))
        if node is None or (node.made and there.get(node.name) != right):
            make(draft, container, access, right, name)
    mine = {node.name: right for (name, right), node in draft.state.nodes.items() if name == container}
    for name, right in sorted(there.items()):
        if mine.get(name) != right:
            draft.do(RemoveNode(container=container, right=right, name=name))


def _heal_things(
    draft: Draft, seen: events.Observed, container: Container, device: Device, told: dict[str, Thing]
) -> None:
    """Hold what is known below one port against what is there and what the container was told, which is kept right."""
    there = {thing.devpath: thing for thing in seen.devices[device.port].things}
    known = draft.state.things.get(device.port, {})
    for path, thing in reversed(list(known.items())):
        if path not in there and thing.heard < seen.at:
            lose(draft, container, device.port, thing)
    left = draft.state.things.get(device.port, {})
    for path in known.keys() - left.keys():
        told.pop(path, None)
    for path, thing in there.items():
        if path not in left:
            gain(draft, device.port, replace(thing, told=path in told, heard=seen.at))
