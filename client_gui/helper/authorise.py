"""PURE: who may take which device: the administrator's policy, the caller, the device, and what its user agreed to."""

from qvd_usbip import classes
from qvd_usbip.errors import (
    DEVICE_BELOW_VHCI,
    DEVICE_CHANGED,
    DEVICE_IS_HUB,
    DEVICE_LOCKED,
    NETWORK_IN_USE,
    NOT_PERMITTED,
    POLICY_UNSAFE,
    QvdUsbError,
)
from qvd_usbip.ids import VidPid
from qvd_usbip.properties import parse as parse_properties

TYPE_CHECKING = False
if TYPE_CHECKING:
    from client_gui.helper.device import Device, Identity
    from client_gui.rules import Rule

PATH = "/etc/qvd/usbip-policy.conf"
RULES_PATH = "/etc/qvd/usbip-rules.conf"
KINDS = ("storage", "keyboard", "mouse", "network", "bluetooth")
NOT_AUTHORISED = "this computer's administrator has not authorised it"
NOT_READ_YET = "the kernel has not read yet what it is"
NEEDS_CONSENT = "{kinds} needs the user's consent"
_LOCKED = "keyboard,mouse,network,bluetooth"
_CLASSES = (
    ("storage", classes.STORAGE),
    ("keyboard", classes.KEYBOARD),
    ("mouse", classes.MOUSE),
    ("bluetooth", classes.BLUETOOTH),
)


class Policy:
    """The administrator's word.

    `group` may take devices (empty: no group); with `seat` the owner of an active local seat session may too.
    `locked` are the kinds that need consent, `consent` the kinds to which a user can consent. `rules` are about single
    devices and come before that: one that allows a device unlocks it.
    """

    __slots__ = ("consent", "group", "locked", "rules", "seat")

    def __init__(
        self,
        *,
        group: str,
        seat: bool,
        locked: frozenset[str],
        consent: frozenset[str],
        rules: "tuple[Rule, ...]" = (),
    ) -> None:
        self.rules = rules
        self.group = group
        self.seat = seat
        self.locked = locked
        self.consent = consent


def parse_policy(text: str) -> Policy:
    """Reads /etc/qvd/usbip-policy.conf; an empty text gives the default.

    Keys: `usbip.allow.group` (qvdusb), `usbip.allow.seat` (1), `usbip.locked` (keyboard,mouse,network,bluetooth),
    `usbip.consent.user` (every kind).

    Raises:
        QvdUsbError: policy-unsafe for a value or key nobody defined: a rule that is not understood cannot be kept.
    """
    try:
        found = parse_properties(text)
    except QvdUsbError as error:
        raise QvdUsbError(POLICY_UNSAFE, path=PATH, reason=error.context["reason"]) from error
    policy = Policy(
        group=found.pop("usbip.allow.group", "qvdusb").strip(),
        seat=_switch(found.pop("usbip.allow.seat", "1").strip()),
        locked=_kinds(found.pop("usbip.locked", _LOCKED), "usbip.locked"),
        consent=_kinds(found.pop("usbip.consent.user", ",".join(KINDS)), "usbip.consent.user"),
    )
    if found:
        raise QvdUsbError(POLICY_UNSAFE, path=PATH, reason=f"unknown key {min(found)}")
    return policy


def _switch(value: str) -> bool:
    if value not in {"0", "1"}:
        raise QvdUsbError(POLICY_UNSAFE, path=PATH, reason="usbip.allow.seat is neither 0 nor 1")
    return value == "1"


def _kinds(value: str, key: str) -> frozenset[str]:
    kinds = frozenset(kind.strip() for kind in value.split(",")) - {""}
    if not kinds <= set(KINDS):
        raise QvdUsbError(POLICY_UNSAFE, path=PATH, reason=f"{key} holds something else than " + ", ".join(KINDS))
    return kinds


class Caller:
    """Who asks: real uid, the names of all groups of that account, and whether they sit at this machine."""

    __slots__ = ("groups", "seated", "uid")

    def __init__(self, *, uid: int, groups: frozenset[str], seated: bool) -> None:
        self.uid = uid
        self.groups = groups
        self.seated = seated


def check_caller(policy: Policy, caller: Caller) -> None:
    """Decides whether the caller may take devices at all.

    Raises:
        QvdUsbError: not-permitted.
    """
    if caller.uid == 0 or (policy.group and policy.group in caller.groups) or (policy.seat and caller.seated):
        return
    raise QvdUsbError(NOT_PERMITTED, group=policy.group or "-")


def kinds_of(device: "Device") -> set[str]:
    """Decides which of the kinds above the device is, by its interfaces and by what the local drivers found in it."""
    kinds = device.inputs | {kind for kind, patterns in _CLASSES if classes.has(device.interfaces, patterns)}
    if device.blocks:
        kinds.add("storage")
    if device.networks or classes.is_network(device.interfaces):
        kinds.add("network")
    return kinds


def check_device(policy: Policy, device: "Device", consent: frozenset[str]) -> None:
    """Decides whether the device may be taken, given what its user agreed to.

    Raises:
        QvdUsbError: device-is-hub, device-below-vhci, device-locked, network-in-use.
    """
    busid = str(device.busid)
    if classes.is_hub(device.cls, device.interfaces):
        raise QvdUsbError(DEVICE_IS_HUB, busid=busid)
    if device.below_vhci:
        raise QvdUsbError(DEVICE_BELOW_VHCI, busid=busid)
    if not device.authorized:
        raise QvdUsbError(DEVICE_LOCKED, busid=busid, rule=NOT_AUTHORISED)
    if not device.interfaces:
        raise QvdUsbError(DEVICE_LOCKED, busid=busid, rule=NOT_READ_YET)
    for network in device.networks:
        if network.up:
            raise QvdUsbError(NETWORK_IN_USE, busid=busid, use=network.name)
    action, place = _ruled(policy, device)
    if action == "deny":
        raise QvdUsbError(DEVICE_LOCKED, busid=busid, rule=place)
    if action == "allow":
        return
    if locked := (kinds_of(device) & policy.locked) - (consent & policy.consent):
        raise QvdUsbError(DEVICE_LOCKED, busid=busid, rule=NEEDS_CONSENT.format(kinds=", ".join(sorted(locked))))


def _ruled(policy: Policy, device: "Device") -> tuple[str, str]:
    """What the administrator's rules say about the device ("" for nothing), and which one, where it is written."""
    if not policy.rules:
        return "", ""
    # only a machine that has such rules pays for them
    from client_gui.rules import deciding  # noqa: PLC0415  # see above
    from client_gui.rules import kinds_of as kinds_said  # noqa: PLC0415  # see above

    seen = _Seen(device)
    found = deciding(seen, policy.rules, kinds_said(seen) | kinds_of(device))
    return ("", "") if found is None else (found[1].action, f'"{found[1].name}" ({found[1].file}:{found[1].line})')


class _Seen:
    """A device as the rules look at it."""

    __slots__ = ("busid", "interfaces", "serial", "vidpid")

    def __init__(self, device: "Device") -> None:
        self.busid = device.busid
        self.interfaces = device.interfaces
        self.serial = device.identity.serial
        self.vidpid = VidPid.parse(device.identity.vidpid)


def check_identity(device: "Device", expected: "Identity", devnum: int | None = None) -> None:
    """Decides whether the device is the one that was meant, and still the one that was looked at (same devnum).

    Raises:
        QvdUsbError: device-changed.
    """
    if device.identity != expected or devnum not in {None, device.devnum}:
        raise QvdUsbError(DEVICE_CHANGED, busid=str(device.busid))


def session_of(cgroup: str) -> tuple[str, int]:
    """Decides which logind session or user a process belongs to.

    Args:
        cgroup: the text of /proc/PID/cgroup.

    Returns:
        (session id, -1) below `session-ID.scope`, ("", uid) below `user@UID.service`, ("", -1) for anything else.

    Source: systemd docs, sd_pid_get_session(3): the unit of the process decides, never its environment.
    """
    for line in cgroup.splitlines():
        number, controllers, path = [*line.split(":", 2), "", ""][:3]
        if not (number == "0" or controllers == "name=systemd"):
            continue
        parts = path.split("/")[1:]
        if len(parts) < 3 or parts[0] != "user.slice" or not parts[1].startswith("user-"):
            continue
        unit = parts[2]
        session = unit.removeprefix("session-").removesuffix(".scope")
        if unit == f"session-{session}.scope" and session.isascii() and session.isalnum():
            return session, -1
        user = unit.removeprefix("user@").removesuffix(".service")
        if unit == f"user@{user}.service" and user.isascii() and user.isdigit() and len(user) <= 10:
            return "", int(user)
    return "", -1


def is_seated(session: str, uid: int) -> bool:
    """Decides from the text of a /run/systemd/sessions file whether it is the user's, active, local and at a seat."""
    fields = dict(line.split("=", 1) for line in session.splitlines() if "=" in line)
    return (
        fields.get("UID") == str(uid)
        and fields.get("ACTIVE") == "1"
        and fields.get("REMOTE") == "0"
        and bool(fields.get("SEAT"))
        and fields.get("CLASS", "user") == "user"
    )
