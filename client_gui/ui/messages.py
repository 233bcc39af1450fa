"""EFFECT: every word of the picker in the user's language (Qt's translator), from values and Problem codes."""

from __future__ import annotations

import html
import math
import re
from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QCoreApplication, QLocale

from client_gui.state import DeviceState, Row, SessionView, Step
from qvd_usbip.errors import DEVICE_LOCKED, printable

if TYPE_CHECKING:
    from client_gui.state import Fitness
    from qvd_usbip.kinds import Kind
    from qvd_usbip.usb import Speed


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

SHORT_WORDS: Final = {"memory-stick": noop("stick")}

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

SIZE_UNITS: Final = ("B", "kB", "MB", "GB", "TB")

SPEED_WORDS: Final = {
    1: "USB 1, 1.5 Mbit/s",
    2: "USB 1, 12 Mbit/s",
    3: "USB 2, 480 Mbit/s",
    5: "USB 3, 5 Gbit/s",
    6: "USB 3, 10 Gbit/s",
}


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


def everything_it_is(row: Row) -> str:
    """Says what a device is, with all its faces: "camera + microphone"."""
    faces = row.faces or (row.kind,)
    if len(faces) == 1:
        return face_word(faces[0])
    return " + ".join(tr(SHORT_WORDS[face]) if face in SHORT_WORDS else face_word(face) for face in faces)


def faces_listed(faces: tuple[Kind, ...]) -> str:
    """Says what a device is as a list that begins a line: "Camera, microphone"."""
    return capital(", ".join(map(face_word, faces)))


def capital(text: str) -> str:
    """Returns a text with a capital at its beginning."""
    return f"{text[:1].upper()}{text[1:]}"


def vendor(row: Row) -> str:
    """Names the maker of a device."""
    return printable(row.vendor).strip() or tr("Unknown vendor")


def secondary(row: Row) -> str:
    """Says the line below the name: the rule that blocks, what tells twins apart, or maker and what it is or holds."""
    if row.state is DeviceState.BLOCKED and (reason := blocked_by(row) or problem_sentence(row.problem_text)):
        return reason
    if row.state is DeviceState.ABSENT:
        return tr("{vendor} · {what}, remembered", vendor=vendor(row), what=everything_it_is(row))
    if recognised_by_port(row):
        return tr("Port {busid} · no serial number", busid=row.busid)
    mounted = [volume.path for volume in row.volumes if volume.path]
    what = everything_it_is(row)
    if len(row.volumes) > 1:
        what = tr("{n} volumes", n=len(row.volumes))
    elif mounted:
        what = printable(mounted[0])
    return tr("{vendor} · {what}", vendor=vendor(row), what=what)


def blocked_by(row: Row) -> str:
    """Names the rule that blocks a device, and where it is written; empty if that is not known."""
    rule = row.rule
    if rule is None or row.problem != DEVICE_LOCKED.code:
        return ""
    if not rule.file:
        return tr('Blocked by rule {n}, "{name}".', n=rule.number, name=printable(rule.name))
    place = f"{printable(rule.file)}:{rule.line}"
    return tr('Blocked by rule {n}, "{name}" ({place}).', n=rule.number, name=printable(rule.name), place=place)


def decided_by(row: Row) -> str:
    """Says why a device may be shared: the user's choice and the rule; empty if no rule is known."""
    rule = row.rule
    if rule is None:
        return ""
    words = {"n": rule.number, "m": rule.total, "name": printable(rule.name)}
    if row.state in {DeviceState.BLOCKED, DeviceState.LOCKED}:
        return blocked_by(row) or tr('Rule {n} of {m}, "{name}".', **words)
    allowed = tr('Allowed by rule {n} of {m}, "{name}".', **words)
    if rule.administrator:
        allowed = tr('Allowed by rule {n} of {m}, "{name}", set by your administrator.', **words)
    return f"{tr('Your choice.')} {allowed}" if row.ticked else allowed


def local_driver(row: Row) -> str:
    """Says which driver has the device, and which ones have it when it is at home."""
    now, usual = printable(row.driver), printable(", ".join(row.drivers))
    if row.driver == "usbip-host" and usual:
        return tr("usbip-host; usually {drivers}", drivers=usual)
    return usual or now


def volume_lines(row: Row) -> str:
    """Names the volumes of a device, one a line, each with its size and where it is mounted."""
    return "\n".join(
        " · ".join(filter(None, (printable(volume.name), size_word(volume.size), printable(volume.path))))
        for volume in row.volumes
    )


def size_word(size: int) -> str:
    """Says a number of bytes as disks are sold: 57 GB, 4.2 GB; nothing for none."""
    if size <= 0:
        return ""
    value, unit = float(size), 0
    while value >= 999.5 and unit + 1 < len(SIZE_UNITS):
        value, unit = value / 1000, unit + 1
    digits = 1 if value < 9.95 and unit else 0
    return f"{QLocale().toString(value, 'f', digits)} {SIZE_UNITS[unit]}"


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


def problem_sentence(text: str) -> str:
    """Translates the sentence of a Problem where a translation is known, and makes it safe to show."""
    return printable(QCoreApplication.translate("Problem", text))


def retry_sentence(seconds: float) -> str:
    """Says when the next try comes."""
    return tr("Retry in {n} s.", n=max(0, math.ceil(seconds)))


def session_title(session: SessionView | None) -> str:
    """Names the session, or the window if there is none."""
    return (printable(session.name).strip() if session else "") or tr("USB devices")


def session_line(session: SessionView | None) -> str:
    """Says in one line how the session stands."""
    if session is None:
        return tr("No session. Ticked devices wait for it.")
    if not session.connected:
        text = problem_sentence(session.text.removeprefix(f"{session.name}: "))
        return capital(text) or tr("Connecting…")
    return tr("Connected · not encrypted") if session.encryption == "none" else tr("Connected · encrypted")


def durations(steps: tuple[Step, ...]) -> dict[str, int]:
    """Returns how long each step took, in milliseconds, from moments counted from the tick."""
    ends = [0, *(step.milliseconds for step in steps)]
    return {step.name: max(0, step.milliseconds - start) for step, start in zip(steps, ends, strict=False)}


def steps_heading(row: Row) -> str:
    """Says how far the sharing of a device has come."""
    if row.steps and row.steps[-1].name == "ready":
        return tr("Ready in {n} ms", n=row.steps[-1].milliseconds)
    return state_word(row.state)


def port(row: Row) -> str:
    """Says where a device is plugged in, and how fast it talks."""
    if row.busid is None:
        return tr("Not connected")
    return f"{row.busid} · {speed_word(row.speed)}" if row.speed is not None else str(row.busid)


def speed_word(speed: Speed) -> str:
    """Says the USB generation and the bits per second."""
    return SPEED_WORDS.get(int(speed), f"USB, {int(speed)}")


def identity(row: Row) -> str:
    """Says by what a device is recognised."""
    return f"{row.vidpid} · {printable(row.serial)}" if row.serial else str(row.vidpid)


def recognised_by_port(row: Row) -> str:
    """Says that two such devices are plugged in and only the port tells them apart; empty for any other."""
    if row.serial or row.busid is None or not row.twin:
        return ""
    return tr("No serial number: recognised by port {busid}", busid=row.busid)


def report(row: Row) -> str:
    """Returns what to paste into a message to whoever looks after this computer."""
    lines = [
        f"{device_name(row)}: {state_word(row.state)}",
        f"{tr('What it is')}: {secondary(row)}",
        f"{tr('Identity')}: {identity(row)}",
        f"{tr('Port')}: {port(row)}",
        f"{tr('Local driver')}: {printable(row.driver)}",
        *(f"{tr(STEP_WORDS[name])}: {spent} ms" for name, spent in durations(row.steps).items() if name in STEP_WORDS),
    ]
    if row.problem:
        lines.append(f"{row.problem}: {problem_sentence(row.problem_text)} {problem_sentence(row.remedy)}".rstrip())
    return "\n".join(lines)


_AS_ROOT: Final = re.compile(r"[Aa]s root: (?P<command>.+?)(?:[.;,] |\.?$)")


def split_remedy(remedy: str) -> tuple[str, str, str]:
    """Parts a remedy into what a person reads and what they copy.

    Returns: what stands before the command, the command with sudo in front of each part, what stands behind it; each
    may be empty.
    """
    found = _AS_ROOT.search(remedy)
    if found is None:
        return remedy, "", ""
    before, after = remedy[: found.start()].rstrip(" ,;:"), remedy[found.end() :].strip()
    command = " && ".join(f"sudo {part.strip()}" for part in found["command"].split("&&"))
    return f"{before}:" if before else "", command, capital(after)
