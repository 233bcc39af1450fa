"""PURE: the rules of which devices of this computer may be lent: written by the administrator, by the user, built in.

Light module: the setuid helper judges by the administrator's rules under root.

One rule a line: an action (allow, deny, or ask: only after the user agreed) and what it is about, all of which has to
fit: `vid:pid`, `vid:pid@serial`, `class=KIND`, `port=BUSID`, or `any`. What follows a # is the rule's name.
"""

from qvd_usbip import classes, errors, ids, percent

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from typing import Protocol

    class DeviceLike(Protocol):
        """What is judged of a device: usb.UsbDevice has it."""

        @property
        def busid(self) -> ids.BusId:
            """The port it is plugged into."""

        @property
        def vidpid(self) -> ids.VidPid:
            """Vendor and product."""

        @property
        def serial(self) -> str:
            """Serial number, "" if none."""

        @property
        def interfaces(self) -> "Sequence[classes.InterfaceLike]":
            """Its interfaces."""


ALLOW, DENY, ASK = "allow", "deny", "ask"
ADMINISTRATOR, USER, BUILT_IN = "administrator", "user", "built-in"

_LONGEST_LINE = 2048  # a serial number of 126 characters may need nine letters for each: `naming` must be read back
_MOST = 4096


def _having(patterns: tuple[classes.Pattern, ...]) -> "Callable[[DeviceLike], bool]":
    return lambda device: classes.has(device.interfaces, patterns)


KINDS: "dict[str, Callable[[DeviceLike], bool]]" = {
    "audio": _having(classes.AUDIO),
    "bluetooth": _having(classes.BLUETOOTH),
    "input": _having(classes.INPUT),
    "keyboard": _having(classes.KEYBOARD),
    "mouse": _having(classes.MOUSE),
    "network": lambda device: classes.is_network(device.interfaces),
    "printer": _having(classes.PRINTER),
    "serial": _having(classes.SERIAL),
    "smart-card": _having(classes.SMART_CARD),
    "storage": _having(classes.STORAGE),
    "vendor": _having(classes.VENDOR),
    "video": _having(classes.VIDEO),
}
"""What `class=` may name."""


class Rule(ids.Value):
    """One rule: what it says (`action`), what it is about (None or "": whatever), and where it is written."""

    __match_args__ = ("action", "vidpid", "serial", "kind", "port", "name", "owner", "file", "line")
    __slots__ = __match_args__
    action: str
    vidpid: "ids.VidPid | None"
    serial: "str | None"
    kind: str
    port: "ids.BusId | None"
    name: str
    owner: str
    file: str
    line: int

    def __init__(
        self,
        action: str,
        *,
        vidpid: "ids.VidPid | None" = None,
        serial: "str | None" = None,
        kind: str = "",
        port: "ids.BusId | None" = None,
        name: str = "",
        owner: str = BUILT_IN,
        file: str = "",
        line: int = 0,
    ) -> None:
        self._set(
            action=action, vidpid=vidpid, serial=serial, kind=kind, port=port, name=name, owner=owner, file=file,
            line=line,
        )  # fmt: skip

    @property
    def rank(self) -> int:
        """How exactly it names a device: a serial number most, then a port, vendor and product, a class, anything."""
        about = (self.serial is not None, self.port is not None, self.vidpid is not None, bool(self.kind))
        return sum(weight for weight, named in zip((8, 4, 2, 1), about, strict=True) if named)

    def applies(self, device: "DeviceLike", kinds: "Collection[str]") -> bool:
        """Whether it speaks about this device, which is of these kinds."""
        return (
            self.vidpid in (None, device.vidpid)
            and self.serial in (None, device.serial)
            and self.port in (None, device.busid)
            and (not self.kind or self.kind in kinds)
        )


def parse(text: str, owner: str, file: str) -> tuple[Rule, ...]:
    """Read a file of rules. Raises: QvdUsbError settings-malformed, with file and line."""
    found: list[Rule] = []
    for number, line in enumerate(text.split("\n"), 1):
        said, _, name = line.rstrip("\r").partition("#")
        words = said.split()
        if not words:
            continue
        if len(line) > _LONGEST_LINE or len(found) >= _MOST:
            raise _malformed(file, number, "there are too many rules, or a line is too long")
        found.append(_rule(words, name.strip(), owner, file, number))
    return tuple(found)


def _rule(words: "list[str]", name: str, owner: str, file: str, number: int) -> Rule:
    action, *about = words
    if action not in (ALLOW, DENY, ASK):
        raise _malformed(file, number, f"it begins with '{action}', not with allow, deny or ask")
    if not about:
        raise _malformed(file, number, "it does not say which devices it is about; for every device: any")
    vidpid = serial = port = None
    kind = ""
    for word in about:
        key, equals, value = word.partition("=")
        if word == "any" and len(about) == 1:
            continue
        if key == "class" and equals and not kind and value in KINDS:
            kind = value
        elif key == "port" and equals and port is None:
            port = _port(value, file, number)
        elif vidpid is None and ":" in word:
            vidpid, serial = _identity(word, file, number)
        else:
            raise _malformed(file, number, f"'{word}' is not understood there")
    rule_name = name or " ".join(words)
    return Rule(action, vidpid=vidpid, serial=serial, kind=kind, port=port, name=rule_name, owner=owner, file=file,
                line=number)  # fmt: skip


def _port(value: str, file: str, number: int) -> ids.BusId:
    try:
        return ids.BusId.parse(value)
    except errors.QvdUsbError as error:
        raise _malformed(file, number, f"'{value}' is no port; one looks like 1-4.2") from error


def _identity(word: str, file: str, number: int) -> "tuple[ids.VidPid, str | None]":
    vidpid, at, serial = word.partition("@")
    try:
        named = ids.VidPid.parse(vidpid)
        if at and not serial:
            raise ValueError(word)
        return named, percent.decoded(serial) if at else None
    except (errors.QvdUsbError, ValueError) as error:
        raise _malformed(file, number, f"'{word}' is not vid:pid or vid:pid@serial") from error


def _malformed(file: str, number: int, reason: str) -> errors.QvdUsbError:
    return errors.QvdUsbError(errors.SETTINGS_MALFORMED, reason=f"{file}, line {number}: {reason}")


def naming(device: "DeviceLike", *, alike: bool, twin: bool) -> str:
    """The shortest words that name this device alone among the others that are plugged in.

    Args:
        device: the device.
        alike: one of the others has its vendor and product.
        twin: one of the others has its serial number, too.
    """
    if device.serial and not twin:
        return f"{device.vidpid}@{_word(device.serial)}"
    return f"{device.vidpid} port={device.busid}" if alike else str(device.vidpid)


def _word(serial: str) -> str:
    """A serial number as one word, so that `parse` reads it back."""
    return "".join(
        char if char.isprintable() and not char.isspace() and char not in "%#" else percent.escaped(char)
        for char in serial
    )


def kinds_of(device: "DeviceLike") -> frozenset[str]:
    """The kinds that a rule can name which this device is of, by what it says itself."""
    return frozenset(kind for kind, fits in KINDS.items() if fits(device))


def deciding(
    device: "DeviceLike", rules: "Sequence[Rule]", kinds: "Collection[str] | None" = None
) -> "tuple[int, Rule] | None":
    """The rule that decides about the device, and its place (from 0); None where none speaks about it.

    The administrator's rules come before the user's, those before the built-in ones. Among one owner's the most exact
    one decides; among equally exact ones a denial, else the first.

    Args:
        device: what is judged.
        rules: all of them, in the order in which they are counted.
        kinds: what the device is, where more is known of that than it says itself.
    """
    best = None
    known = kinds_of(device) if kinds is None else kinds
    for place, rule in enumerate(rules):
        if rule.applies(device, known) and (best is None or _weight(rule) > _weight(best[1])):
            best = place, rule
    return best


_OWNERS = (BUILT_IN, USER, ADMINISTRATOR)
_ACTIONS = (ALLOW, ASK, DENY)


def _weight(rule: Rule) -> tuple[int, int, int]:
    return _OWNERS.index(rule.owner), rule.rank, _ACTIONS.index(rule.action)
