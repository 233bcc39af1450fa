"""PURE: may this device be shared? Ordered rules, the first that decides wins and is named in the verdict.

Light module: the helper judges with it under root. It judges what the descriptors say: a device that hides a keyboard
behind a plain HID interface (no boot protocol) is not known for one here.
"""

from qvd_usbip import classes, errors, ids

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence
    from typing import Protocol

    class DeviceLike(Protocol):
        """What is judged of a device: usb.UsbDevice has it."""

        @property
        def vidpid(self) -> ids.VidPid:
            """Vendor and product."""

        @property
        def serial(self) -> str:
            """Serial number, "" if none."""

        @property
        def cls(self) -> int:
            """Class code of the whole device."""

        @property
        def interfaces(self) -> "Sequence[classes.InterfaceLike]":
            """Its interfaces."""

        @property
        def below_vhci(self) -> bool:
            """Whether it came from another computer."""


ALLOW = "allow"
DENY = "deny"
CONSENT = "consent"  # allowed if the user said yes to this rule by name


class Rule(ids.Value):
    """One rule: `name` (also the word of consent), `action`, and to what it applies: `subject` of SUBJECTS.

    With a `vidpid` (and perhaps a `serial`) it applies to those devices only.
    """

    __match_args__ = ("name", "action", "subject", "vidpid", "serial")
    __slots__ = __match_args__
    name: str
    action: str
    subject: str
    vidpid: "ids.VidPid | None"
    serial: "str | None"

    def __init__(
        self,
        name: str,
        action: str,
        *,
        subject: str = "any",
        vidpid: "ids.VidPid | None" = None,
        serial: "str | None" = None,
    ) -> None:
        """Raises: QvdUsbError settings-malformed for an action or subject that does not exist."""
        if action not in (ALLOW, DENY, CONSENT) or subject not in SUBJECTS:
            reason = f"rule '{name}' says '{action} {subject}'"
            raise errors.QvdUsbError(errors.SETTINGS_MALFORMED, reason=reason)
        self._set(name=name, action=action, subject=subject, vidpid=vidpid, serial=serial)


class Verdict(ids.Value):
    """`allowed`, the name of the `rule` that decided, and the word of `consent` that would change it ("" if none)."""

    __match_args__ = ("allowed", "rule", "consent")
    __slots__ = __match_args__
    allowed: bool
    rule: str
    consent: str

    def __init__(self, *, allowed: bool, rule: str, consent: str = "") -> None:
        self._set(allowed=allowed, rule=rule, consent=consent)


def _is_hub(device: "DeviceLike") -> bool:
    return device.cls == 0x09 or classes.has(device.interfaces, classes.HUB)


def _having(patterns: tuple[classes.Pattern, ...]) -> "Callable[[DeviceLike], bool]":
    return lambda device: classes.has(device.interfaces, patterns)


SUBJECTS: "dict[str, Callable[[DeviceLike], bool]]" = {
    "any": lambda _: True,
    "bluetooth": _having(classes.BLUETOOTH),
    "from-elsewhere": lambda device: device.below_vhci,
    "hub": _is_hub,
    "keyboard": _having(classes.KEYBOARD),
    "mouse": _having(classes.MOUSE),
    "network": lambda device: classes.is_network(device.interfaces),
    "storage": _having(classes.STORAGE),
}

DEFAULT_RULES: tuple[Rule, ...] = (
    Rule("hub", DENY, subject="hub"),
    Rule("from-elsewhere", DENY, subject="from-elsewhere"),
    Rule("keyboard", CONSENT, subject="keyboard"),
    Rule("mouse", CONSENT, subject="mouse"),
    Rule("network", CONSENT, subject="network"),
    Rule("bluetooth", CONSENT, subject="bluetooth"),
    Rule("default", ALLOW),
)


def judge(device: "DeviceLike", rules: "Iterable[Rule]" = DEFAULT_RULES, consent: "Collection[str]" = ()) -> Verdict:
    """Decide by the first rule that applies. A consent rule whose name the user agreed to lets the next ones decide.

    A device that no rule applies to is refused, by the rule "none".
    """
    for rule in rules:
        if not applies(rule, device):
            continue
        if rule.action == ALLOW:
            return Verdict(allowed=True, rule=rule.name)
        if rule.action == DENY:
            return Verdict(allowed=False, rule=rule.name)
        if rule.name not in consent:
            return Verdict(allowed=False, rule=rule.name, consent=rule.name)
    return Verdict(allowed=False, rule="none")


def applies(rule: Rule, device: "DeviceLike") -> bool:
    """Whether this rule speaks about this device."""
    if rule.vidpid is not None and rule.vidpid != device.vidpid:
        return False
    if rule.serial is not None and rule.serial != device.serial:
        return False
    return SUBJECTS[rule.subject](device)
