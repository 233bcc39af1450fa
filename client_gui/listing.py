"""PURE: rows and sessions as JSON (for programs, stable) and as a table (for people)."""

from __future__ import annotations

from client_gui.state import DeviceState
from qvd_usbip.errors import DEVICE_LOCKED, printable
from qvd_usbip.values import replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from client_gui.state import Consent, Decision, Fitness, Row, SessionView, Snapshot, Trouble

WORDS: Mapping[DeviceState, str] = {
    DeviceState.NOT_SHARED: "not shared",
    DeviceState.WAITING: "waiting for session",
    DeviceState.RELEASING: "releasing",
    DeviceState.CONNECTING: "connecting",
    DeviceState.ATTACHED: "attached",
    DeviceState.IN_USE: "in use remotely",
    DeviceState.RETURNING: "returning",
    DeviceState.ABSENT: "not connected",
    DeviceState.LOCKED: "locked",
    DeviceState.BLOCKED: "blocked",
    DeviceState.CONFIRM: "needs your OK",
    DeviceState.FAILED: "failed",
}

Json = dict[str, object]


def json_of_row(row: Row) -> Json:
    """The JSON form of a row; keys are never taken away, only added."""
    return {
        "key": row.key,
        "busid": str(row.busid) if row.busid is not None else None,
        "vid_pid": str(row.vidpid),
        "serial": row.serial,
        "product": row.product,
        "vendor": row.vendor,
        "kind": str(row.kind),
        "speed": int(row.speed) if row.speed is not None else None,
        "driver": row.driver,
        "ticked": row.ticked,
        "state": str(row.state),
        "steps": [{"name": step.name, "milliseconds": step.milliseconds} for step in row.steps],
        "problem": row.problem,
        "problem_text": row.problem_text,
        "remedy": row.remedy,
        "retry_in": row.retry_in,
        "tries": row.tries,
        "identity": row.identity,
        "twin": row.twin,
        "faces": [str(face) for face in row.faces],
        "drivers": list(row.drivers),
        "nickname": row.nickname,
        "mode": str(row.mode),
        "follows_port": row.follows_port,
        "consent": json_of_consent(row.consent),
        "volumes": [{"name": each.name, "path": each.path, "size": each.size} for each in row.volumes],
        "rule": json_of_rule(row.rule),
        "own_rule": row.own_rule,
    }


def json_of_consent(consent: Consent | None) -> Json | None:
    """The JSON form of what a device's user is asked."""
    if consent is None:
        return None
    return {
        "asked": str(consent.asked),
        "before": [str(face) for face in consent.before],
        "now": [str(face) for face in consent.now],
        "only_one": consent.only_one,
    }


def json_of_rule(rule: Decision | None) -> Json | None:
    """The JSON form of the rule that decided."""
    if rule is None:
        return None
    return {
        "name": rule.name,
        "number": rule.number,
        "total": rule.total,
        "file": rule.file,
        "line": rule.line,
        "administrator": rule.administrator,
    }


def json_of_session(session: SessionView | None) -> Json | None:
    """The JSON form of a session: without the key, which a SessionView does not have."""
    if session is None:
        return None
    return {
        "name": session.name,
        "address": session.address,
        "connected": session.connected,
        "encryption": session.encryption,
        "way": session.way,
        "text": session.text,
        "lost": session.lost,
        "retry_in": session.retry_in,
        "problem": session.problem,
    }


def json_of_troubles(troubles: Sequence[Trouble]) -> list[Json]:
    """The JSON form of what stands in the way of every device."""
    return [{"code": trouble.code, "text": trouble.text, "remedy": trouble.remedy} for trouble in troubles]


def json_of_snapshot(snapshot: Snapshot) -> Json:
    """The JSON form of everything that is shown."""
    return {
        "v": 1,
        "generation": snapshot.generation,
        "session": json_of_session(snapshot.session),
        "problems": json_of_troubles(snapshot.problems),
        "devices": [json_of_row(row) for row in snapshot.rows],
        "fitness": json_of_fitness(snapshot.fitness),
    }


def json_of_fitness(fitness: Fitness | None) -> Json | None:
    """The JSON form of how good the way to the session is: milliseconds, and Mbit/s where known."""
    if fitness is None:
        return None
    return {"round_trip": fitness.round_trip, "jitter": fitness.jitter, "throughput": fitness.throughput}


def lasting(session: SessionView | None) -> SessionView | None:
    """What of a session is news when it changes: not the seconds of a countdown."""
    return None if session is None else replace(session, retry_in=None)


def session_text(session: SessionView) -> str:
    """How the session stands, in words, and when one that was lost is tried again."""
    text = session.text
    if session.lost:
        again = "trying again" if session.retry_in is None else f"trying again in {session.retry_in:.0f} s"
        text += f"; session lost, {again}"
    return printable(text)


def state_text(row: Row) -> str:
    """The state in words, with the reason and when it is tried again."""
    text = WORDS[row.state]
    if row.problem_text:
        known = DEVICE_LOCKED.sentence.partition("{rule}")[0].format(busid=row.busid)  # the word says it already
        text += f": {row.problem_text.removeprefix(known)}"
    if row.retry_in is not None:
        text += f" (again in {row.retry_in:.0f} s)"
    elif row.tries > 1:
        text += f" (stopped after {row.tries} tries)"
    return printable(text)


def name_of(row: Row) -> str:
    """What a person calls the device; a twin is named by its port too."""
    name = printable(row.nickname or " ".join(filter(None, (row.vendor, row.product)))) or str(row.kind)
    return f"{name} (at port {row.busid})" if row.twin else name


def table(rows: Sequence[Row]) -> str:
    """The table for people: port, identity, tick, kind, state, name."""
    head = ("PORT", "DEVICE", "SHARE", "KIND", "STATE", "NAME")
    lines = [
        (
            str(row.busid or "-"),
            printable(row.identity),
            "yes" if row.ticked else "no",
            str(row.kind),
            state_text(row),
            name_of(row),
        )
        for row in rows
    ]
    widths = [max(len(line[column]) for line in (head, *lines)) for column in range(len(head))]
    widths[4] = min(widths[4], 40)
    return "\n".join(
        "  ".join(word.ljust(width) for word, width in zip(line, widths, strict=True)).rstrip()
        for line in (head, *lines)
    )
