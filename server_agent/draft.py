"""PURE: the working copy of a State while one event is decided, and the actions that follow."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import replace

from qvd_usbip.ack import AckState
from server_agent.actions import Action, Answer, Grant, Remember, RememberSoon, Revoke
from server_agent.state import (
    ACK_MEMORY,
    ORDER,
    Container,
    Device,
    Hold,
    Port,
    Progress,
    Right,
    State,
)


class Draft:
    """One event's work: read and change `state`, collect `actions`; nothing outside is touched."""

    def __init__(self, state: State, now: float) -> None:
        self.state = state
        self.now = now
        self.actions: list[Action] = []
        self.touched: dict[Port, None] = {}  # the ports whose device was put, replaced or dropped, in this order

    def do(self, *actions: Action) -> None:
        """Append actions, in this order."""
        self.actions.extend(actions)

    def remember(self) -> None:
        """The ledger is to be written, once, at this point: what follows is made only of what is written down."""
        if not any(isinstance(action, Remember) for action in self.actions):
            self.do(Remember())

    def remember_soon(self) -> None:
        """The ledger is to be written, and nothing but an authorisation waits for that.

        An attach in it grants nothing: rights stand in the kernel. It is what a restarted agent knows an attach by.
        """
        if not any(isinstance(action, Remember | RememberSoon) for action in self.actions):
            self.do(RememberSoon())

    def answer(self, requests: tuple[int, ...], problem: str = "", **context: str) -> None:
        """Answer each of these requests alike."""
        self.do(*(Answer(request=request, problem=problem, context=context) for request in requests))

    def put_container(self, container: Container) -> Container:
        """Add or replace a container."""
        self.state = replace(self.state, containers={**self.state.containers, container.name: container})
        return container

    def drop_container(self, container: Container) -> None:
        """Forget a container, its ports and its attaches; a number that is still to be taken from it stays blocked."""
        for device in list(self.state.devices_of(container.name)):
            self.drop_device(device)
        self.state = replace(
            self.state,
            containers={n: c for n, c in self.state.containers.items() if n != container.name},
            progress={known: p for known, p in self.state.progress.items() if p.container != container.name},
            forgotten={**self.state.forgotten, container.name: self.now},
        )

    def put_device(self, device: Device) -> Device:
        """Add or replace a device; it counts as changed now."""
        device = replace(device, changed=self.now)
        self._set_device(device.port, device)
        return device

    def drop_device(self, device: Device) -> None:
        """Forget a device."""
        self._set_device(device.port, None)

    def _set_device(self, port: Port, device: Device | None) -> None:
        """The one place where devices change, and with them who has which number."""
        devices = dict(self.state.devices)
        old = devices.pop(port, None) if device is None else devices.get(port)
        forgotten = self.state.forgotten
        if device is not None:
            devices[port] = device
        else:
            forgotten = {**forgotten, port: self.now}
        self.touched[port] = None
        had = old.rights if old is not None else {}
        has = device.rights if device is not None else {}
        claims = self.state.claims if had is has else _claims(self.state.claims, port, had.keys(), has.keys())
        self.state = replace(self.state, devices=devices, claims=claims, forgotten=forgotten)

    def reach(self, device: Device, outcome: AckState, problem: str = "") -> None:
        """Note how far the attach of this device has come; it never goes back."""
        known = self.state.progress.get(device.attach_id)
        if not device.attach_id or known is None or (known.state and ORDER[known.state] >= ORDER[outcome]):
            return
        elapsed = max(0, round((self.now - known.started) * 1000))
        self.put_progress(
            device.attach_id, replace(known, state=outcome, at={**known.at, outcome: elapsed}, problem=problem)
        )

    def put_progress(self, attach_id: str, progress: Progress) -> None:
        """Keep what can be said about an attach, and let the oldest finished ones of its container go."""
        kept = {**self.state.progress, attach_id: progress}
        mine = (known for known, p in kept.items() if p.container == progress.container)
        finished = [known for known in mine if (state := kept[known].state) is not None and state.is_final]
        for old in finished[: max(0, len(finished) - ACK_MEMORY)]:
            del kept[old]
        self.state = replace(self.state, progress=kept)

    def blocked(self, right: Right) -> bool:
        """True while the number is, or may still be, open to anyone."""
        return any(pending == right for _, pending in self.state.revoking) or self.state.holder(right) is not None

    def grant(self, device: Device, right: Right) -> Device:
        """Ask for a right, or note that it must wait until the number is nobody's."""
        hold = Hold.WANTED if self.blocked(right) else Hold.GRANTING
        if hold == Hold.GRANTING:
            self.do(Grant(container=device.container, right=right))
        return self.put_device(replace(device, rights={**device.rights, right: hold}))

    def revoke(self, device: Device, rights: tuple[Right, ...]) -> Device:
        """Take these rights of a device back; until verified each number stays blocked."""
        held = [right for right in rights if device.rights.get(right, Hold.WANTED) != Hold.WANTED]
        self.state = replace(self.state, revoking=self.state.revoking | {(device.container, right) for right in held})
        self.do(*(Revoke(container=device.container, right=right) for right in held))
        return self.put_device(
            replace(
                device,
                rights={right: hold for right, hold in device.rights.items() if right not in rights},
                names={right: name for right, name in device.names.items() if right not in rights},
            )
        )


def _claims(
    claims: Mapping[Right, tuple[Port, ...]], port: Port, had: AbstractSet[Right], has: AbstractSet[Right]
) -> Mapping[Right, tuple[Port, ...]]:
    changed = dict(claims)
    for right in had - has:
        left = tuple(other for other in changed[right] if other != port)
        if left:
            changed[right] = left
        else:
            del changed[right]
    for right in has - had:
        changed[right] = (*changed.get(right, ()), port)
    return changed
