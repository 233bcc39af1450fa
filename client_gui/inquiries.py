"""EFFECT: the commands of `qvd-usb` that explain: doctor, explain, policy, watch."""

from __future__ import annotations

import json
import signal
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from client_gui import selection, settings
from client_gui.advisor import Advisor, read_rulebook
from client_gui.doctor import examine
from client_gui.engine import Engine
from client_gui.listing import (
    json_of_consent,
    json_of_row,
    json_of_rule,
    json_of_session,
    lasting,
    name_of,
    session_text,
    state_text,
)
from client_gui.scan import Scanner
from client_gui.selection import Situation
from client_gui.settings import Files
from client_gui.state import Asked, Row, Snapshot
from client_gui.targets import names, parse_target
from qvd_usbip.errors import DEVICE_UNKNOWN, INTERNAL, QvdUsbError, printable
from qvd_usbip.finding import as_lines, exit_status_of

if TYPE_CHECKING:
    from client_gui.judgement import Judgement
    from client_gui.rules import Rule

NOT_WELL = 1
"""What `doctor` ends with where devices can be shared, and something is not as it should be."""

ASKS = {
    Asked.UNLOCK: "shared only after you agreed: it is of a kind that is locked",
    Asked.CHANGE: "shared only after you agreed: it came back as something else than it was",
    Asked.STORAGE: "shared only after you agreed to unmount its volumes",
    Asked.PLUGGED: "shared only after you agreed: its mode is to ask",
}


def _print_json(value: object) -> None:
    print(json.dumps(value, ensure_ascii=True), flush=True)


def doctor(*, as_json: bool) -> int:
    """Prints what was looked at; 0 only if all is well; else what stands in the way first decides, or NOT_WELL."""
    found = examine(Files.of_user())
    if as_json:
        _print_json({"v": 1, "checks": [each.as_json() for each in found]})
    else:
        print("\n".join(as_lines(found)))
    return exit_status_of(found) or (NOT_WELL if any(each.remedy for each in found) else 0)


def explain(target: str, *, as_json: bool) -> int:
    """Prints for each device that is meant which rule decides about it, and where that is written."""
    meant = parse_target(target)
    files = Files.of_user()
    read = settings.load(files)
    devices = Scanner(Path(read.usbroot)).scan()
    advisor = Advisor(files, read.database)
    advisor.reload()
    if advisor.book_fault is not None:
        raise advisor.book_fault
    assessments = advisor.assess(devices, read.wishes, Path(read.usbroot))
    rows = selection.rows_of(devices, Situation(wishes=read.wishes, assessments=assessments))
    found = {device.busid for device in selection.listed(devices) if names(meant, device)}
    chosen = [row for row in rows if row.busid in found]
    if not chosen:
        raise QvdUsbError(DEVICE_UNKNOWN, device=meant)
    explained = [(row, assessments[row.busid].judgement) for row in chosen if row.busid is not None]
    if as_json:
        _print_json({"v": 1, "devices": [_json_of(row, judgement) for row, judgement in explained]})
    else:
        print("\n\n".join(_sentences(row, judgement) for row, judgement in explained))
    return 0


def _json_of(row: Row, judgement: Judgement) -> dict[str, object]:
    return {
        "busid": str(row.busid),
        "device": row.identity,
        "ticked": row.ticked,
        "allowed": judgement.refusal is None,
        "rule": json_of_rule(judgement.decision),
        "question": json_of_consent(judgement.question),
        "refusal": "" if judgement.refusal is None else str(judgement.refusal),
        "own_rule": row.own_rule,
    }


def _sentences(row: Row, judgement: Judgement) -> str:
    rule = judgement.decision
    where = f" ({rule.file}:{rule.line})" if rule.file else " (built in)"
    verdict = "may be shared"
    if judgement.refusal is not None:
        verdict = f"is not shared: {judgement.refusal}"
    elif judgement.question is not None:
        verdict = f"is {ASKS[judgement.question.asked]}"
    lines = (
        f"{row.busid}  {row.identity}  {name_of(row)}",
        f"  {verdict}",
        f'  decided by rule {rule.number} of {rule.total}, "{rule.name}"{where}',
        f"  ticked: {'yes' if row.ticked else 'no'}; mode: {row.mode}",
        f"  the shortest rule that names it alone: {row.own_rule}",
    )
    return "\n".join(printable(line) for line in lines)


def show_policy(*, as_json: bool) -> int:
    """Prints every rule in the order in which they are counted, and what the administrator allows at all."""
    book = read_rulebook(Files.of_user())
    policy = book.policy
    who = {"group": policy.group, "seat": policy.seat}
    if as_json:
        rules = [_json_of_rule(number, rule) for number, rule in enumerate(book.rules, 1)]
        locked, consent = sorted(policy.locked), sorted(policy.consent)
        _print_json({"v": 1, "who": who, "locked": locked, "consent": consent, "rules": rules})
        return 0
    seat = " and whoever sits at this computer" if policy.seat else ""
    print(f"may lend devices: group {policy.group or '(none)'}{seat}")
    print(f"users can agree to: {', '.join(sorted(policy.consent)) or 'nothing'}")
    for number, rule in enumerate(book.rules, 1):
        where = f"{rule.file}:{rule.line}" if rule.file else "built in"
        print(printable(f"{number:3}  {rule.action:5}  {rule.name}  ({where})"))
    return 0


def _json_of_rule(number: int, rule: Rule) -> dict[str, object]:
    return {
        "number": number,
        "action": rule.action,
        "name": rule.name,
        "owner": rule.owner,
        "file": rule.file,
        "line": rule.line,
    }


class Watcher:
    """Prints what is plugged in, and then each change."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._began = time.monotonic()
        self._rows: dict[str, Row] = {}
        self._session: object = None
        self.over = threading.Event()

    def show(self, snapshot: Snapshot) -> None:
        """Prints what is new."""
        try:
            self._show(snapshot)
        except OSError:
            self.over.set()  # nobody reads any more

    def _show(self, snapshot: Snapshot) -> None:
        if lasting(snapshot.session) != self._session:
            self._session = lasting(snapshot.session)
            text = "no session" if snapshot.session is None else session_text(snapshot.session)
            self._print("session", json_of_session(snapshot.session), text)
        now = {row.key: replace(row, retry_in=None) for row in snapshot.rows}
        for key, row in now.items():
            if row != self._rows.get(key):
                text = f"{row.busid or '-'}  {row.identity}  {name_of(row)}: {state_text(row)}"
                self._print("device", json_of_row(row), text)
        for key in [key for key in self._rows if key not in now]:
            gone = self._rows[key]
            self._print("gone", {"key": key}, f"{gone.busid or '-'}  {gone.identity}  {name_of(gone)}: gone")
        self._rows = now

    def _print(self, event: str, value: object, sentence: str) -> None:
        at = round(time.monotonic() - self._began, 3)
        if self._as_json:
            _print_json({"v": 1, "event": event, "at": at, event: value})
        else:
            print(f"{at:8.3f}  {printable(sentence)}", flush=True)


def watch(*, as_json: bool) -> int:
    """Prints each change, of the engine that shares if there is one, until it is interrupted."""
    watcher = Watcher(as_json=as_json)
    ends = (signal.SIGTERM, signal.SIGINT)
    before = {number: signal.signal(number, lambda *_: watcher.over.set()) for number in ends}
    engine = Engine()
    engine.subscribe(watcher.show)
    engine.start()
    try:
        while not watcher.over.wait(0.5):
            if not engine.is_alive():
                raise QvdUsbError(INTERNAL, reason="the engine ended by itself")
    finally:
        engine.stop()
        for number, handler in before.items():
            signal.signal(number, handler)
    return 0
