"""EFFECT: the words of the cards that ask before a device is shared, in the user's language."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from client_gui.state import Asked
from client_gui.ui.messages import KIND_WORDS, device_name, kind_word, noop, tr
from qvd_usbip.kinds import Kind

if TYPE_CHECKING:
    from client_gui.state import Consent, Row

UNLOCK_WARNINGS: Final = {
    Kind.KEYBOARD: noop("You cannot type on this computer with it while it is shared."),
    Kind.MOUSE: noop("You cannot point on this computer with it while it is shared."),
    Kind.NETWORK_ADAPTER: noop("This computer may lose its network."),
    Kind.BLUETOOTH_ADAPTER: noop("What is connected by Bluetooth stops working on this computer."),
}
ONLY_ONE: Final = {
    Kind.KEYBOARD: noop("It is your only keyboard. Plug in another one first."),
    Kind.MOUSE: noop("It is your only mouse. Plug in another one first."),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a card says: icon, heading, text; the word that agrees and the one that refuses, which is the safe one.

    `urge_safe` says that the safe answer is the one to stand out.
    """

    icon: str
    heading: str
    text: str
    agree: str
    refuse: str
    urge_safe: bool = False


def question_of(row: Row, consent: Consent) -> Question:
    """Words what is asked before this device is shared."""
    return _QUESTIONS[consent.asked](row, consent)


def _storage(row: Row, _consent: Consent) -> Question:
    mounted = any(volume.path for volume in row.volumes)
    text = tr("The remote desktop will be able to read, change and delete everything on it.")
    if mounted:
        text = f"{text} {tr('It is unmounted here first, so that no half-written file is left.')}"
    return Question(
        icon="s-failed",
        heading=tr("Share this memory stick?")
        if row.kind is Kind.MEMORY_STICK
        else tr("Share this {what}?", what=kind_word(row)),
        text=text,
        agree=tr("Unmount and share") if mounted else tr("Share"),
        refuse=tr("Cancel"),
    )


def _unlock(row: Row, consent: Consent) -> Question:
    faces = tuple(row.faces) or (row.kind,)
    sentences = [tr(UNLOCK_WARNINGS[face]) for face in faces if face in UNLOCK_WARNINGS]
    if consent.only_one:
        sentences += [tr(ONLY_ONE[face]) for face in faces if face in ONLY_ONE][:1]
    return Question(
        icon="s-locked",
        heading=tr("Share this {what}?", what=kind_word(row)),
        text=" ".join(sentences) or tr("While shared, a device stops working on this computer."),
        agree=tr("Unlock and share"),
        refuse=tr("Cancel"),
    )


def _change(_row: Row, consent: Consent) -> Question:
    new = new_faces(consent)
    heading = tr("This device has changed")
    if new:
        heading = tr("This device now also presents a {what}", what=tr(KIND_WORDS.get(str(new[0]), "device")))
    text = tr("If you did not change anything on this device, keep it here.")
    if Kind.KEYBOARD in new:
        text = tr(
            "A keyboard can type commands on the remote desktop."
            " If you did not change anything on this device, keep it here."
        )
    return Question(
        icon="s-confirm",
        heading=heading,
        text=text,
        agree=tr("Share anyway"),
        refuse=tr("Keep it here"),
        urge_safe=True,
    )


def _plugged(row: Row, _consent: Consent) -> Question:
    return Question(
        icon="s-confirm",
        heading=tr("Share {device} now?", device=device_name(row)),
        text=tr("You wished to be asked each time it is plugged in or the session returns."),
        agree=tr("Share"),
        refuse=tr("Not now"),
    )


_QUESTIONS: Final = {
    Asked.STORAGE: _storage,
    Asked.UNLOCK: _unlock,
    Asked.CHANGE: _change,
    Asked.PLUGGED: _plugged,
}


def new_faces(consent: Consent) -> tuple[Kind, ...]:
    """Returns what the device is now and was not when it was chosen."""
    return tuple(face for face in consent.now if face not in consent.before)
