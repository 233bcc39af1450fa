"""EFFECT: every word of the picker in the user's language (Qt's translator), from values and Problem codes."""

from __future__ import annotations

import html
import math
from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QCoreApplication

from client_gui.state import DeviceState, Row, SessionView
from client_gui.ui.problem_words import sentence
from qvd_usbip.errors import printable

if TYPE_CHECKING:
    from client_gui.state import Fitness, Trouble
    from qvd_usbip.kinds import Kind


def noop(text: str) -> str:
    """Marks a text for the translators; tr() translates it where it is shown."""
    return text


STATE_WORDS: Final = {
    DeviceState.NOT_SHARED: noop("Not shared"),
    DeviceState.WAITING: noop("Waiting for session"),
    DeviceState.RELEASING: noop("Releasing…"),
    DeviceState.CONNECTING: noop("Connecting…"),
    DeviceState.ATTACHED: noop("Attached"),
    DeviceState.IN_USE: noop("In use remotely"),
    DeviceState.RETURNING: noop("Returning…"),
    DeviceState.ABSENT: noop("Not connected"),
    DeviceState.LOCKED: noop("Locked"),
    DeviceState.BLOCKED: noop("Blocked"),
    DeviceState.CONFIRM: noop("Needs your OK"),
    DeviceState.FAILED: noop("Failed"),
}

KIND_WORDS: Final = {
    "camera": noop("camera"),
    "microphone": noop("microphone"),
    "memory-stick": noop("memory stick"),
    "security-key": noop("security key"),
    "serial-adapter": noop("serial adapter"),
    "headset": noop("headset"),
    "keyboard": noop("keyboard"),
    "mouse": noop("mouse"),
    "printer": noop("printer"),
    "scanner": noop("scanner"),
    "phone": noop("phone"),
    "network-adapter": noop("network adapter"),
    "bluetooth-adapter": noop("Bluetooth adapter"),
    "device": noop("device"),
}


STEP_WORDS: Final = {
    "released": noop("Released"),
    "exported": noop("Exported"),
    "attached": noop("Attached"),
    "ready": noop("Ready"),
}

FITNESS_WORDS: Final = (
    (noop("Good for video and sound"), 4),
    (noop("Fine for keys, disks and printers"), 2),
    (noop("Too slow for video and sound"), 1),
)


def tr(text: str, /, **values: object) -> str:
    """Translates a sentence of the picker, then fills its {places}."""
    translated = QCoreApplication.translate("Picker", text)
    return translated.format(**values) if values else translated


def tooltip(text: str) -> str:
    """Makes a tool tip that shows the text as it is: Qt would take a device called "<b>" for HTML."""
    return f"<qt>{'<br>'.join(html.escape(line) for line in text.splitlines())}</qt>"


def device_name(row: Row) -> str:
    """Names a device as the user calls it, or as it calls itself, or by what it is and its numbers."""
    name = printable(row.nickname).strip() or printable(row.product).strip()
    return name or f"{kind_word(row)} {row.vidpid}"


def kind_word(row: Row) -> str:
    """Says in a word what a device is."""
    return face_word(row.kind)


def face_word(face: Kind) -> str:
    """Says in a word what a face of a device is."""
    return tr(KIND_WORDS.get(str(face), KIND_WORDS["device"]))


def capital(text: str) -> str:
    """Returns a text with a capital at its beginning."""
    return f"{text[:1].upper()}{text[1:]}"


def fitness_word(round_trip: float) -> str:
    """Says what a way of this round trip, in milliseconds, is good for."""
    return tr(_fitness(round_trip)[0])


def fitness_bars(round_trip: float) -> int:
    """Returns how many of four bars repeat the word."""
    return _fitness(round_trip)[1]


def _fitness(round_trip: float) -> tuple[str, int]:
    return FITNESS_WORDS[0 if round_trip < 50 else 1 if round_trip <= 100 else 2]


def fitness_numbers(fitness: Fitness) -> str:
    """Says the round trip, and the throughput where it is known."""
    trip = tr("{n} ms", n=max(1, round(fitness.round_trip)))
    if fitness.throughput is None:
        return trip
    return f"{trip} · {tr('{n} Mbit/s', n=max(1, round(fitness.throughput)))}"


def state_word(state: DeviceState) -> str:
    """Says where a device stands."""
    return tr(STATE_WORDS[state])


def all_state_words() -> tuple[str, ...]:
    """Returns each word a status can be, to make room for the widest."""
    return tuple(tr(word) for word in STATE_WORDS.values())


def retry_sentence(seconds: float) -> str:
    """Says when the next try comes."""
    return tr("Retry in {n} s.", n=max(0, math.ceil(seconds)))


def stopped_sentence(tries: int) -> str:
    """Says that no further try comes by itself, where there was more than one; else nothing."""
    return tr("Stopped after {n} tries.", n=tries) if tries > 1 else ""


def session_title(session: SessionView | None) -> str:
    """Names the session, or the window if there is none."""
    return (printable(session.name).strip() if session else "") or tr("USB devices")


def session_line(session: SessionView | None, troubles: tuple[Trouble, ...] = ()) -> str:
    """Says in one line how the session stands; of the troubles, the one that keeps it away."""
    if session is None:
        return tr("No session. Ticked devices wait for it.")
    if session.lost:
        if session.retry_in is None:
            return tr("Connecting…")
        return tr("Session lost. Trying again in {n} s.", n=math.ceil(session.retry_in))
    if not session.connected:
        trouble = next((each for each in troubles if each.code == session.problem), None)
        return tr("Connecting…") if trouble is None else sentence(trouble.code, trouble.text)
    return _safety(session)


def _safety(session: SessionView) -> str:
    if session.encryption == "none":
        return tr("Connected · not encrypted")
    if session.way == "relay":
        return tr("Connected · encrypted by a relay")
    return tr("Connected · encrypted by the kernel") if session.way == "kernel" else tr("Connected · encrypted")
