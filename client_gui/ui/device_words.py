"""EFFECT: what is said of a device besides its name and state, in the user's language."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QLocale

from client_gui.state import Decision, DeviceState, Row, Step
from client_gui.ui import problem_words, value_words
from client_gui.ui.messages import STEP_WORDS, capital, device_name, face_word, noop, state_word, tr
from qvd_usbip.errors import DEVICE_LOCKED, printable
from qvd_usbip.kinds import keeps_data

if TYPE_CHECKING:
    from qvd_usbip.kinds import Kind
    from qvd_usbip.usb import Speed

SPEED_WORDS: Final = {
    1: "USB 1, 1.5 Mbit/s",
    2: "USB 1, 12 Mbit/s",
    3: "USB 2, 480 Mbit/s",
    5: "USB 3, 5 Gbit/s",
    6: "USB 3, 10 Gbit/s",
}


SIZE_UNITS: Final = ("B", "kB", "MB", "GB", "TB")


SHORT_WORDS: Final = {"memory-stick": noop("stick")}


def everything_it_is(row: Row) -> str:
    """Says what a device is, with all its faces: "camera + microphone"."""
    faces = row.faces or (row.kind,)
    if len(faces) == 1:
        return face_word(faces[0])
    return " + ".join(tr(SHORT_WORDS[face]) if face in SHORT_WORDS else face_word(face) for face in faces)


def faces_listed(faces: tuple[Kind, ...]) -> str:
    """Says what a device is as a list that begins a line: "Camera, microphone"."""
    return capital(", ".join(map(face_word, faces)))


def vendor(row: Row) -> str:
    """Names the maker of a device."""
    return printable(row.vendor).strip() or tr("Unknown vendor")


def secondary(row: Row) -> str:
    """Says the line below the name: the rule that blocks, what tells twins apart, or maker and what it is or holds."""
    if (
        row.state is DeviceState.BLOCKED
        and not row.tries
        and (  # after a try the strip says it
            reason := blocked_by(row) or problem_words.sentence(row.problem, row.problem_text)
        )
    ):
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
        return tr('Blocked by rule {n}, "{name}".', n=rule.number, name=_rule_name(rule))
    place = f"{printable(rule.file)}:{rule.line}"
    return tr('Blocked by rule {n}, "{name}" ({place}).', n=rule.number, name=printable(rule.name), place=place)


def decided_by(row: Row) -> str:
    """Says why a device may be shared: the user's choice and the rule; empty if no rule is known."""
    rule = row.rule
    if rule is None:
        return ""
    words = {"n": rule.number, "m": rule.total, "name": _rule_name(rule)}
    if row.state in {DeviceState.BLOCKED, DeviceState.LOCKED}:
        return blocked_by(row) or tr('Rule {n} of {m}, "{name}".', **words)
    allowed = tr('Allowed by rule {n} of {m}, "{name}".', **words)
    if rule.administrator:
        allowed = tr('Allowed by rule {n} of {m}, "{name}", set by your administrator.', **words)
    return f"{tr('Your choice.')} {allowed}" if row.ticked else allowed


def _rule_name(rule: Decision) -> str:
    """Names a rule: somebody's as they wrote it, one that nobody wrote in the user's language."""
    return printable(rule.name if rule.file else value_words.translated(rule.name))


def local_driver(row: Row) -> str:
    """Says which driver has the device, and which ones have it when it is at home."""
    now, usual = printable(row.driver), printable(", ".join(row.drivers))
    if row.driver == "usbip-host" and usual:
        return tr("usbip-host; usually {drivers}", drivers=usual)
    return usual or now


def caution(row: Row) -> str:
    """Says what the other side may do to what is stored on a device; nothing for one that stores nothing."""
    if not keeps_data(row.faces or (row.kind,)):
        return ""
    return tr("The remote desktop will be able to read, change and delete everything on it.")


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
        f"{tr('What it is')}: {tr('{vendor} · {what}', vendor=vendor(row), what=everything_it_is(row))}",
        f"{tr('Identity')}: {identity(row)}",
        f"{tr('Port')}: {port(row)}",
        f"{tr('Local driver')}: {printable(row.driver)}",
        *(f"{tr(STEP_WORDS[name])}: {spent} ms" for name, spent in durations(row.steps).items() if name in STEP_WORDS),
    ]
    if row.problem:
        happened = problem_words.sentence(row.problem, row.problem_text)
        lines.append(f"{row.problem}: {happened} {problem_words.remedy(row.problem, row.remedy)}".rstrip())
    return "\n".join(lines)
