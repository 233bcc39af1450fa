"""PURE: what must be repaired when the state is held against a look at the whole kernel.

It runs at the start, after lost events and each minute; events only make it faster. Whatever changed after the look
began is left to the events.
"""

from dataclasses import replace

from qvd_usbip.ack import AckState
from qvd_usbip.ids import VmId
from server_agent import devices, exposure, leases
from server_agent.actions import ClearLeftover, CloseGate, DetachPort, PutInForce, Revoke, TearDown
from server_agent.draft import Draft
from server_agent.events import DeviceSeen, NodeAdded, NodeRemoved, Observed, UsbAdded
from server_agent.state import (
    APPEAR_SECONDS,
    LOST_SECONDS,
    START_SECONDS,
    Container,
    Device,
    Hold,
    Phase,
    Port,
    Stage,
)


def reconcile(draft: Draft, seen: Observed) -> None:
    """Bring state, rights and ports in line with what was seen; a second look at the repaired kernel does nothing."""
    hubs(draft, seen)
    strangers(draft, seen)
    owed(draft)
    abandoned(draft, seen)
    for container in list(draft.state.containers.values()):
        if container.phase == Phase.IN_FORCE and container.since < seen.at:
            in_force(draft, seen, container)
        elif container.phase == Phase.RELEASING:
            devices.take_all(draft, container.name)
            leaving(draft, seen, container)
        elif container.since + LOST_SECONDS < seen.at:
            lost(draft, container)
    exposure.forget(draft, seen)
    looked(draft, seen)
    if draft.state.unrecorded:
        draft.remember()


def hubs(draft: Draft, seen: Observed) -> None:
    """Note which hubs there are; ports in quarantine that are seen empty may be lent again."""
    draft.state = replace(
        draft.state,
        hubs={hub: found.buses for hub, found in seen.hubs.items()},
        ports_per_half=seen.ports_per_half,
    )
    kept = {
        lease: reason
        for lease, reason in draft.state.quarantine.items()
        if lease.hub not in seen.hubs or any(lease.covers(port.hub, port.rhport) for port in seen.hubs[lease.hub].used)
    }
    if kept != draft.state.quarantine:
        draft.state = replace(draft.state, quarantine=kept)
        draft.remember()


def strangers(draft: Draft, seen: Observed) -> None:
    """Containers the ledger does not know: one that runs keeps what is its alone, of the others nothing is left."""
    unknown = {
        name: left
        for name, left in sorted(seen.leftovers.items())
        if name not in draft.state.containers and not just_forgotten(draft, seen, name)
    }
    draft.do(*(ClearLeftover(container=name) for name, left in unknown.items() if not left.running))
    running = {name: left for name, left in unknown.items() if left.running}
    claims = [*draft.state.leases(), *(lease for left in running.values() if (lease := left.lease) is not None)]
    for name, left in running.items():
        lease = left.lease
        alone = lease is not None and sum(lease.meets(claim) for claim in claims) == 1
        hub = left.hub if alone and left.hub in seen.hubs else None
        container = Container(
            name=name, hub=hub, phase=Phase.IN_FORCE, backend=left.backend, broker_gid=left.broker_gid,
            nodes=left.nodes,
        )  # fmt: skip
        draft.put_container(container if hub is None else replace(container, ports=left.ports))
        draft.remember()


def owed(draft: Draft) -> None:
    """Try again what could not be revoked."""
    draft.do(*(Revoke(container=name, right=right) for name, right in sorted(draft.state.revoking)))


def just_forgotten(draft: Draft, seen: Observed, what: Port | VmId) -> bool:
    """Whether it was there until after the look began, so that it may have been seen although it is gone."""
    return draft.state.forgotten.get(what, seen.at) > seen.at


def looked(draft: Draft, seen: Observed) -> None:
    """Later looks begin later: what was forgotten before this one began cannot be seen any more."""
    kept = {what: at for what, at in draft.state.forgotten.items() if at > seen.at}
    draft.state = replace(draft.state, forgotten=kept)


def abandoned(draft: Draft, seen: Observed) -> None:
    """What a dead agent left to containers that it was releasing blocks its numbers until it is taken away."""
    for container in list(draft.state.containers.values()):
        if container.phase == Phase.RELEASING and container.since < seen.at:
            strays(draft, seen, container.name)


def lost(draft: Draft, container: Container) -> None:
    """What was begun for a container never ended: one that starts is refused, one that ends is ended again."""
    if container.phase == Phase.TEARING:
        draft.put_container(replace(container, since=draft.now))
        draft.do(TearDown(container=container.name, hub=container.hub, ports=container.ports))
        return
    draft.answer(container.requests, "internal", reason="what a container needs was not made in time")
    leases.give_up(draft, container)


def leaving(draft: Draft, seen: Observed, container: Container) -> None:
    """A container that is released: its ports that became free unnoticed, and those that did not."""
    hub = seen.hubs.get(container.hub) if container.hub is not None else None
    for device in list(draft.state.devices_of(container.name)):
        if device.changed < seen.at:
            absent(draft, seen, device, attached=hub is not None and device.port in hub.used)


def in_force(draft: Draft, seen: Observed, container: Container) -> None:
    """One container: still there, rights and gate in force, listening, each device right."""
    name = container.name
    if name not in seen.running and container.since + START_SECONDS < seen.at:
        devices.release(draft, name, None)
        return
    if seen.rights.get(name) is None:
        draft.do(
            PutInForce(
                container=name, hub=container.hub, ports=container.ports, backend=container.backend, fresh=False
            )
        )  # fmt: skip
    if not container.broker_open:
        draft.do(leases.open_broker(container))
    hub = seen.hubs.get(container.hub) if container.hub is not None else None
    if hub is not None and container.hub is not None:
        if not hub.gate_closed:
            draft.do(CloseGate(hub=container.hub))
        ports(draft, seen, container, hub.used)
    else:
        hubless(draft, seen, name)
    strays(draft, seen, name)


def hubless(draft: Draft, seen: Observed, name: VmId) -> None:
    """The hub went away with the module: so did all that was on it, whether that was heard or not."""
    for device in list(draft.state.devices_of(name)):
        if device.changed < seen.at:
            absent(draft, seen, device, attached=False)


def ports(draft: Draft, seen: Observed, container: Container, used: frozenset[Port]) -> None:
    """Each port of the container's hub: what is there, what should be there."""
    known = {device.port for device in draft.state.devices_of(container.name)}
    there = {port for port in {*seen.devices, *used} if container.has(port)}
    for port in sorted(known | there):
        device = draft.state.devices.get(port)
        if just_forgotten(draft, seen, port) or (device is not None and device.changed >= seen.at):
            continue
        found = seen.devices.get(port)
        if found is not None:
            present(draft, seen, container, device, found)
        elif device is not None:
            absent(draft, seen, device, attached=port in used)
        else:  # an attach nobody remembers: it has the usual time to become a device
            draft.put_device(
                Device(
                    port=port, container=container.name, stage=Stage.ATTACHED,
                    deadline=draft.now + APPEAR_SECONDS,
                )
            )  # fmt: skip


def present(draft: Draft, seen: Observed, container: Container, device: Device | None, found: DeviceSeen) -> None:
    """A device is there: adopt it, notice that it is another one, or see to its children."""
    if device is None or (device.stage == Stage.ATTACHED and device.number is None):
        adopt(draft, seen, container, device, found)
    elif device.number != found.number:
        devices.gone(draft, device)
    elif device.stage == Stage.DETACHING:
        if device.stuck or overdue(seen, device):
            retry(draft, device)
    elif device.stage == Stage.AUTHORISED:
        children(draft, seen, device, found)


def adopt(draft: Draft, seen: Observed, container: Container, device: Device | None, found: DeviceSeen) -> None:
    """A device whose coming was missed. One that was let through before keeps its rights; any other is judged."""
    allowed = seen.rights.get(container.name) or frozenset()
    if not (found.authorised and found.number in allowed):
        devices.usb_added(
            draft,
            UsbAdded(at=draft.now, port=found.port, busid=found.busid, number=found.number, name=found.name),
        )
        judged = devices.current(draft, found.port, found.number, Stage.INSPECTING)
        if judged is not None:  # no event will tell of what drivers have made of it already
            draft.put_device(replace(judged, names={**judged.names, **found.children}))
        return
    device = device or Device(port=found.port, container=container.name)
    names = {found.number: found.name, **found.children}
    device = draft.put_device(
        replace(
            device, stage=Stage.AUTHORISED, deadline=None, busid=found.busid, number=found.number, names=names,
            rights={right: Hold.GRANTED for right in names if right in allowed},
        )
    )  # fmt: skip
    for right in device.rights:
        devices.raise_limits(draft, device.port, right)
    draft.reach(device, AckState.AUTHORISED)
    progress = draft.state.progress.get(device.attach_id)
    if progress is not None and progress.node:
        draft.reach(device, AckState.READY)
    children(draft, seen, device, found)


def children(draft: Draft, seen: Observed, device: Device, found: DeviceSeen) -> None:
    """Every number below the device has its right, in the map too, and no other has one."""
    for right in [right for right in device.rights if right != found.number and right not in found.children]:
        devices.node_removed(draft, NodeRemoved(at=draft.now, port=device.port, right=right))
    if any(exposure.open_elsewhere(seen, device, right) for right in found.children if right not in device.rights):
        devices.finish(draft, device, AckState.FAILED, exposure.PROBLEM)
        return
    for right, name in found.children.items():
        devices.node_added(draft, NodeAdded(at=draft.now, port=device.port, right=right, name=name))
    allowed = seen.rights.get(device.container)
    if allowed is None:
        return
    device = draft.state.devices[device.port]
    for right, hold in device.rights.items():
        missing = hold == Hold.GRANTED and right not in allowed
        missing = missing or (hold == Hold.GRANTING and overdue(seen, device))
        if missing or (hold == Hold.WANTED and not draft.blocked(right)):
            current = draft.state.devices[device.port]
            current = draft.put_device(replace(current, rights={**current.rights, right: Hold.WANTED}))
            draft.grant(current, right)


def absent(draft: Draft, seen: Observed, device: Device, *, attached: bool) -> None:
    """Nothing enumerates on a port the agent uses."""
    if device.number is not None and device.stage != Stage.DETACHING:
        devices.gone(draft, device)
    elif device.stage == Stage.ATTACHED and not attached:
        progress = draft.state.progress.get(device.attach_id)
        was_in_use = progress is not None and AckState.AUTHORISED in progress.at
        devices.finish(draft, device, AckState.GONE if was_in_use else AckState.FAILED, "peer-gone")
    elif device.stage == Stage.DETACHING and not attached:
        devices.port_free(draft, device.port)
    elif device.stuck or (device.stage == Stage.DETACHING and overdue(seen, device)):
        retry(draft, device)


def overdue(seen: Observed, device: Device) -> bool:
    """Whether the result of what was last asked for this device has been lost."""
    return device.changed + LOST_SECONDS < seen.at


def retry(draft: Draft, device: Device) -> None:
    """Detach once more."""
    draft.put_device(replace(device, stuck=False))
    draft.do(DetachPort(port=device.port))


def strays(draft: Draft, seen: Observed, name: VmId) -> None:
    """A number in the map that no device accounts for is taken out, unless it went since the look began."""
    mine = list(draft.state.devices_of(name))
    if any(device.changed >= seen.at and device.changed != draft.now for device in mine):
        return
    expected = {right for device in mine for right in device.rights}
    expected |= {right for owing, right in draft.state.revoking if owing == name}
    expected |= {right for right, by in draft.state.taken.items() if name in by and by[name].at >= seen.at}
    for right in sorted((seen.rights.get(name) or frozenset()) - expected):
        draft.state = replace(draft.state, revoking=draft.state.revoking | {(name, right)})
        draft.do(Revoke(container=name, right=right))
