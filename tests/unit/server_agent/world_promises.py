"""PURE: what must hold of kernel and agent: always, at each authorisation, and at rest."""

from typing import TYPE_CHECKING

from qvd_usbip.ids import VmId
from server_agent import events, exposure
from server_agent.ledger import parse_ledger
from server_agent.state import Port, Right, Stage, State
from tests.unit.server_agent.world_hubs import BOOT, Plugged

if TYPE_CHECKING:
    from tests.unit.server_agent.world import World


def check_maps(world: "World") -> None:
    """No number is open to two containers."""
    note_exposed(world)
    open_to_some = [right for rights in world.maps.values() for right in rights]
    assert len(open_to_some) == len(set(open_to_some))


def owner_of(world: "World", port: Port) -> VmId | None:
    """Whose port it is; one that gave its hub back and whose agent could not record it may go on with it."""
    owner = next((name for name, lease in world.mounts.items() if lease and lease.covers(port.hub, port.rhport)), None)
    known = world.state.owner(port)
    return known.name if owner is None and known is not None and world.began_outdated else owner


def unrecorded(world: "World") -> set[VmId]:
    """Who gave its hub back by hand, and a later agent does not know it: the disk was full. It may go on with it."""
    known = world.state.containers if world.began_outdated else {}
    return {name for name, container in known.items() if container.hub is not None and world.mounts[name] is None}


def note_exposed(world: "World") -> None:
    """Whatever number of a device another container may open at this moment."""
    for port, plugged in world.plugged.items():
        for name in world.maps.keys() - {owner_of(world, port)}:
            for right in plugged.numbers & world.maps[name]:
                plugged.expose(name, right)


def check_condemned(world: "World", before: State, event: events.Event) -> None:
    """Nothing is taken away for a number that nobody else could open."""
    if not isinstance(event, events.UsbAdded | events.NodeAdded) or event.since is None or world.revokes_lost:
        return
    device, plugged = world.state.devices.get(event.port), world.plugged.get(event.port)
    if device is None or plugged is None or device.stage != Stage.DETACHING:
        return
    was = before.devices.get(event.port)
    if was is not None and was.stage == Stage.DETACHING:
        return
    progress = world.state.progress.get(device.attach_id)
    if progress is not None and progress.problem == exposure.PROBLEM:
        right = event.number if isinstance(event, events.UsbAdded) else event.right
        assert right in plugged.ever_exposed


def check_authorise(world: "World", port: Port, plugged: Plugged) -> None:
    """Only what was judged and written down, has its right, and whose number is open to nobody else."""
    owner = owner_of(world, port)
    assert owner is not None
    assert not plugged.is_hub
    assert world.state.isochronous or not plugged.isochronous
    assert plugged.number in world.maps[owner]
    device = world.state.devices[port]
    if not world.outdated and device.attach_id in world.state.progress:
        assert parse_ledger(world.ledger, BOOT, world.now).device_of_attach(owner, device.attach_id) is not None
    assert all(right != plugged.number for _, right in world.state.revoking)


def check_rest(world: "World") -> None:
    """At rest: right exactly where attached, let through and owned; a free lease has an empty hub or is held."""
    given_back = unrecorded(world)
    assert all(world.mounts[name] == c.lease for name, c in world.state.containers.items() if name not in given_back)
    assert not world.state.unrecorded
    expected: dict[VmId, set[Right]] = {name: set() for name in world.maps}
    there: dict[VmId, set[str]] = {name: set() for name in world.maps}
    for port, plugged in world.plugged.items():
        owner = world.state.owner(port)
        if owner is not None and port not in world.stubborn:
            assert plugged.authorised, "left waiting"
            assert not plugged.exposed, "left with a number that was open to another container"
            expected[owner.name] |= {plugged.number, *plugged.children}
            there[owner.name] |= {thing.devpath for thing in world.things(port)}
    assert world.maps == expected
    assert not world.state.revoking
    for port in world.attached:
        held = any(lease.covers(port.hub, port.rhport) for lease in world.state.quarantine)
        assert held or world.state.owner(port) is not None or port not in world.stubborn
    assert set(world.maps) == set(world.state.containers)
    assert world.brokers == set(world.state.containers)
    hosts = [name for name, c in world.state.containers.items() if c.nodes is not None and name not in given_back]
    world.inside.check(hosts, expected, there)
