"""PURE: what the picker and the command line show: one row per device, and the session."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qvd_usbip.ids import BusId, VidPid
    from qvd_usbip.kinds import Kind
    from qvd_usbip.usb import Speed


class DeviceState(StrEnum):
    """Where one device stands between this computer and the remote desktop."""

    NOT_SHARED = "not-shared"
    WAITING = "waiting"
    RELEASING = "releasing"
    CONNECTING = "connecting"
    ATTACHED = "attached"
    IN_USE = "in-use"
    RETURNING = "returning"
    ABSENT = "absent"
    LOCKED = "locked"
    BLOCKED = "blocked"
    CONFIRM = "confirm"
    FAILED = "failed"


STEP_NAMES = ("released", "exported", "attached", "ready")
"""The steps of a share in their order, as `Step.name` spells them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step that a share has taken, and when, counted from the tick."""

    name: str
    milliseconds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One device as the user sees it; `key` stays the same for as long as the device is the same.

    `identity` is its share list entry; `twin` says that another device present has the same, and only the port differs.
    """

    key: str
    busid: BusId | None
    vidpid: VidPid
    serial: str
    product: str
    vendor: str
    kind: Kind
    speed: Speed | None
    driver: str
    ticked: bool
    state: DeviceState
    steps: tuple[Step, ...] = ()
    problem: str = ""
    problem_text: str = ""
    remedy: str = ""
    retry_in: float | None = None
    identity: str = ""
    twin: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionView:
    """The session as it may be shown: never the key."""

    name: str
    address: str
    connected: bool
    encryption: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """Something that stands in the way of every device: a Problem code, its sentence and its remedy."""

    code: str
    text: str
    remedy: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """Everything that is shown, at one moment; `generation` grows with each change."""

    rows: tuple[Row, ...] = ()
    session: SessionView | None = None
    problems: tuple[Trouble, ...] = ()
    generation: int = 0
