"""PURE: the life of one container: hub chosen, put in force before it exists, released when it has stopped."""

from dataclasses import replace

from qvd_usbip.ids import HubId, VmId
from server_agent import events
from server_agent.actions import CloseBroker, Grant, OpenBroker, PutInForce, TearDown
from server_agent.draft import Draft
from server_agent.state import Backend, Container, Hold, Phase


def reserve(draft: Draft, event: events.Reserve) -> None:
    """A container is about to start: lease it a hub, or let it start without USB when there is none."""
    name = event.container
    container = draft.state.containers.get(name)
    if not event.enabled:
        draft.answer((event.request,), "hubs-disabled", container=str(name))
    elif event.running:
        draft.answer((event.request,), "container-busy", container=str(name), reason="running")
    elif container is None:
        prepare(draft, name, event.broker_gid, event.backend, (event.request,))
    elif container.phase == Phase.PREPARING:
        draft.answer((event.request,), "container-busy", container=str(name), reason="starting")
    else:  # its last life was not released: first that, then this
        again = (*container.again, event.request)
        draft.put_container(replace(container, broker_gid=event.broker_gid, backend=event.backend, again=again))


def prepare(draft: Draft, name: VmId, gid: int, backend: Backend, requests: tuple[int, ...]) -> None:
    """Lease the first free hub and put everything in force."""
    hub = draft.state.free_hub()
    draft.put_container(
        Container(
            name=name, hub=hub, phase=Phase.PREPARING, backend=backend, broker_gid=gid, since=draft.now,
            requests=requests,
        )
    )  # fmt: skip
    draft.remember()
    draft.do(PutInForce(container=name, hub=hub, backend=backend))


def in_force(draft: Draft, event: events.InForce) -> None:
    """Gate, map and mounts are there: listen; after a repair, the new map gets the rights of the old one."""
    container = draft.state.containers.get(event.container)
    if container is None:
        return
    if container.phase == Phase.PREPARING:
        draft.do(OpenBroker(container=container.name, gid=container.broker_gid))
        return
    for device in draft.state.devices_of(container.name):
        held = (right for right, hold in device.rights.items() if hold == Hold.GRANTED)
        draft.do(*(Grant(container=container.name, right=right) for right in held))


def not_in_force(draft: Draft, event: events.NotInForce) -> None:
    """Nothing is in force: with a hub at fault try the next one, else the container must not start."""
    container = draft.state.containers.get(event.container)
    if container is None or container.phase != Phase.PREPARING:
        return
    draft.drop_container(container)
    if event.hub_at_fault and container.hub is not None:
        quarantine(draft, container.hub, event.detail)
        prepare(draft, container.name, container.broker_gid, container.backend, container.requests)
        return
    draft.remember()
    context = {"container": str(container.name), "backend": str(container.backend), "reason": event.detail}
    draft.answer(container.requests, event.problem, **context)


def broker_opened(draft: Draft, event: events.BrokerOpened) -> None:
    """The container may start."""
    container = draft.state.containers.get(event.container)
    if container is None:
        return
    if container.phase != Phase.PREPARING:
        draft.put_container(replace(container, broker_open=True))
        return
    draft.put_container(replace(container, broker_open=True, phase=Phase.IN_FORCE, requests=()))
    draft.remember()
    draft.answer(container.requests, hub=container.hub.name if container.hub else "")


def broker_failed(draft: Draft, event: events.BrokerFailed) -> None:
    """Without a broker a starting container has no use of its hub: refuse it and undo; a running one is retried."""
    container = draft.state.containers.get(event.container)
    if container is not None and container.phase == Phase.PREPARING:
        draft.answer(container.requests, "broker-missing", container=str(container.name), reason=event.detail)
        draft.put_container(replace(container, phase=Phase.RELEASING, requests=()))
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
    if container.phase == Phase.PREPARING:
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
        draft.put_container(replace(container, phase=Phase.TEARING))
        draft.do(TearDown(container=name, hub=container.hub))


def torn_down(draft: Draft, event: events.TornDown) -> None:
    """The hub is free, or quarantined with a reason; a container that waits to start again does so now."""
    container = draft.state.containers.get(event.container)
    if container is None or container.phase != Phase.TEARING:
        return
    draft.drop_container(container)
    if event.reason and container.hub is not None:
        quarantine(draft, container.hub, event.reason)
    draft.remember()
    draft.answer(container.requests)
    if container.again:
        prepare(draft, container.name, container.broker_gid, container.backend, container.again)


def quarantine(draft: Draft, hub: HubId, reason: str) -> None:
    """Do not lend this hub until it was seen empty."""
    draft.state = replace(draft.state, quarantine={**draft.state.quarantine, hub: reason})
