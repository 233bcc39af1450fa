"""PURE: what the picker and the command line show: one row per device, and the session."""

from __future__ import annotations

from enum import StrEnum

from qvd_usbip.values import dataclass

TYPE_CHECKING = False
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


class Mode(StrEnum):
    """When a device that the user chose goes to the remote desktop."""

    MANUAL = "manual"  # only by hand: it stays here when it is plugged in again
    ASK = "ask"  # asked each time it is plugged in or the session returns
    AUTOMATIC = "automatic"  # at once


class Asked(StrEnum):
    """What the user has to agree to before a device is shared."""

    STORAGE = "storage"  # its volumes are unmounted here, and the remote side may change everything on it
    UNLOCK = "unlock"  # a keyboard, a mouse, a network or Bluetooth adapter
    CHANGE = "change"  # it came back with other interfaces than those it was chosen with
    PLUGGED = "plugged"  # its mode is to ask


STEP_NAMES = ("released", "exported", "attached", "ready")
"""The steps of a share in their order, as `Step.name` spells them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step that a share has taken, and when, counted from the tick."""

    name: str
    milliseconds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume:
    """A file system on a device: its label or device name, where it is mounted here ("" if nowhere), its bytes."""

    name: str
    path: str = ""
    size: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Consent:
    """A question that is to be answered with yes before the device is shared.

    `before` and `now` tell a change: what the device was when it was chosen, what it is. `only_one` says that there is
    no other such device here (the only keyboard).
    """

    asked: Asked
    before: tuple[Kind, ...] = ()
    now: tuple[Kind, ...] = ()
    only_one: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The policy rule that decided about a device: the `number`th of `total`, and where it is written ("" if built in).

    `administrator` says that it is not the user's own.
    """

    name: str
    number: int
    total: int
    file: str = ""
    line: int = 0
    administrator: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitness:
    """How good the way to the session is: the round trip in milliseconds, the throughput in Mbit/s where known.

    `jitter` is how far the round trips lie from that one, in milliseconds.
    """

    round_trip: float
    jitter: float = 0.0
    throughput: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One device as the user sees it; `key` stays the same for as long as the device is the same.

    `identity` is its share list entry; `twin` says that another device present has the same, and only the port differs.
    `consent` is what will be asked when it is ticked, in state CONFIRM what is asked now; a locked device without one
    stays locked. `faces` is everything it is, the most telling first; `drivers` are those its interfaces have, or had
    before it was lent. `own_rule` is the shortest policy rule that names it alone.
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
    tries: int = 0  # that failed, where it is not tried again by itself
    identity: str = ""
    twin: bool = False
    faces: tuple[Kind, ...] = ()
    drivers: tuple[str, ...] = ()
    nickname: str = ""
    mode: Mode = Mode.AUTOMATIC
    follows_port: int = 0  # for so many seconds after it goes, what comes to its port counts as the same device
    consent: Consent | None = None
    volumes: tuple[Volume, ...] = ()
    rule: Decision | None = None
    own_rule: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionView:
    """The session as it may be shown: never the key.

    `lost` says that it was there, is not, and may come back; `retry_in` is in how many seconds that is tried, None
    while it is being tried. `way` is who does the TLS of what is shared: kernel, relay, or empty. `problem` is the code
    of the Trouble that keeps it away.
    """

    name: str
    address: str
    connected: bool
    encryption: str
    text: str
    lost: bool = False
    retry_in: float | None = None
    way: str = ""
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """Something that stands in the way of every device: a Problem code, its sentence and its remedy."""

    code: str
    text: str
    remedy: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """Everything that is shown, at one moment; `generation` grows with each change.

    `fitness` is None while nothing is measured. `elsewhere` says that another program of this user shares: what is
    shown is its view, and what is asked is passed on to it.
    """

    rows: tuple[Row, ...] = ()
    session: SessionView | None = None
    problems: tuple[Trouble, ...] = ()
    generation: int = 0
    fitness: Fitness | None = None
    elsewhere: bool = False
