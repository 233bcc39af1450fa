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
LEASE_RULE = "lease"  # nothing is known yet of what is attached: its container has the port
EARLIER_RULE = "earlier"  # an agent that has ended let it through
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
        self._asked: dict[int, tuple[float, VmId | None]] = {}  # when, and about whom, what has no answer yet was asked

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
        yield from self._of_actions(before, event, todo)
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
        request = getattr(event, "request", None)
        if request is not None:
            self._asked[request] = event.at, getattr(event, "container", None)
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

    def _of_actions(self, before: State, event: events.Event, todo: Sequence[actions.Action]) -> Iterator[Entry]:
        for action in todo:
            if isinstance(action, actions.Judged):
                yield from self._verdict(before, event, action)
            elif isinstance(action, actions.Inspect):  # what an earlier device on this port was judged to be is over
                self._judged[action.busid] = {"device": str(action.busid), "rule": LEASE_RULE}
            elif isinstance(action, actions.Answer):
                since, container = self._asked.pop(action.request, (event.at, getattr(event, "container", None)))
                took = {"ms": _milliseconds(event.at - since)}
                if action.problem:
                    context = {key: value for key, value in action.context.items() if key != "container"}
                    problem = {"problem": action.problem, "rule": action.problem}
                    yield Entry(
                        at=event.at, kind=Kind.REFUSAL, container=container, words={**problem, **context, **took}
                    )

    def _verdict(self, before: State, event: events.Event, judged: actions.Judged) -> Iterator[Entry]:
        rule = ISOCHRONOUS_RULE if judged.isochronous else DEFAULT_RULE
        identity = f"{judged.vidpid}@{judged.serial}" if judged.serial else judged.vidpid
        words: dict[str, str | int] = {"device": str(judged.busid), "identity": identity}
        self._judged[judged.busid] = {**words, "rule": judged.problem or rule}
        if judged.problem:
            device = next((d for d in before.devices_of(judged.container) if d.busid == judged.busid), None)
            progress = before.progress.get(device.attach_id) if device is not None else None
            took = {} if progress is None else {"ms": _milliseconds(event.at - progress.started)}
            words = {**self._judged[judged.busid], "problem": judged.problem, **took}
            yield Entry(at=event.at, kind=Kind.REFUSAL, container=judged.container, words=words)

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
        node = f"/dev/{device.names.get(event.right, '?')}"
        words = {**self._about(before, device), "right": str(event.right), "node": node}
        self._granted[key] = event.at, words
        took = {"ms": _milliseconds(event.at - self._seen.pop(key, event.at))}
        yield Entry(at=event.at, kind=Kind.GRANT, container=event.container, words={**words, **took})

    def _port(
        self, before: State, event: events.Attached | events.PortFree | events.DetachFailed, device: Device
    ) -> Iterator[Entry]:
        words: dict[str, str | int] = {**self._about(before, device), "port": str(device.port)}
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

    def _about(self, state: State, device: Device) -> dict[str, str | int]:
        """What a device is and by which rule it is there; before it enumerates, only where that will be is known."""
        place = device.busid or state.busid(device.port)
        known = self._judged.get(device.busid) if device.busid is not None else None
        if known is not None or place is None:
            return known or {}
        return {"device": str(place), "rule": LEASE_RULE if device.busid is None else EARLIER_RULE}

    def _steps(self, before: State, event: events.Event, after: State) -> Iterator[Entry]:
        for attach_id, progress in after.progress.items():
            known = before.progress.get(attach_id)
            if progress is known or progress.state is None or (known is not None and known.state == progress.state):
                continue
            device = after.device_of_attach(progress.container, attach_id)
            about = self._about(after, device) if device is not None else {}
            words = {**about, "ms": progress.at.get(progress.state, 0)}
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
    return {"hub": str(container.lease)} if container.lease is not None else {"problem": container.without_usb}


def _milliseconds(seconds: float) -> int:
    return max(0, round(seconds * 1000))
