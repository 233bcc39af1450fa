"""PURE: may this device be shared, and what does its user have to agree to first?

The setuid helper judges again, by the administrator's word alone, and refuses whatever this lets pass wrongly.
"""

from __future__ import annotations

from client_gui import rules
from client_gui.helper.authorise import KINDS, Policy, parse_policy
from client_gui.memory import NOTHING, Remembered
from client_gui.state import Asked, Consent, Decision, Mode
from qvd_usbip.errors import DEVICE_LOCKED, QvdUsbError
from qvd_usbip.kinds import faces_of
from qvd_usbip.values import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from client_gui.rules import Rule
    from client_gui.state import Volume
    from client_gui.troubles import Fault
    from qvd_usbip.usb import UsbDevice

_BY_RULE = "rule"
"""The word of consent to a rule that asks, whatever kind of device it is about."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rulebook:
    """The administrator's policy, and all rules in the order in which they are counted."""

    policy: Policy
    rules: tuple[Rule, ...]


LOCKED_BY_NATURE = "{kind}: only after you agreed"
EVERYTHING_ELSE = "everything else"
"""The names of the rules that nobody wrote."""
NOBODY_LENDS = "the administrator lets nobody lend a device of this kind ({kinds})"


def rulebook_of(policy: Policy, written: Sequence[Rule]) -> Rulebook:
    """Decides the whole book: the written rules, then what the policy locks, then that everything else is allowed."""
    locks = tuple(
        rules.Rule(rules.ASK, kind=kind, name=LOCKED_BY_NATURE.format(kind=kind))
        for kind in KINDS
        if kind in policy.locked
    )
    return Rulebook(policy=policy, rules=(*written, *locks, rules.Rule(rules.ALLOW, name=EVERYTHING_ELSE)))


DEFAULT_BOOK = rulebook_of(parse_policy(""), ())


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """What counts besides device and rules: whether it is ticked, what is known of it, what was agreed, its volumes.

    `agreed` is what its user said yes to since it was plugged in; `armed` whether they asked for it since then, in
    this session. `only_one` says that the computer has no other such keyboard or mouse.
    `found` are kinds that the helper found it to be of, which its descriptors do not say.
    """

    ticked: bool = False
    known: Remembered = NOTHING
    agreed: frozenset[Asked] = frozenset()
    armed: bool = False
    volumes: tuple[Volume, ...] = ()
    only_one: bool = False
    found: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What was decided: by which rule, why it can never be shared, or what is to be asked next.

    `consent` are the words for the helper, as far as its user agreed.
    """

    decision: Decision
    refusal: QvdUsbError | None = None
    question: Consent | None = None
    consent: tuple[str, ...] = ()

    def lock(self, busid: object) -> QvdUsbError | None:
        """Why it may not be ticked: it can never be shared, or is of a kind that stays here until its user agrees."""
        if self.refusal is None and self.question is not None and self.question.asked is Asked.UNLOCK:
            return QvdUsbError(DEVICE_LOCKED, busid=busid, rule=self.decision.name)
        return self.refusal


def judge(device: UsbDevice, book: Rulebook, around: Circumstances) -> Judgement:
    """Decides about one device."""
    kinds = rules.kinds_of(device) | around.found
    place, rule = rules.deciding(device, book.rules, kinds) or (len(book.rules) - 1, book.rules[-1])
    decision = Decision(
        name=rule.name,
        number=place + 1,
        total=len(book.rules),
        file=rule.file,
        line=rule.line,
        administrator=rule.owner == rules.ADMINISTRATOR,
    )
    needed = _needed(kinds, book.policy, rule)
    refusal = _refusal(device, book.policy, rule, needed)
    if refusal is not None:
        return Judgement(decision=decision, refusal=refusal)
    changed = has_changed(device, around.known)
    given = frozenset() if changed else around.known.consent & needed
    if rule.action == rules.ALLOW and rule.owner != rules.BUILT_IN:  # who wrote that agreed by writing it
        given = needed
    told = given if changed else given | around.known.consent  # the helper may find more than is needed here
    storage = {"storage"} if Asked.STORAGE in around.agreed else set()
    return Judgement(
        decision=decision,
        question=_question(device, around, changed=changed, locked=bool(needed - given)),
        consent=tuple(kind for kind in KINDS if kind in told | storage),
    )


def has_changed(device: UsbDevice, known: Remembered) -> bool:
    """Whether the device came back as something else; while the kernel hides its interfaces nobody can tell."""
    return bool(known.fingerprint and device.interfaces and device.fingerprint != known.fingerprint)


def _needed(kinds: frozenset[str], policy: Policy, rule: Rule) -> frozenset[str]:
    """What its user has to have agreed to: the locked kinds it is of, and a written rule that asks."""
    if rule.action == rules.ALLOW and rule.owner == rules.ADMINISTRATOR:
        return frozenset()
    locked = kinds & policy.locked
    return locked | {_BY_RULE} if rule.action == rules.ASK and rule.owner != rules.BUILT_IN else locked


def _refusal(device: UsbDevice, policy: Policy, rule: Rule, needed: frozenset[str]) -> QvdUsbError | None:
    if rule.action == rules.DENY:
        return QvdUsbError(DEVICE_LOCKED, busid=device.busid, rule=f'"{rule.name}" ({rule.file}:{rule.line})')
    beyond = needed - policy.consent - {_BY_RULE}
    if beyond:
        why = NOBODY_LENDS.format(kinds=", ".join(sorted(beyond)))
        return QvdUsbError(DEVICE_LOCKED, busid=device.busid, rule=why)
    return None


def _question(device: UsbDevice, around: Circumstances, *, changed: bool, locked: bool) -> Consent | None:
    """What is to be asked next; one yes to a change is a yes to what the device is now."""
    if changed and around.ticked:
        return Consent(asked=Asked.CHANGE, before=around.known.faces, now=faces_of(device), only_one=around.only_one)
    if locked:
        return Consent(asked=Asked.UNLOCK, now=faces_of(device), only_one=around.only_one)
    if any(volume.path for volume in around.volumes) and Asked.STORAGE not in around.agreed:
        return Consent(asked=Asked.STORAGE, now=faces_of(device))
    if around.ticked and around.known.mode is Mode.ASK and not around.armed:
        return Consent(asked=Asked.PLUGGED, now=faces_of(device))
    return None


def agreed_words(device: UsbDevice, book: Rulebook, found: frozenset[str] = frozenset()) -> frozenset[str]:
    """The words of consent that are remembered when its user agrees to what the device is now.

    Args:
        device: the device.
        book: the rules in force.
        found: kinds that the helper found it to be of, besides those that it says.
    """
    kinds = rules.kinds_of(device) | found
    deciding = rules.deciding(device, book.rules, kinds)
    return frozenset() if deciding is None else _needed(kinds, book.policy, deciding[1])


def kinds_refused(fault: Fault | None) -> frozenset[str]:
    """The kinds for which the helper wants a consent that it was not told: it sees what local drivers made of it."""
    if fault is None or fault.code != "device-locked":
        return frozenset()
    words = fault.text.replace(",", " ").replace(".", " ").split()
    return frozenset(kind for kind in KINDS if kind in words) if "consent" in words else frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """Everything that is known and decided about one device that is plugged in.

    `names` are those of vendor and product in the distribution's list, where the device does not say its own.
    """

    judgement: Judgement
    known: Remembered = NOTHING
    volumes: tuple[Volume, ...] = ()
    armed: bool = False
    followed: bool = False
    names: tuple[str, str] = ("", "")
    unmount_fault: Fault | None = None

    @property
    def is_mounted(self) -> bool:
        """Whether something of it is mounted here."""
        return any(volume.path for volume in self.volumes)

    def wished(self, *, ticked: bool) -> bool:
        """Whether its user wants it shared now: one with mode MANUAL only if they said so since it was plugged in."""
        return (ticked or self.followed) and (self.known.mode is not Mode.MANUAL or self.armed)
