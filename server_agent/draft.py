"""PURE: the working copy of a State while one event is decided, and the actions that follow."""

from dataclasses import replace

from qvd_usbip.ack import AckState
from server_agent.actions import Action, Answer, Grant, Remember, Revoke
from server_agent.state import (
    ACK_MEMORY,
    ORDER,
    Container,
    Device,
    Hold,
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

    def do(self, *actions: Action) -> None:
        """Append actions, in this order."""
        self.actions.extend(actions)

    def remember(self) -> None:
        """The ledger is to be written, once, at this point."""
        if not any(isinstance(action, Remember) for action in self.actions):
            self.do(Remember())

    def answer(self, requests: tuple[int, ...], problem: str = "", **context: str) -> None:
        """Answer each of these requests alike."""
        self.do(*(Answer(request=request, problem=problem, context=context) for request in requests))

    def put_container(self, container: Container) -> Container:
        """Add or replace a container."""
        self.state = replace(self.state, containers={**self.state.containers, container.name: container})
        return container

    def drop_container(self, container: Container) -> None:
        """Forget a container, what is owed to it, and the ports of its hub."""
        self.state = replace(
            self.state,
            containers={n: c for n, c in self.state.containers.items() if n != container.name},
            devices={p: d for p, d in self.state.devices.items() if d.container != container.name},
            revoking=frozenset(pair for pair in self.state.revoking if pair[0] != container.name),
        )

    def put_device(self, device: Device) -> Device:
        """Add or replace a device; it counts as changed now."""
        device = replace(device, changed=self.now)
        self.state = replace(self.state, devices={**self.state.devices, device.port: device})
        return device

    def drop_device(self, device: Device) -> None:
        """Forget a device."""
        self.state = replace(self.state, devices={p: d for p, d in self.state.devices.items() if p != device.port})

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
        """Keep what can be said about an attach, and let the oldest finished ones go."""
        kept = {**self.state.progress, attach_id: progress}
        finished = [known for known, p in kept.items() if p.state and p.state.is_final]
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
