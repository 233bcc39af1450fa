"""Whether a device may be shared, and what its user is asked first."""

from __future__ import annotations

from dataclasses import replace

from client_gui import rules
from client_gui.helper.authorise import parse_policy
from client_gui.judgement import (
    DEFAULT_BOOK,
    Circumstances,
    Judgement,
    Rulebook,
    agreed_words,
    judge,
    kinds_refused,
    rulebook_of,
)
from client_gui.memory import Remembered
from client_gui.state import Asked, Mode, Volume
from client_gui.troubles import Fault
from qvd_usbip.errors import DEVICE_LOCKED, QvdUsbError
from qvd_usbip.kinds import Kind
from qvd_usbip.usb import UsbDevice
from tests.unit.client_gui.devices import KEYBOARD, SERIAL, STORAGE, device

TYPING = device(interfaces=(KEYBOARD,))
STICK = device(interfaces=(STORAGE,))
MOUNTED = (Volume(name="BACKUP", path="/media/user/BACKUP"),)


def book(policy: str = "", administrators: str = "", users: str = "") -> Rulebook:
    written = (
        *rules.parse(administrators, rules.ADMINISTRATOR, "admin"),
        *rules.parse(users, rules.USER, "user"),
    )
    return rulebook_of(parse_policy(policy), written)


def chosen(found: UsbDevice, *consent: str, **changes: object) -> Remembered:
    known = Remembered(fingerprint=found.fingerprint, faces=(Kind.KEYBOARD,), consent=frozenset(consent))
    return replace(known, **changes)  # type: ignore[arg-type]  # its own fields


def asked(judgement: Judgement) -> Asked | None:
    return None if judgement.question is None else judgement.question.asked


def test_an_adapter_is_allowed_by_the_last_rule() -> None:
    judgement = judge(device(), DEFAULT_BOOK, Circumstances(ticked=True))
    assert (judgement.refusal, judgement.question, judgement.consent) == (None, None, ())
    assert (judgement.decision.number, judgement.decision.total) == (5, 5)
    assert not judgement.decision.administrator


def test_a_keyboard_waits_for_a_yes_that_is_then_told_to_the_helper() -> None:
    assert asked(judge(TYPING, DEFAULT_BOOK, Circumstances())) is Asked.UNLOCK
    yes = Circumstances(known=chosen(TYPING, *agreed_words(TYPING, DEFAULT_BOOK)))
    assert judge(TYPING, DEFAULT_BOOK, yes).consent == ("keyboard",)
    assert judge(TYPING, DEFAULT_BOOK, yes).question is None


def test_a_yes_counts_for_what_the_device_was_then() -> None:
    both = device(interfaces=(KEYBOARD, STORAGE))
    known = chosen(TYPING, "keyboard")
    changed = judge(both, DEFAULT_BOOK, Circumstances(ticked=True, known=known))
    assert changed.question is not None
    assert (changed.question.asked, changed.question.before) == (Asked.CHANGE, (Kind.KEYBOARD,))
    assert set(changed.question.now) == {Kind.MEMORY_STICK, Kind.KEYBOARD}
    assert asked(judge(both, DEFAULT_BOOK, Circumstances(known=known))) is Asked.UNLOCK
    assert changed.consent == ()


def test_a_lent_device_whose_interfaces_the_kernel_hides_has_not_changed() -> None:
    hidden = replace(TYPING, interfaces=(), driver="usbip-host")
    assert asked(judge(hidden, DEFAULT_BOOK, Circumstances(ticked=True, known=chosen(TYPING, "keyboard")))) is None


def test_mounted_volumes_are_asked_about_once_in_each_plugging() -> None:
    assert asked(judge(STICK, DEFAULT_BOOK, Circumstances(volumes=MOUNTED))) is Asked.STORAGE
    agreed = judge(STICK, DEFAULT_BOOK, Circumstances(volumes=MOUNTED, agreed=frozenset({Asked.STORAGE})))
    assert (agreed.question, agreed.consent) == (None, ("storage",))
    lying = (Volume(name="BACKUP"),)
    assert judge(STICK, DEFAULT_BOOK, Circumstances(volumes=lying)).question is None


def test_a_device_to_be_asked_about_is_asked_about_unless_its_user_just_ticked_it() -> None:
    known = chosen(device(), mode=Mode.ASK)
    assert asked(judge(device(), DEFAULT_BOOK, Circumstances(ticked=True, known=known))) is Asked.PLUGGED
    assert judge(device(), DEFAULT_BOOK, Circumstances(ticked=True, known=known, armed=True)).question is None
    assert judge(device(), DEFAULT_BOOK, Circumstances(known=known)).question is None


def test_a_denial_names_its_rule_and_its_place() -> None:
    judgement = judge(STICK, book(administrators="\ndeny class=storage # No sticks"), Circumstances())
    assert str(judgement.refusal) == '1-4 is locked: "No sticks" (admin:2).'
    assert (judgement.decision.number, judgement.decision.total, judgement.decision.administrator) == (1, 6, True)
    assert judgement.lock(STICK.busid) is judgement.refusal


def test_what_the_administrator_lets_nobody_agree_to_cannot_be_agreed_to() -> None:
    strict = book("usbip.consent.user=storage")
    judgement = judge(TYPING, strict, Circumstances(known=chosen(TYPING, "keyboard")))
    assert judgement.refusal is not None
    assert judgement.question is None
    assert judge(TYPING, book("usbip.consent.user=storage", users="allow any"), Circumstances()).refusal is not None


def test_who_writes_a_rule_that_allows_agrees_by_writing_it() -> None:
    by_user = judge(TYPING, book(users="allow class=keyboard"), Circumstances())
    assert (by_user.question, by_user.consent) == (None, ("keyboard",))
    by_administrator = judge(TYPING, book(administrators="allow class=keyboard"), Circumstances())
    assert (by_administrator.question, by_administrator.consent) == (None, ())


def test_a_rule_that_asks_asks_for_any_device() -> None:
    asking = book(users="ask class=serial")
    adapter = device(interfaces=(SERIAL,))
    assert asked(judge(adapter, asking, Circumstances())) is Asked.UNLOCK
    words = agreed_words(adapter, asking)
    after = judge(adapter, asking, Circumstances(known=chosen(adapter, *words)))
    assert (after.question, after.consent) == (None, ())


def test_storage_that_the_policy_locks_is_asked_about_even_if_it_is_not_mounted() -> None:
    assert asked(judge(STICK, book("usbip.locked=storage"), Circumstances())) is Asked.UNLOCK


def test_what_only_the_helper_finds_is_asked_about_and_the_yes_is_told_to_it_from_then_on() -> None:
    plain, found = device(), frozenset({"keyboard"})
    assert asked(judge(plain, DEFAULT_BOOK, Circumstances(ticked=True, found=found))) is Asked.UNLOCK
    known = chosen(plain, *agreed_words(plain, DEFAULT_BOOK, found))
    assert judge(plain, DEFAULT_BOOK, Circumstances(ticked=True, known=known)).consent == ("keyboard",)


def test_what_the_helper_wants_consent_for_is_read_in_its_own_words() -> None:
    refusal = QvdUsbError(DEVICE_LOCKED, busid="1-4", rule="keyboard, mouse needs the user's consent")
    assert kinds_refused(Fault(code="device-locked", text=str(refusal))) == {"keyboard", "mouse"}
    ruled = QvdUsbError(DEVICE_LOCKED, busid="1-4", rule='"no keyboard here" (/etc/qvd/usbip-rules.conf:1)')
    assert kinds_refused(Fault(code="device-locked", text=str(ruled))) == frozenset()
    assert kinds_refused(Fault(code="storage-in-use", text="consent storage")) == kinds_refused(None) == frozenset()
