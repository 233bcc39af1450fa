"""PURE: the life of one container: ports chosen, put in force before it exists, released when it has stopped."""

from dataclasses import replace

from qvd_usbip.ids import VmId
from qvd_usbip.port_range import ALL_PORTS
from server_agent import events
from server_agent.actions import CloseBroker, Grant, OpenBroker, PutInForce, TearDown
from server_agent.draft import Draft
from server_agent.lending import Lease
from server_agent.state import Container, Hold, Phase

STARTING = (Phase.RECORDING, Phase.PREPARING)


def reserve(draft: Draft, event: events.Reserve) -> None:
    """A container is about to start: lease it a hub or ports; with none, or switched off, it starts without USB."""
    name = event.container
    container = draft.state.containers.get(name)
    if event.running:
        draft.answer((event.request,), "container-busy", container=str(name), reason="running")
    elif container is None:
        prepare(draft, on_terms(Container(name=name, hub=None, phase=Phase.RECORDING), event), (event.request,))
    elif container.phase in STARTING:
        draft.answer((event.request,), "container-busy", container=str(name), reason="starting")
    else:  # its last life was not released: first that, then this
        draft.put_container(replace(on_terms(container, event), again=(*container.again, event.request)))


def on_terms(container: Container, event: events.Reserve) -> Container:
    """A container as its configuration and the administrator want it at this start."""
    return replace(
        container, backend=event.backend, broker_gid=event.broker_gid, nodes=event.nodes, lending=event.lending,
        switched_off=not event.enabled,
    )  # fmt: skip


def prepare(draft: Draft, container: Container, requests: tuple[int, ...]) -> None:
    """Choose what is lent, and write that down before anything is made of it."""
    lease = None if container.switched_off else draft.state.free_lease(container.lending)
    draft.put_container(
        replace(
            container, hub=lease.hub if lease else None, ports=lease.ports if lease else ALL_PORTS,
            phase=Phase.RECORDING, broker_open=False, since=draft.now, requests=requests, again=(),
        )
    )  # fmt: skip
    draft.remember()


def remembered(draft: Draft, event: events.Remembered) -> None:
    """What is written down is made; a container whose record is complete may start."""
    del event
    draft.state = replace(draft.state, unrecorded="")
    for container in list(draft.state.containers.values()):
        if container.phase == Phase.RECORDING:
            draft.put_container(replace(container, phase=Phase.PREPARING))
            draft.do(
                PutInForce(
                    container=container.name, hub=container.hub, ports=container.ports, backend=container.backend,
                    nodes=container.nodes,
                )
            )  # fmt: skip
        elif container.phase == Phase.IN_FORCE and container.requests:
            lease = container.lease
            draft.put_container(replace(container, requests=()))
            words = {"hub": str(lease)} if lease else {"hub": "", "without_usb": container.without_usb}
            draft.answer(container.requests, **words)


def not_remembered(draft: Draft, event: events.NotRemembered) -> None:
    """What is not written down is not lent: refuse those who are starting, and undo; all else goes on as it is.

    A later look tries to write again. Until then a restarted agent finds in the kernel what the record lacks.
    """
    draft.state = replace(draft.state, unrecorded=event.detail)
    for container in list(draft.state.containers.values()):
        waiting = container.phase == Phase.RECORDING or (container.phase == Phase.IN_FORCE and container.requests)
        if not waiting:
            continue
        draft.answer(container.requests, "config-unwritable", path=event.path, reason=event.detail)
        if container.phase == Phase.RECORDING:
            draft.drop_container(container)
        else:
            give_up(draft, container)


def in_force(draft: Draft, event: events.InForce) -> None:
    """Gate, map and mounts are there: listen; after a repair, the new map gets the rights of the old one."""
    container = draft.state.containers.get(event.container)
    if container is None:
        return
    if container.phase == Phase.PREPARING:
        draft.do(open_broker(container))
        return
    for device in draft.state.devices_of(container.name):
        held = (right for right, hold in device.rights.items() if hold == Hold.GRANTED)
        draft.do(*(Grant(container=container.name, right=right) for right in held))


def open_broker(container: Container) -> OpenBroker:
    """Listen for this container: its group, and its root where that is not the host's."""
    uid = container.nodes.root if container.nodes is not None else 0
    return OpenBroker(container=container.name, uid=uid, gid=container.broker_gid)


def not_in_force(draft: Draft, event: events.NotInForce) -> None:
    """Nothing is in force: with a hub at fault try the next one, else the container must not start."""
    container = draft.state.containers.get(event.container)
    if container is None or container.phase != Phase.PREPARING:
        return
    draft.drop_container(container)
    if event.hub_at_fault and container.lease is not None:
        quarantine(draft, container.lease, event.detail)
        prepare(draft, container, container.requests)
        return
    draft.remember()
    context = {"container": str(container.name), "backend": str(container.backend), "reason": event.detail}
    draft.answer(container.requests, event.problem, **context)


def broker_opened(draft: Draft, event: events.BrokerOpened) -> None:
    """Everything is there: once that is written down, the container may start."""
    container = draft.state.containers.get(event.container)
    if container is None:
        return
    if container.phase != Phase.PREPARING:
        draft.put_container(replace(container, broker_open=True))
        return
    draft.put_container(replace(container, broker_open=True, phase=Phase.IN_FORCE))
    draft.remember()


def broker_failed(draft: Draft, event: events.BrokerFailed) -> None:
    """Without a broker a starting container has no use of its hub: refuse it and undo; a running one is retried."""
    container = draft.state.containers.get(event.container)
    if container is not None and container.phase == Phase.PREPARING:
        draft.answer(container.requests, "broker-missing", container=str(container.name), reason=event.detail)
        give_up(draft, container)


def give_up(draft: Draft, container: Container) -> None:
    """Undo what was put in force for a container that has been refused."""
    draft.put_container(replace(container, phase=Phase.RELEASING, requests=(), broker_open=False))
    draft.do(CloseBroker(container=container.name))
    settle(draft, container.name)


def begin_release(draft: Draft, name: VmId, request: int | None) -> bool:
    """Start taking a container's hub back; returns whether its devices are to go now.

    One that is just being prepared has nothing to undo yet that its own answer would not show: it is refused.
    """
    requests = () if request is None else (request,)
    container = draft.state.containers.get(name)
    if container is None:
        draft.answer(requests)
        return False
    if container.phase in STARTING:
        draft.answer(requests, "container-busy", container=str(name), reason="starting")
        return False
    container = draft.put_container(replace(container, requests=(*container.requests, *requests)))
    if container.phase != Phase.IN_FORCE:
        return False
    draft.put_container(replace(container, phase=Phase.RELEASING, broker_open=False))
    draft.remember()
    draft.do(CloseBroker(container=name))
    return True


def settle(draft: Draft, name: VmId) -> None:
    """Once no port of a container that is released can still become free, undo what was put in force."""
    container = draft.state.containers.get(name)
    if container is None or container.phase != Phase.RELEASING:
        return
    if all(device.stuck for device in draft.state.devices_of(name)):
        draft.put_container(replace(container, phase=Phase.TEARING, since=draft.now))
        draft.do(TearDown(container=name, hub=container.hub, ports=container.ports))


def torn_down(draft: Draft, event: events.TornDown) -> None:
    """Its ports are free, or quarantined with a reason; a container that waits to start again does so now."""
    container = draft.state.containers.get(event.container)
    if container is None or container.phase != Phase.TEARING:
        return
    for device in draft.state.devices_of(container.name):  # one that would not go: who waits for it hears of the end
        draft.answer(device.requests)
    draft.drop_container(container)
    if not event.reason:
        settled = frozenset(pair for pair in draft.state.revoking if pair[0] != container.name)
        draft.state = replace(draft.state, revoking=settled)
    elif container.lease is not None:
        quarantine(draft, container.lease, event.reason)
    draft.remember()
    draft.answer(container.requests)
    if container.again:
        prepare(draft, container, container.again)


def quarantine(draft: Draft, lease: Lease, reason: str) -> None:
    """Do not lend these ports until they were seen empty."""
    draft.state = replace(draft.state, quarantine={**draft.state.quarantine, lease: reason})
