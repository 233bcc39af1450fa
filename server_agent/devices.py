"""PURE: the life of one device: port chosen, attached, inspected, right granted, authorised, taken away."""

from dataclasses import replace

from qvd_usbip import vhci
from qvd_usbip.ack import AckState
from qvd_usbip.errors import NODE_UNSEEN
from qvd_usbip.ids import VmId
from server_agent import events, exposure, leases
from server_agent.actions import (
    AttachPort,
    Authorise,
    DetachPort,
    InhibitKeys,
    Inspect,
    Judged,
    LookAround,
    RaiseLimits,
)
from server_agent.draft import Draft
from server_agent.judgement import judge
from server_agent.lending import Lease
from server_agent.state import (
    APPEAR_SECONDS,
    PENDING_LIMIT,
    SETTLE_SECONDS,
    Device,
    Half,
    Hold,
    Phase,
    Port,
    Progress,
    Right,
    Stage,
)

IN_USE = (Stage.AUTHORISED, Stage.DETACHING)


def attach(draft: Draft, event: events.Attach) -> None:
    """A socket is to be attached: judge the request and choose a port."""
    container = draft.state.containers.get(event.container)
    if container is None or container.phase != Phase.IN_FORCE:
        draft.answer((event.request,), "container-unknown", container=str(event.container))
    elif container.lease is None:
        draft.answer((event.request,), container.without_usb, container=str(event.container))
    elif event.attach_id in draft.state.progress:
        draft.answer((event.request,), "broker-protocol", reason="this attach id was used before")
    elif sum(d.stage not in IN_USE for d in draft.state.devices_of(container.name)) >= PENDING_LIMIT:
        draft.answer((event.request,), "slave-limit", container=str(event.container))
    else:
        draft.put_progress(event.attach_id, Progress(container=container.name, started=event.at))
        start(draft, event, container.lease, frozenset(), (event.request,))


def start(
    draft: Draft, event: events.Attach | Device, lease: Lease, tried: frozenset[Port], requests: tuple[int, ...]
) -> None:
    """Take the first port of the lease on the right half that was not tried yet, or say that there is none."""
    half: Half = "ss" if vhci.half_of(event.speed) == "ss" else "hs"
    numbers = (number for number in range(draft.state.ports_per_half) if number in lease.ports)
    ports = (Port(hub=lease.hub, half=half, rhport=number) for number in numbers)
    port = next((p for p in ports if p not in draft.state.devices and p not in tried), None)
    device = Device(
        port=port or Port(hub=lease.hub, half=half, rhport=lease.ports.first), container=event.container,
        attach_id=event.attach_id, devid=event.devid, speed=event.speed, tried=tried, requests=requests,
    )  # fmt: skip
    if port is None:
        draft.reach(device, AckState.FAILED, "no-free-port")
        draft.answer(requests, "no-free-port", hub=str(lease))
        return
    draft.put_device(device)
    draft.do(AttachPort(port=port, attach_id=device.attach_id, devid=device.devid, speed=device.speed))


def attached(draft: Draft, event: events.Attached) -> None:
    """The kernel has the socket: wait for the device, unless it was given up meanwhile."""
    device = draft.state.devices.get(event.port)
    if device is None or device.stage != Stage.ATTACHING:
        return
    draft.reach(device, AckState.ATTACHED)
    draft.answer(device.requests)
    device = draft.put_device(replace(device, stage=Stage.ATTACHED, requests=(), deadline=event.at + APPEAR_SECONDS))
    draft.remember_soon()
    if device.end is not None:
        finish(draft, device, device.end)


def port_busy(draft: Draft, event: events.PortBusy) -> None:
    """The port was taken after all: try the next one."""
    device = draft.state.devices.get(event.port)
    if device is None or device.stage != Stage.ATTACHING:
        return
    draft.drop_device(device)
    lease = draft.state.containers[device.container].lease
    if device.end is None and lease is not None:
        start(draft, device, lease, device.tried | {device.port}, device.requests)
    else:
        draft.answer(device.requests, "attach-failed", hub=event.port.hub.name, reason="given up meanwhile")
        leases.settle(draft, device.container)


def attach_failed(draft: Draft, event: events.AttachFailed) -> None:
    """The kernel refused the socket: nothing is attached."""
    device = draft.state.devices.get(event.port)
    if device is None or device.stage != Stage.ATTACHING:
        return
    draft.reach(device, AckState.FAILED, "attach-failed")
    draft.answer(device.requests, "attach-failed", hub=event.port.hub.name, reason=event.detail)
    draft.drop_device(device)
    leases.settle(draft, device.container)


def usb_added(draft: Draft, event: events.UsbAdded) -> None:
    """Something enumerated, unauthorised: look at it; a device no attach is known for is judged the same way."""
    owner = draft.state.owner(event.port)
    if owner is None or owner.phase != Phase.IN_FORCE:
        return
    device = draft.state.devices.get(event.port) or Device(port=event.port, container=owner.name, stage=Stage.ATTACHED)
    if device.stage == Stage.DETACHING or device.number == event.number:
        return
    if device.number is not None:  # it enumerated anew: the connection has ended
        gone(draft, device)
        return
    if exposure.exposed(draft.state, device, event.number, event.since):
        stale = draft.state.holder(event.number)
        if stale is not None:
            gone(draft, stale)
        finish(draft, device, AckState.FAILED, exposure.PROBLEM)
    elif device.stage == Stage.ATTACHED:
        draft.put_device(
            replace(
                device, stage=Stage.INSPECTING, busid=event.busid, number=event.number,
                names={event.number: event.name}, deadline=event.at + SETTLE_SECONDS,
            )
        )  # fmt: skip
        draft.do(Inspect(port=event.port, busid=event.busid, number=event.number))


def inspected(draft: Draft, event: events.Inspected) -> None:
    """Policy decides about what enumerated; the right to its node comes before any driver."""
    device = current(draft, event.port, event.number, Stage.INSPECTING)
    if device is None:
        return
    problem = judge(event, isochronous_allowed=draft.state.isochronous)
    draft.do(
        Judged(
            container=device.container, busid=event.device.busid, vidpid=str(event.device.vidpid),
            serial=event.device.serial, isochronous=event.isochronous, problem=problem,
        )
    )  # fmt: skip
    if problem:
        finish(draft, device, AckState.REFUSED, problem)
        return
    stale = draft.state.holder(event.number)
    if stale is not None:
        gone(draft, stale)
    draft.grant(replace(device, stage=Stage.GRANTING), event.number)


def failed(draft: Draft, event: events.InspectFailed | events.AuthoriseFailed, stage: Stage, problem: str) -> None:
    """A step with the device failed: give it up."""
    device = current(draft, event.port, event.number, stage)
    if device is not None:
        finish(draft, device, AckState.FAILED, problem)


def granted(draft: Draft, event: events.Granted) -> None:
    """A right was read back; for the device's own node: authorise."""
    device = draft.state.holder(event.right)
    if device is None or device.container != event.container or device.rights[event.right] != Hold.GRANTING:
        return
    device = draft.put_device(replace(device, rights={**device.rights, event.right: Hold.GRANTED}))
    if device.stage == Stage.GRANTING and event.right == device.number and device.busid is not None:
        draft.reach(device, AckState.GRANTED)
        draft.put_device(replace(device, stage=Stage.AUTHORISING))
        draft.do(Authorise(port=device.port, busid=device.busid, number=event.right))


def grant_failed(draft: Draft, event: events.GrantFailed) -> None:
    """A right could not be given, or not surely: take it back; for a child's the next look around tries again."""
    device = draft.state.holder(event.right)
    if device is None or device.container != event.container:
        return
    if event.right == device.number:
        finish(draft, device, AckState.FAILED, "rights-failed")
    else:
        draft.revoke(device, (event.right,))


def authorised(draft: Draft, event: events.Authorised) -> None:
    """Drivers have it, or had it before it was found: look for what came unheard."""
    device = current(draft, event.port, event.number, Stage.AUTHORISING)
    if device is None:
        return
    device = draft.put_device(replace(device, stage=Stage.AUTHORISED, deadline=None))
    draft.reach(device, AckState.AUTHORISED)
    progress = draft.state.progress.get(device.attach_id)
    if progress is None or device.names.keys() - device.rights.keys():
        draft.do(LookAround())
    if progress is None:
        return
    if progress.node:
        draft.reach(device, AckState.READY)
    draft.remember_soon()


def ready(draft: Draft, event: events.Ready) -> None:
    """The image has the node and checked the user's access; it counts from the moment the device is authorised."""
    device = draft.state.device_of_attach(event.container, event.attach_id)
    progress = draft.state.progress.get(event.attach_id)
    if device is None or progress is None:
        draft.answer((event.request,), "device-gone", busid=event.attach_id)
        return
    draft.put_progress(event.attach_id, replace(progress, node=event.node))
    if device.stage == Stage.AUTHORISED:
        draft.reach(device, AckState.READY)
        draft.remember_soon()
    draft.answer((event.request,))


def unseen(draft: Draft, event: events.Unseen) -> None:
    """Nobody in the container speaks for the device, and the host cannot: its user is told so, until it can."""
    progress = draft.state.progress.get(event.attach_id)
    waits = progress is not None and progress.state is AckState.AUTHORISED
    if progress is not None and waits and progress.container == event.container:
        draft.put_progress(event.attach_id, replace(progress, problem=NODE_UNSEEN.code))
    draft.answer((event.request,))


def node_added(draft: Draft, event: events.NodeAdded) -> None:
    """A child of a device has a number: its container gets the right; a number that was open to another one ends it."""
    device = draft.state.devices.get(event.port)
    if device is None or device.stage not in {Stage.AUTHORISING, Stage.AUTHORISED} or event.right in device.rights:
        return
    was_exposed = exposure.exposed(draft.state, device, event.right, event.since)
    stale = draft.state.holder(event.right)
    if stale is not None:
        lose(draft, stale, event.right)
        device = draft.state.devices[event.port]
    if was_exposed:
        finish(draft, device, AckState.FAILED, exposure.PROBLEM)
        return
    raise_limits(draft, event.port, event.right)
    draft.grant(replace(device, names={**device.names, event.right: event.name}), event.right)


def keys_added(draft: Draft, event: events.KeysAdded) -> None:
    """Keys of a stranger: no listener of this host gets them, whoever the device was lent to; it is read as hidraw."""
    draft.do(InhibitKeys(devpath=event.devpath))


def raise_limits(draft: Draft, port: Port, right: Right) -> None:
    """A disk over a network is slow by its round trips: ask for larger requests, where the administrator lets us."""
    if right.kind == "b" and draft.state.disk_request_kib:
        draft.do(RaiseLimits(port=port, right=right, request_kib=draft.state.disk_request_kib))


def node_removed(draft: Draft, event: events.NodeRemoved) -> None:
    """A child is gone: its right goes with it."""
    device = draft.state.devices.get(event.port)
    if device is not None and event.right in device.rights and event.right != device.number:
        draft.revoke(device, (event.right,))


def usb_removed(draft: Draft, event: events.UsbRemoved) -> None:
    """The device is gone: so are its rights, and the port is emptied; a late event about an older one is ignored."""
    device = draft.state.devices.get(event.port)
    if device is not None and device.number == event.number:
        gone(draft, device)


def gone(draft: Draft, device: Device) -> None:
    """The device is no longer there: its rights go at once, one that is being detached included."""
    finish(draft, draft.revoke(device, tuple(device.rights)), AckState.GONE)


def lose(draft: Draft, device: Device, right: Right) -> None:
    """A number turned up elsewhere: what the agent believed about it is stale."""
    if right == device.number:
        gone(draft, device)
    else:
        draft.revoke(device, (right,))


def finish(draft: Draft, device: Device, outcome: AckState, problem: str = "") -> None:
    """Take a device away: no new opens from now on, and detach, since what is open already outlives a right."""
    if device.stage == Stage.DETACHING:
        return
    draft.reach(device, outcome, problem)
    if device.stage == Stage.ATTACHING:  # the kernel is being asked at this moment
        draft.put_device(replace(device, end=outcome))
        return
    device = draft.revoke(device, tuple(device.rights))
    draft.put_device(replace(device, stage=Stage.DETACHING, end=outcome, deadline=None))
    draft.do(DetachPort(port=device.port))


def port_free(draft: Draft, port: Port) -> None:
    """Nothing is attached any more: forget the device, let those who wait go on."""
    device = draft.state.devices.get(port)
    if device is None or device.stage != Stage.DETACHING:
        return
    draft.drop_device(device)
    draft.answer(device.requests)
    draft.remember_soon()
    leases.settle(draft, device.container)


def detach_failed(draft: Draft, event: events.DetachFailed) -> None:
    """The port would not become free: nobody may open the device all the same; the next look around tries again."""
    device = draft.state.devices.get(event.port)
    if device is None or device.stage != Stage.DETACHING:
        return
    draft.answer(device.requests, "attach-failed", hub=event.port.hub.name, reason=event.detail)
    draft.put_device(replace(device, stuck=True, requests=()))
    leases.settle(draft, device.container)


def detach_asked(draft: Draft, event: events.DetachAsked) -> None:
    """The container gives one of its own devices back; one that is gone already is no failure."""
    device = draft.state.device_of_attach(event.container, event.attach_id)
    if device is None:
        draft.answer((event.request,))
    else:
        take_away(draft, device, event.request)


def revoke_asked(draft: Draft, event: events.RevokeAsked) -> None:
    """The administrator takes a device away, named as the host sees it."""
    found = (d for d in draft.state.devices_of(event.container) if d.busid == event.busid)
    device = next(found, None)
    if event.container not in draft.state.containers:
        draft.answer((event.request,), "container-unknown", container=str(event.container))
    elif device is None:
        draft.answer((event.request,), "device-not-attached", busid=str(event.busid), container=str(event.container))
    else:
        take_away(draft, device, event.request)


def take_away(draft: Draft, device: Device, request: int) -> None:
    """Detach on request; the answer comes when the port is free."""
    device = draft.put_device(replace(device, requests=(*device.requests, request)))
    if device.stuck:
        device = draft.put_device(replace(device, stuck=False))
        draft.do(DetachPort(port=device.port))
    finish(draft, device, AckState.GONE)


def clock(draft: Draft) -> None:
    """Give up what did not appear, or did not settle, in time."""
    for device in list(draft.state.devices.values()):
        if device.deadline is not None and device.deadline <= draft.now:
            finish(draft, device, AckState.FAILED, "device-timeout")


def wake(draft: Draft, right: Right) -> None:
    """The number is nobody's any more: whoever waits for it gets it."""
    waiting = None if draft.blocked(right) else next(draft.state.claimants(right), None)
    if waiting is not None:
        draft.grant(waiting, right)


def current(draft: Draft, port: Port, number: Right, stage: Stage) -> Device | None:
    """The device on this port if it still is this one and at this stage."""
    device = draft.state.devices.get(port)
    return device if device is not None and device.number == number and device.stage == stage else None


def release(draft: Draft, name: VmId, request: int | None) -> None:
    """Take every device of a container away, then its hub."""
    if leases.begin_release(draft, name, request):
        take_all(draft, name)


def take_all(draft: Draft, name: VmId) -> None:
    """Take away what a container that is being released still has."""
    for device in list(draft.state.devices_of(name)):
        finish(draft, device, AckState.GONE)
    leases.settle(draft, name)
