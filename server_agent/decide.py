"""PURE: decide(state, event): the next state and what is to be done about it. All that happens passes through here."""

from dataclasses import replace
from functools import singledispatch

from server_agent import devices, events, exposure, host_nodes, leases, reconcile
from server_agent.actions import Action
from server_agent.draft import Draft
from server_agent.state import Stage, State


def decide(state: State, event: events.Event) -> tuple[State, list[Action]]:
    """What follows from one event.

    Args:
        state: all that is known.
        event: a request, something the kernel did, the result of an action, or a look around.

    Returns:
        The new state, and the actions to perform in this order; each but the answers is followed by another event.
    """
    draft = Draft(state, event.at)
    _handle(event, draft)
    host_nodes.follow(draft, state)
    if isinstance(event, events.Observed):
        host_nodes.heal(draft, event)
    return draft.state, draft.actions


@singledispatch
def _handle(event: events.Event, draft: Draft) -> None:
    raise TypeError(f"no handler for {type(event).__name__} at {draft.now}")


@_handle.register
def _(event: events.Reserve, draft: Draft) -> None:
    leases.reserve(draft, event)
    container = draft.state.containers.get(event.container)
    if container is not None and container.again:
        devices.release(draft, event.container, None)


@_handle.register
def _(event: events.Release, draft: Draft) -> None:
    devices.release(draft, event.container, event.request)


@_handle.register
def _(event: events.Revoked, draft: Draft) -> None:
    state = draft.state
    draft.state = replace(state, revoking=state.revoking - {(event.container, event.right)})
    exposure.note_taken(draft, event.container, event.right, event.count)
    devices.wake(draft, event.right)


@_handle.register
def _(event: events.InspectFailed, draft: Draft) -> None:
    devices.failed(draft, event, Stage.INSPECTING, "device-gone")


@_handle.register
def _(event: events.AuthoriseFailed, draft: Draft) -> None:
    devices.failed(draft, event, Stage.AUTHORISING, "device-gone")


@_handle.register
def _(event: events.PortFree, draft: Draft) -> None:
    devices.port_free(draft, event.port)


@_handle.register
def _(event: events.Clock, draft: Draft) -> None:
    del event
    devices.clock(draft)


def _stays_blocked(draft: Draft, event: events.RevokeFailed) -> None:
    """A number that may still be open is nobody else's; the next look around tries again."""
    del draft, event


# Events whose handler needs nothing beside it.
for _kind, _handler in (
    (events.Attach, devices.attach),
    (events.Attached, devices.attached),
    (events.PortBusy, devices.port_busy),
    (events.AttachFailed, devices.attach_failed),
    (events.DetachAsked, devices.detach_asked),
    (events.RevokeAsked, devices.revoke_asked),
    (events.Ready, devices.ready),
    (events.Unseen, devices.unseen),
    (events.UsbAdded, devices.usb_added),
    (events.UsbRemoved, devices.usb_removed),
    (events.NodeAdded, devices.node_added),
    (events.NodeRemoved, devices.node_removed),
    (events.KeysAdded, devices.keys_added),
    (events.Inspected, devices.inspected),
    (events.Granted, devices.granted),
    (events.GrantFailed, devices.grant_failed),
    (events.Authorised, devices.authorised),
    (events.RevokeFailed, _stays_blocked),
    (events.DetachFailed, devices.detach_failed),
    (events.InForce, leases.in_force),
    (events.NotInForce, leases.not_in_force),
    (events.TornDown, leases.torn_down),
    (events.Remembered, leases.remembered),
    (events.NotRemembered, leases.not_remembered),
    (events.BrokerOpened, leases.broker_opened),
    (events.BrokerFailed, leases.broker_failed),
    (events.Heard, host_nodes.heard),
    (events.NodeMade, host_nodes.node_made),
    (events.NodeNotMade, host_nodes.node_not_made),
    (events.NotTold, host_nodes.not_told),
    (events.Observed, reconcile.reconcile),
):
    _handle.register(_kind, lambda event, draft, handler=_handler: handler(draft, event))
