"""EFFECT: `qvd-usb connect`: runs the engine for one session, until its pipe closes or a signal comes."""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import time
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from client_gui import sessions, settings
from client_gui.engine import Engine
from client_gui.listing import (
    json_of_row,
    json_of_session,
    json_of_troubles,
    lasting,
    name_of,
    session_text,
    state_text,
)
from client_gui.requirements import check
from client_gui.session import require_privacy
from client_gui.session_pipe import at_end, closes, read_session
from client_gui.state import DeviceState, Snapshot
from qvd_usbip.errors import INTERNAL, NO_SESSION, SHARING_DISABLED, USAGE, QvdUsbError, printable, problem_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from client_gui.session import Session
    from client_gui.settings import Files
    from client_gui.state import Row
    from client_gui.troubles import Fault

HOPELESS = frozenset({"not-paired", "slave-key-missing", "slave-key-unsafe", "slave-refused-key"})
"""Problems of the session itself: no device can be shared with it, so the command ends."""

WELL = frozenset({DeviceState.NOT_SHARED, DeviceState.ATTACHED, DeviceState.IN_USE, DeviceState.ABSENT})
"""States in which an earlier failure of the device does not count any more."""


def connect(name: str | None, dash: str | None, descriptor: int | None, *, as_json: bool) -> int:
    """Shares the ticked devices with a session, and says what happens.

    Args:
        name: of a stored session; it lasts until a signal comes.
        dash: else "-" to read the session from standard input; it lasts as long as that is open.
        descriptor: else the open descriptor to read it from.
        as_json: one JSON object a line for each change, instead of sentences.

    Returns:
        0, or the exit status of the problem that stood in the way to the end.

    Raises:
        QvdUsbError: what makes sharing impossible from the start.
    """
    sources = [each for each in (name, dash, descriptor) if each is not None]
    if len(sources) != 1:
        raise QvdUsbError(USAGE, reason="a session is named, or read, not both") if sources else QvdUsbError(NO_SESSION)
    files = settings.Files.of_user()
    if name is None:
        source = 0 if descriptor is None else descriptor
        session = read_session(source)
    else:
        source, session = None, sessions.load(files, name)
    _require_possible(session, files, check)
    engine = Engine(files, check=check)
    engine.set_session(session)
    report = Report(as_json=as_json)
    with _wakeup() as wakeup:
        engine.subscribe(lambda snapshot: _pass_on(report, snapshot, wakeup.ring))
        engine.start()
        try:
            _wait(source, wakeup.descriptor, lambda: report.hopeless or not engine.is_alive())
            if not engine.is_alive():
                raise QvdUsbError(INTERNAL, reason="the engine ended by itself")
            status = report.exit_status  # of the session as it was; what follows is its orderly end
        finally:
            engine.stop()
    return status


def _require_possible(session: Session, files: Files, missing: Callable[[str], Fault | None]) -> None:
    read = settings.load(files)
    if read.needed_to_enable:
        raise QvdUsbError(SHARING_DISABLED, setting=read.needed_to_enable)
    require_privacy(session, allow_plaintext=read.allow_plaintext)
    fault = missing(read.helper)
    if fault is not None:
        raise QvdUsbError(problem_of(fault.code), path=read.helper, reason=fault.text)


class Report:
    """Prints each change once, and remembers what the exit status has to tell."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._began = time.monotonic()
        self._rows: dict[str, Row] = {}
        self._before = Snapshot()
        self._failing: dict[str, str] = {}
        self.hopeless = False

    @property
    def exit_status(self) -> int:
        """The status of the problem that ended the session, else of the first one that still stands, or 0."""
        codes = [*self._failing.values(), *(trouble.code for trouble in self._before.problems)]
        ended = [code for code in codes if code in HOPELESS]
        return problem_of((ended or codes)[0]).exit_status if codes else 0

    def show(self, snapshot: Snapshot) -> None:
        """Prints what is new in the snapshot."""
        if snapshot.session is not None and lasting(snapshot.session) != lasting(self._before.session):
            self._print("session", json_of_session(snapshot.session), session_text(snapshot.session))
        for trouble in snapshot.problems:
            if trouble not in self._before.problems:
                self._print("problem", json_of_troubles([trouble])[0], "")
                self._complain(trouble.text, trouble.remedy)
            self.hopeless = self.hopeless or trouble.code in HOPELESS
        self._before = snapshot
        for row in snapshot.rows:
            self._show_row(row)

    def _show_row(self, row: Row) -> None:
        before = self._rows.get(row.key)
        now = replace(row, retry_in=None)
        if now == before or (before is None and not row.ticked):
            return
        self._rows[row.key] = now
        self._print(
            "device",
            json_of_row(row),
            f"{row.busid or '-'}  {printable(row.identity)}  {name_of(row)}: {state_text(row)}",
        )
        self._note_fault(row)

    def _note_fault(self, row: Row) -> None:
        if row.state in WELL:
            self._failing.pop(row.key, None)
        if row.state in {DeviceState.FAILED, DeviceState.BLOCKED, DeviceState.LOCKED} and row.ticked:
            self._failing[row.key] = row.problem
            if all(trouble.code != row.problem for trouble in self._before.problems):  # else it is said already
                self._complain(f"{row.busid}: {row.problem_text}", row.remedy)
            self.hopeless = self.hopeless or row.problem in HOPELESS

    def _complain(self, text: str, remedy: str) -> None:
        print(f"error: {printable(text)}\n  {printable(remedy)}", file=sys.stderr, flush=True)

    def _print(self, event: str, value: object, sentence: str) -> None:
        at = round(time.monotonic() - self._began, 3)
        if self._as_json:
            print(json.dumps({"v": 1, "event": event, "at": at, event: value}), flush=True)
        elif sentence:
            print(f"{at:8.3f}  {printable(sentence)}", flush=True)


def _pass_on(report: Report, snapshot: Snapshot, ring: Callable[[], None]) -> None:
    try:
        report.show(snapshot)
    except BrokenPipeError:
        report.hopeless = True  # nobody reads us any more: the session's reader is gone
    if report.hopeless:
        ring()


class _Wakeup:
    """A descriptor that signals and the engine's thread can make readable."""

    def __init__(self) -> None:
        self.descriptor, self.write_end = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def ring(self) -> None:
        """Makes it readable."""
        try:
            os.write(self.write_end, b"!")
        except BlockingIOError:
            return  # it is readable already


@contextmanager
def _wakeup() -> Iterator[_Wakeup]:
    wakeup = _Wakeup()
    before = {
        number: signal.signal(number, lambda *_: wakeup.ring())
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    }
    try:
        yield wakeup
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(wakeup.descriptor)
        os.close(wakeup.write_end)


def _wait(source: int | None, wakeup: int, over: Callable[[], bool]) -> None:
    """Waits until the session's pipe closes, a signal comes, or there is nothing left to do.

    Without a pipe that closes only a signal ends the session.
    """
    poll = select.poll()
    if source is not None and closes(source):
        poll.register(source, select.POLLIN)
    poll.register(wakeup, select.POLLIN)
    while not over():
        for descriptor, _ in poll.poll(1000):
            if descriptor == wakeup or at_end(descriptor):
                return
