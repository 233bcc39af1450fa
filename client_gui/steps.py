"""PURE: the steps of one shared device: (machine, event, now) -> (machine, what to do next).

Every phase but rest (IDLE, STOPPED, a confirmed share) has a time limit, so that nothing stays "...ing" forever:
the engine sends TIME_UP when `Machine.limit` has passed. Times are seconds of a monotonic clock.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import StrEnum

from client_gui.state import DeviceState, Step
from client_gui.troubles import Fault, Standing

RELEASE_LIMIT = 20.0
"""Module loaded, device taken from its driver, in seconds."""
CHANNEL_LIMIT = 12.0
EXPORT_LIMIT = 6.0
CONFIRM_LIMIT = 30.0
"""From the export until the other end says that the device is attached there."""
RETURN_LIMIT = 10.0
STABLE_AFTER = 30.0
"""A share that lasted so long starts its retries from the beginning again."""
FIRST_RETRY = 1.0
LAST_RETRY = 60.0

FINAL = frozenset({
    "device-below-vhci", "device-changed", "device-is-hub", "device-locked", "device-refused", "encryption-unavailable",
    "helper-missing", "helper-not-setuid", "helper-request-malformed", "host-changed", "not-paired", "not-permitted",
    "plaintext-refused", "policy-unsafe", "slave-key-missing", "slave-key-unsafe", "slave-refused-key",
})  # fmt: skip
"""Problems that trying again alone does not cure: the user or an administrator has to act first."""

BLOCKING = frozenset({
    "device-below-vhci", "device-changed", "device-is-hub", "device-locked", "network-in-use", "not-permitted",
    "policy-unsafe", "storage-in-use",
})  # fmt: skip
"""Problems shown as "Blocked": this computer refuses, rather than something having gone wrong."""


NOT_HOME = frozenset({"helper-died", "return-failed"})
"""Ends of a helper after which the device may be on no local driver."""


class Phase(StrEnum):
    """What the engine is doing about a device."""

    IDLE = "idle"
    RELEASING = "releasing"
    CONNECTING = "connecting"
    EXPORTING = "exporting"
    SHARED = "shared"
    RETURNING = "returning"
    RESTING = "resting"
    STOPPED = "stopped"


class Happened(StrEnum):
    """What can happen to a device that is to be shared."""

    WANTED = "wanted"
    UNWANTED = "unwanted"
    RETRY = "retry"
    BOUND = "bound"
    EXPORTED = "exported"
    RETURNED = "returned"
    DROPPED = "dropped"
    HELPER_REFUSED = "helper-refused"
    HELPER_GONE = "helper-gone"
    CHANNEL_UP = "channel-up"
    CHANNEL_LOST = "channel-lost"
    ACK_ATTACHED = "ack-attached"
    ACK_READY = "ack-ready"
    ACK_REFUSED = "ack-refused"
    ACK_GONE = "ack-gone"
    ACK_ABSENT = "ack-absent"
    ACK_LOST = "ack-lost"
    TIME_UP = "time-up"


class Act(StrEnum):
    """What the engine is to do, in the order given."""

    START_HELPER = "start-helper"
    OPEN_CHANNEL = "open-channel"
    HAND_OVER = "hand-over"
    ASK_ACK = "ask-ack"
    RETURN = "return"
    CLOSE = "close"


class Reach(StrEnum):
    """How far the other end has confirmed a share."""

    NOTHING = "nothing"
    UNCONFIRMED = "unconfirmed"
    ATTACHED = "attached"
    READY = "ready"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One thing that happened; `fault` says why, where it is a failure."""

    kind: Happened
    fault: Fault | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """One device's share: where it stands, since when, how often it failed, and when time is up.

    `salt` (0.0 up to 1.0) spreads the retries of several devices.
    """

    phase: Phase = Phase.IDLE
    wanted: bool = False
    started: float = 0.0
    steps: tuple[Step, ...] = ()
    reach: Reach = Reach.NOTHING
    shared_since: float | None = None
    fault: Fault | None = None
    failures: int = 0
    limit: float | None = None
    salt: float = 0.5


def retry_delay(failures: int, salt: float) -> float:
    """Decides how many seconds to rest after so many failures: doubling, bounded, spread by a quarter either way."""
    base = min(LAST_RETRY, FIRST_RETRY * 2.0 ** min(max(failures - 1, 0), 10))
    spread = ((salt + failures * 0.6180339887) % 1.0) / 2.0 + 0.75
    return base * spread


def decide(machine: Machine, event: Event, now: float) -> tuple[Machine, tuple[Act, ...]]:
    """Decides the next phase of a device and what to do about it; an event that means nothing here changes nothing."""
    if event.kind is Happened.WANTED:
        return _wanted(machine, now)
    if event.kind is Happened.UNWANTED:
        return _unwanted(machine, now)
    return _BY_PHASE[machine.phase](machine, event, now)


def _wanted(machine: Machine, now: float) -> tuple[Machine, tuple[Act, ...]]:
    if machine.wanted:
        return machine, ()
    wanted = replace(machine, wanted=True)
    if machine.phase in {Phase.IDLE, Phase.RESTING, Phase.STOPPED}:
        return _begin(replace(wanted, failures=0), now)
    return wanted, ()


def _unwanted(machine: Machine, now: float) -> tuple[Machine, tuple[Act, ...]]:
    if not machine.wanted:
        return machine, ()
    unwanted = replace(machine, wanted=False, failures=0)
    if machine.phase in {Phase.RESTING, Phase.STOPPED}:
        return _idle(unwanted), ()
    if machine.phase is Phase.RETURNING:
        return replace(unwanted, fault=None), ()
    return _give_back(unwanted, None, now)


def _begin(machine: Machine, now: float) -> tuple[Machine, tuple[Act, ...]]:
    begun = Machine(
        phase=Phase.RELEASING,
        wanted=True,
        started=now,
        failures=machine.failures,
        limit=now + RELEASE_LIMIT,
        salt=machine.salt,
    )
    return begun, (Act.START_HELPER,)


def _idle(machine: Machine) -> Machine:
    return Machine(wanted=machine.wanted, salt=machine.salt)


def _with_step(machine: Machine, name: str, now: float) -> Machine:
    if any(step.name == name for step in machine.steps):
        return machine
    step = Step(name=name, milliseconds=max(0, round((now - machine.started) * 1000)))
    return replace(machine, steps=(*machine.steps, step))


def _give_back(machine: Machine, fault: Fault | None, now: float) -> tuple[Machine, tuple[Act, ...]]:
    """Returns the device; where `fault` is given, the share failed and is tried again later."""
    failures = machine.failures
    if fault is not None:
        stable = machine.shared_since is not None and now - machine.shared_since >= STABLE_AFTER
        failures = 1 if stable else failures + 1
    back = replace(
        machine,
        phase=Phase.RETURNING,
        fault=fault,
        failures=failures,
        reach=Reach.NOTHING,
        shared_since=None,
        limit=now + RETURN_LIMIT,
    )
    return back, (Act.RETURN,)


def _on_the_way(machine: Machine, event: Event, now: float) -> tuple[Machine, tuple[Act, ...]]:
    match (machine.phase, event.kind):
        case (Phase.RELEASING, Happened.BOUND):
            bound = _with_step(machine, "released", now)
            return replace(bound, phase=Phase.CONNECTING, limit=now + CHANNEL_LIMIT), (Act.OPEN_CHANNEL,)
        case (Phase.CONNECTING, Happened.CHANNEL_UP):
            return replace(machine, phase=Phase.EXPORTING, limit=now + EXPORT_LIMIT), (Act.HAND_OVER,)
        case (Phase.EXPORTING, Happened.EXPORTED):
            exported = _with_step(machine, "exported", now)
            shared = replace(exported, phase=Phase.SHARED, shared_since=now, limit=now + CONFIRM_LIMIT)
            return shared, (Act.ASK_ACK,)
        case (_, Happened.HELPER_REFUSED | Happened.HELPER_GONE | Happened.CHANNEL_LOST | Happened.DROPPED):
            return _fail(machine, event, now)
        case (_, Happened.TIME_UP):
            return _give_back(machine, _late(machine.phase), now)
        case _:
            return machine, ()


def _late(phase: Phase) -> Fault:
    match phase:
        case Phase.RELEASING:
            return Fault(code="helper-silent", seconds=round(RELEASE_LIMIT))
        case Phase.CONNECTING:
            return Fault(code="slave-silent", seconds=round(CHANNEL_LIMIT))
        case _:
            return Fault(code="helper-silent", seconds=round(EXPORT_LIMIT))


def _fail(machine: Machine, event: Event, now: float) -> tuple[Machine, tuple[Act, ...]]:
    back, acts = _give_back(machine, event.fault or Fault(code="internal"), now)
    if event.kind is Happened.HELPER_GONE:  # it returned the device as it went: nobody is left to wait for
        return _after_return(back, now)
    return back, acts


def _shared(machine: Machine, event: Event, now: float) -> tuple[Machine, tuple[Act, ...]]:
    match event.kind:
        case (
            Happened.DROPPED | Happened.HELPER_GONE | Happened.HELPER_REFUSED | Happened.ACK_REFUSED | Happened.ACK_GONE
        ):
            return _fail(machine, event, now)
        case Happened.TIME_UP:
            return _give_back(machine, machine.fault or Fault(code="device-timeout", seconds=round(CONFIRM_LIMIT)), now)
        case _:
            return _acknowledged(machine, event, now), ()


def _acknowledged(machine: Machine, event: Event, now: float) -> Machine:
    match event.kind:
        case Happened.ACK_ATTACHED:
            reach = Reach.READY if machine.reach is Reach.READY else Reach.ATTACHED
            return replace(_with_step(machine, "attached", now), reach=reach, fault=event.fault, limit=None)
        case Happened.ACK_READY:
            attached = _with_step(machine, "attached", now)
            return replace(_with_step(attached, "ready", now), reach=Reach.READY, fault=None, limit=None)
        case Happened.ACK_ABSENT if machine.reach is Reach.NOTHING:
            return replace(machine, reach=Reach.UNCONFIRMED, fault=None, limit=None)
        case Happened.ACK_LOST if machine.reach is Reach.NOTHING:
            return replace(machine, fault=event.fault)
        case _:
            return machine


def _returning(machine: Machine, event: Event, now: float) -> tuple[Machine, tuple[Act, ...]]:
    match event:
        case Event(kind=Happened.HELPER_REFUSED, fault=Fault(code="return-failed") as fault):
            return _not_home(machine, fault, now)
        case Event(kind=Happened.HELPER_GONE, fault=Fault(code=code) as fault) if code in NOT_HOME:
            return _not_home(machine, fault, now)
        case Event(kind=Happened.RETURNED | Happened.HELPER_GONE):
            return _after_return(machine, now)
        case Event(kind=Happened.TIME_UP):
            late = Fault(code="helper-silent", seconds=round(RETURN_LIMIT))
            return _not_home(machine, machine.fault or late, now)
        case _:
            return machine, ()


def _not_home(machine: Machine, fault: Fault, now: float) -> tuple[Machine, tuple[Act, ...]]:
    """Lets go of the helper and says so for a while; the next helper, if one is wanted, settles it first."""
    failures = machine.failures + 1
    limit = now + retry_delay(max(failures, 5), machine.salt)
    return replace(machine, phase=Phase.RESTING, fault=fault, failures=failures, limit=limit), (Act.CLOSE,)


def _after_return(machine: Machine, now: float) -> tuple[Machine, tuple[Act, ...]]:
    if machine.fault is None:
        if machine.wanted:
            begun, acts = _begin(machine, now)
            return begun, (Act.CLOSE, *acts)
        return _idle(machine), (Act.CLOSE,)
    if machine.fault.code in FINAL:
        return replace(machine, phase=Phase.STOPPED, limit=None), (Act.CLOSE,)
    limit = now + retry_delay(machine.failures, machine.salt)
    return replace(machine, phase=Phase.RESTING, limit=limit), (Act.CLOSE,)


def _resting(machine: Machine, event: Event, now: float) -> tuple[Machine, tuple[Act, ...]]:
    if event.kind is Happened.RETRY or (event.kind is Happened.TIME_UP and machine.phase is Phase.RESTING):
        return _begin(machine, now) if machine.wanted else (_idle(machine), ())
    return machine, ()


def _idle_stays(machine: Machine, event: Event, now: float) -> tuple[Machine, tuple[Act, ...]]:  # noqa: ARG001  # one of _BY_PHASE
    return machine, ()


_BY_PHASE = {
    Phase.IDLE: _idle_stays,
    Phase.RELEASING: _on_the_way,
    Phase.CONNECTING: _on_the_way,
    Phase.EXPORTING: _on_the_way,
    Phase.SHARED: _shared,
    Phase.RETURNING: _returning,
    Phase.RESTING: _resting,
    Phase.STOPPED: _resting,
}

_SHOWN = {
    Phase.IDLE: DeviceState.NOT_SHARED,
    Phase.RELEASING: DeviceState.RELEASING,
    Phase.CONNECTING: DeviceState.CONNECTING,
    Phase.EXPORTING: DeviceState.CONNECTING,
    Phase.RETURNING: DeviceState.RETURNING,
    Phase.RESTING: DeviceState.FAILED,
    Phase.STOPPED: DeviceState.FAILED,
}

_SHOWN_WHEN_SHARED = {
    Reach.NOTHING: DeviceState.CONNECTING,
    Reach.UNCONFIRMED: DeviceState.ATTACHED,
    Reach.ATTACHED: DeviceState.ATTACHED,
    Reach.READY: DeviceState.IN_USE,
}


def shown(machine: Machine) -> DeviceState:
    """Decides the state that a person sees; NOT_SHARED where the machine has nothing to say."""
    if machine.phase is Phase.SHARED:
        return _SHOWN_WHEN_SHARED[machine.reach]
    state = _SHOWN[machine.phase]
    blocked = machine.fault is not None and machine.fault.code in BLOCKING
    return DeviceState.BLOCKED if state is DeviceState.FAILED and blocked else state


def standing(machine: Machine, now: float) -> Standing | None:
    """Decides what a row shows of the machine; None where it has nothing to say."""
    if machine.phase is Phase.IDLE:
        return None
    resting = machine.phase is Phase.RESTING and machine.limit is not None and machine.wanted
    retry_in = float(max(0, math.ceil((machine.limit or now) - now))) if resting else None
    tries = machine.failures if machine.phase is Phase.STOPPED else 0
    return Standing(state=shown(machine), steps=machine.steps, fault=machine.fault, retry_in=retry_in, tries=tries)
