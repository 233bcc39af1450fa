"""PURE: what is worth keeping of what happened: who got which device, by which rule, for how long, and who did not.

Each entry is one line of the audit, one count of the figures, and one line that a watching administrator sees.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from qvd_usbip.ack import AckState
from qvd_usbip.ids import BusId, VmId
from server_agent import actions, events
from server_agent.state import Container, Device, Phase, Right, Stage, State

DEFAULT_RULE, ISOCHRONOUS_RULE = "default", "isochronous-allowed"
SAID_OF_DEVICES = {AckState.AUTHORISED: "authorise", AckState.READY: "ready"}


class Kind(StrEnum):
    """What an entry is about."""

    LEASE = "lease"  # a container may start, with a hub or without
    RELEASE = "release"
    QUARANTINE = "quarantine"
    ATTACH = "attach"
    GRANT = "grant"
    AUTHORISE = "authorise"
    READY = "ready"
    REVOKE = "revoke"
    DETACH = "detach"
    REFUSAL = "refusal"
    FAILURE = "failure"
    PAIRING = "pairing"  # a new client is waited for
    PAIR = "pair"
    UNPAIR = "unpair"
    OVERFLOW = "overflow"  # events of the kernel were lost: the next look around makes up for them


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One thing that happened.

    Args:
        container: None for what concerns all.
        words: what else there is to say, by name: device, identity, port, right, node, rule, problem, reason, ms …
    """

    at: float
    kind: Kind
    container: VmId | None = None
    words: Mapping[str, str | int] = field(default_factory=dict)

    def as_json(self) -> dict[str, object]:
        """The entry for programs."""
        name = {} if self.container is None else {"container": str(self.container)}
        return {"v": 1, "event": str(self.kind), **name, **self.words}


class Chronicle:
    """Remembers what it takes to say how long something took, as long as it is there."""

    def __init__(self) -> None:
        self._seen: dict[tuple[VmId, Right], float] = {}  # when a number appeared that has no right yet
        self._granted: dict[tuple[VmId, Right], tuple[float, dict[str, str | int]]] = {}
        self._judged: dict[BusId, dict[str, str | int]] = {}
        self._attached: dict[tuple[VmId, str], float] = {}

    def follow(
        self, before: State, event: events.Event, after: State, todo: Sequence[actions.Action]
    ) -> Iterator[Entry]:
        """What one event amounted to.

        Args:
            before: the state it met.
            event: what happened.
            after: the state it left.
            todo: the actions that followed.
        """
        self._note(before, event)
        yield from self._of_actions(event, todo)
        yield from self._of_event(before, event)
        if before.progress is not after.progress:
            yield from self._steps(before, event, after)
        if before.containers is not after.containers:
            yield from _containers(before, event, after)
        if before.quarantine is not after.quarantine:
            for lease in after.quarantine.keys() - before.quarantine.keys():
                words = {"hub": str(lease), "reason": after.quarantine[lease]}
                yield Entry(at=event.at, kind=Kind.QUARANTINE, words=words)

    def _note(self, before: State, event: events.Event) -> None:
        if isinstance(event, events.UsbAdded | events.NodeAdded):
            owner = before.owner(event.port)
            right = event.number if isinstance(event, events.UsbAdded) else event.right
            if owner is not None and (owner.name, right) not in self._granted:
                self._seen.setdefault((owner.name, right), event.at)
        elif isinstance(event, events.UsbRemoved | events.NodeRemoved):
            owner = before.owner(event.port)
            right = event.number if isinstance(event, events.UsbRemoved) else event.right
            if owner is not None:
                self._seen.pop((owner.name, right), None)
        elif isinstance(event, events.TornDown):
            self._forget(event.container)

    def _forget(self, name: VmId) -> None:
        self._seen = {key: at for key, at in self._seen.items() if key[0] != name}
        self._granted = {key: words for key, words in self._granted.items() if key[0] != name}
        self._attached = {key: at for key, at in self._attached.items() if key[0] != name}

    def _of_actions(self, event: events.Event, todo: Sequence[actions.Action]) -> Iterator[Entry]:
        for action in todo:
            if isinstance(action, actions.Judged):
                rule = ISOCHRONOUS_RULE if action.isochronous else DEFAULT_RULE
                identity = f"{action.vidpid}@{action.serial}" if action.serial else action.vidpid
                words: dict[str, str | int] = {"device": str(action.busid), "identity": identity}
                self._judged[action.busid] = {**words, "rule": action.problem or rule}
                if action.problem:
                    words = {**self._judged[action.busid], "problem": action.problem}
                    yield Entry(at=event.at, kind=Kind.REFUSAL, container=action.container, words=words)
            elif isinstance(action, actions.Answer) and action.problem:
                container = getattr(event, "container", None)
                words = {"problem": action.problem, **{k: v for k, v in action.context.items() if k != "container"}}
                yield Entry(at=event.at, kind=Kind.REFUSAL, container=container, words=words)

    def _of_event(self, before: State, event: events.Event) -> Iterator[Entry]:
        if isinstance(event, events.Granted):
            yield from self._grant(before, event)
        elif isinstance(event, events.Revoked):
            since, words = self._granted.pop((event.container, event.right), (None, {"right": str(event.right)}))
            held = {} if since is None else {"held_ms": _milliseconds(event.at - since)}
            yield Entry(at=event.at, kind=Kind.REVOKE, container=event.container, words={**words, **held})
        elif isinstance(event, events.GrantFailed | events.RevokeFailed):
            problem = "rights-failed" if isinstance(event, events.GrantFailed) else "revoke-failed"
            words = {"right": str(event.right), "problem": problem, "reason": event.detail}
            yield Entry(at=event.at, kind=Kind.FAILURE, container=event.container, words=words)
        elif isinstance(event, events.Attached | events.PortFree | events.DetachFailed):
            device = before.devices.get(event.port)
            if device is not None:
                yield from self._port(before, event, device)

    def _grant(self, before: State, event: events.Granted) -> Iterator[Entry]:
        key = (event.container, event.right)
        device = before.holder(event.right)
        if key in self._granted or device is None:
            return  # written anew after a repair
        words = {**self._about(device), "right": str(event.right), "node": f"/dev/{device.names.get(event.right, '?')}"}
        self._granted[key] = event.at, words
        took = {"ms": _milliseconds(event.at - self._seen.pop(key, event.at))}
        yield Entry(at=event.at, kind=Kind.GRANT, container=event.container, words={**words, **took})

    def _port(
        self, before: State, event: events.Attached | events.PortFree | events.DetachFailed, device: Device
    ) -> Iterator[Entry]:
        words: dict[str, str | int] = {**self._about(device), "port": str(device.port)}
        key = (device.container, str(device.port))
        if isinstance(event, events.Attached) and device.stage == Stage.ATTACHING:
            progress = before.progress.get(device.attach_id)
            self._attached[key] = event.at
            took = {} if progress is None else {"ms": _milliseconds(event.at - progress.started)}
            yield Entry(at=event.at, kind=Kind.ATTACH, container=device.container, words={**words, **took})
        elif isinstance(event, events.PortFree) and device.stage == Stage.DETACHING:
            if device.busid is not None:
                self._judged.pop(device.busid, None)
            since = self._attached.pop(key, None)
            held = {} if since is None else {"held_ms": _milliseconds(event.at - since)}
            outcome = {} if device.end is None else {"outcome": str(device.end)}
            yield Entry(at=event.at, kind=Kind.DETACH, container=device.container, words={**words, **outcome, **held})
        elif isinstance(event, events.DetachFailed):
            words |= {"problem": "detach-failed", "reason": event.detail}
            yield Entry(at=event.at, kind=Kind.FAILURE, container=device.container, words=words)

    def _about(self, device: Device) -> dict[str, str | int]:
        if device.busid is None:
            return {}
        return self._judged.get(device.busid, {"device": str(device.busid)})

    def _steps(self, before: State, event: events.Event, after: State) -> Iterator[Entry]:
        for attach_id, progress in after.progress.items():
            known = before.progress.get(attach_id)
            if progress is known or progress.state is None or (known is not None and known.state == progress.state):
                continue
            device = after.device_of_attach(progress.container, attach_id)
            words = {**(self._about(device) if device is not None else {}), "ms": progress.at.get(progress.state, 0)}
            if progress.state in SAID_OF_DEVICES:
                node = {"node": progress.node} if progress.state == AckState.READY else {}
                kind = Kind(SAID_OF_DEVICES[progress.state])
                yield Entry(at=event.at, kind=kind, container=progress.container, words={**words, **node})
            elif progress.state == AckState.FAILED:
                words["problem"] = progress.problem
                yield Entry(at=event.at, kind=Kind.FAILURE, container=progress.container, words=words)


def _containers(before: State, event: events.Event, after: State) -> Iterator[Entry]:
    for name, container in after.containers.items():
        known = before.containers.get(name)
        if container.phase == Phase.IN_FORCE and (known is None or known.phase != Phase.IN_FORCE):
            yield Entry(at=event.at, kind=Kind.LEASE, container=name, words=_hub(container))
    for name in before.containers.keys() - after.containers.keys():
        if before.containers[name].phase not in {Phase.RECORDING, Phase.PREPARING}:
            yield Entry(at=event.at, kind=Kind.RELEASE, container=name, words=_hub(before.containers[name]))


def _hub(container: Container) -> dict[str, str | int]:
    return {"hub": str(container.lease)} if container.lease is not None else {"problem": "no-free-hub"}


def _milliseconds(seconds: float) -> int:
    return max(0, round(seconds * 1000))
