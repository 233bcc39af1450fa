"""The picker put together: engine, session pipe, closing, command line."""

from __future__ import annotations

import gc
import json
import os
import signal
import threading
from typing import TYPE_CHECKING

import pytest
from PySide6.QtWidgets import QApplication

from client_gui.ui.app import PickerRun, StopSignals
from client_gui.ui.garbage import GarbageDuty, collect_due
from client_gui.ui.look import Look
from client_gui.ui.main import main
from client_gui.ui.picker import Picker
from qvd_usbip.errors import SESSION_EXISTS, QvdUsbError
from tests.gui import samples
from tests.gui.fake_engine import FakeEngine
from tests.gui.seen import Seen
from tests.kit.refusals import assert_refused

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from PySide6.QtCore import QSettings
    from pytestqt.qtbot import QtBot

    from client_gui.session import Session

SESSION = {"v": 1, "name": "Work", "address": "127.0.0.1:11100", "key": "abc", "encryption": "none"}


class Pipe:
    """A pipe whose writing end a session's owner holds."""

    def __init__(self) -> None:
        self.reader, self._writer = os.pipe()
        self._open = True

    def write(self, text: str) -> None:
        os.write(self._writer, text.encode())

    def close(self) -> None:
        if self._open:
            os.close(self._writer)
            self._open = False


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    made = Pipe()
    yield made
    made.close()
    os.close(made.reader)


@pytest.fixture
def opened(engine: FakeEngine, memory: QSettings, pipe: Pipe, qtbot: QtBot) -> Iterator[PickerRun]:
    run = PickerRun(engine, Picker(engine, Look(), memory), pipe.reader)
    run.open()
    yield run
    engine.may_stop.set()
    pipe.close()
    run.close()
    qtbot.waitUntil(lambda: not run.picker.isVisible())


def test_session_arrives_by_the_pipe_while_it_stays_open(
    opened: PickerRun, engine: FakeEngine, pipe: Pipe, qtbot: QtBot
) -> None:
    text = json.dumps(SESSION)
    pipe.write(text[:20])
    qtbot.wait(30)
    assert engine.asked == [("start",)]
    pipe.write(text[20:])
    qtbot.waitUntil(lambda: engine.asked == [("start",), ("session", "Work")])


def test_session_ends_with_the_pipe_and_the_window_stays(
    opened: PickerRun, engine: FakeEngine, pipe: Pipe, qtbot: QtBot
) -> None:
    pipe.write(json.dumps(SESSION))
    qtbot.waitUntil(lambda: ("session", "Work") in engine.asked)
    pipe.close()
    qtbot.waitUntil(lambda: engine.asked[-1] == ("session", None))
    assert opened.picker.isVisible()


def test_session_out_of_a_file_lasts_as_long_as_the_window(
    engine: FakeEngine, memory: QSettings, tmp_path: Path, qtbot: QtBot
) -> None:
    (tmp_path / "session.json").write_text(json.dumps(SESSION))
    with (tmp_path / "session.json").open() as file:
        run = PickerRun(engine, Picker(engine, Look(), memory), file.fileno())
        run.open()
        qtbot.waitUntil(lambda: ("session", "Work") in engine.asked)
        qtbot.wait(50)
        assert engine.asked[-1] == ("session", "Work")
        run.close()
        qtbot.waitUntil(lambda: not run.picker.isVisible())


def test_picker_in_the_background_ends_with_its_session(
    opened: PickerRun, engine: FakeEngine, pipe: Pipe, qtbot: QtBot
) -> None:
    pipe.write(json.dumps(SESSION))
    qtbot.waitUntil(lambda: ("session", "Work") in engine.asked)
    engine.show(samples.BRIO, session=samples.SESSION)
    QApplication.processEvents()
    opened.picker.close()
    assert opened.picker.in_background
    assert engine.asked[-1] == ("session", "Work")
    pipe.close()
    qtbot.waitUntil(lambda: engine.asked[-2:] == [("session", None), ("stop",)])


def test_unusable_session_ends_the_picker_with_its_own_status(
    opened: PickerRun, engine: FakeEngine, pipe: Pipe, qtbot: QtBot, capfd: pytest.CaptureFixture[str]
) -> None:
    pipe.write('{"v":2}')
    qtbot.waitUntil(lambda: not opened.picker.isVisible())
    assert opened.exit_status == 14
    assert "The session description cannot be used" in capfd.readouterr().err


class Busy(FakeEngine):
    """One that cannot have a session: another program of the user has one."""

    def set_session(self, session: Session | None) -> None:
        raise QvdUsbError(SESSION_EXISTS, name="Work")


def test_second_picker_with_a_session_says_so_and_shows_what_the_first_one_does(
    memory: QSettings, pipe: Pipe, qtbot: QtBot, capfd: pytest.CaptureFixture[str]
) -> None:
    busy = Busy()
    run = PickerRun(busy, Picker(busy, Look(), memory), pipe.reader)
    run.open()
    busy.show(samples.BRIO)
    pipe.write(json.dumps(SESSION))
    qtbot.waitUntil(lambda: run.exit_status == SESSION_EXISTS.exit_status)
    assert "exists already" in capfd.readouterr().err
    seen = Seen(run.picker)
    qtbot.waitUntil(lambda: any("A session exists already: Work." in text for text in seen.texts()))
    busy.show(samples.BRIO, samples.STICK)
    qtbot.waitUntil(lambda: len(run.picker.model.rows()) == 2)
    assert run.picker.isVisible()
    assert any("A session exists already: Work." in text for text in seen.texts())
    run.close()
    qtbot.waitUntil(lambda: not run.picker.isVisible())


def test_second_picker_in_the_background_ends_where_nobody_would_see_it(
    memory: QSettings, pipe: Pipe, qtbot: QtBot
) -> None:
    busy = Busy()
    run = PickerRun(busy, Picker(busy, Look(), memory, stays=True), pipe.reader)
    run.open()
    run.picker.hide()
    pipe.write(json.dumps(SESSION))
    qtbot.waitUntil(lambda: ("stop",) in busy.asked)
    assert run.exit_status == SESSION_EXISTS.exit_status


def test_closing_waits_for_the_devices_without_blocking_the_window(
    opened: PickerRun, engine: FakeEngine, qtbot: QtBot
) -> None:
    engine.show(samples.BRIO)
    engine.may_stop.clear()
    opened.picker.close()
    opened.picker.close()
    qtbot.wait(50)
    assert opened.picker.isVisible(), "it shows what still returns"
    assert opened.picker.header.isVisible()
    engine.may_stop.set()
    qtbot.waitUntil(lambda: not opened.picker.isVisible())
    assert [what for what in engine.asked if what == ("stop",)] == [("stop",)]


def test_snapshots_come_from_another_thread_and_only_the_newest_of_a_burst_is_shown(
    opened: PickerRun, engine: FakeEngine, qtbot: QtBot
) -> None:
    shown = []
    opened.bridge.changed.connect(lambda snapshot: shown.append((snapshot.generation, threading.current_thread())))
    for _ in range(50):
        engine.show(samples.BRIO)
    qtbot.waitUntil(lambda: bool(shown))
    assert shown == [(50, threading.main_thread())]


def test_sigterm_brings_the_devices_home(opened: PickerRun, engine: FakeEngine, qtbot: QtBot) -> None:
    signals = StopSignals(opened.close)
    try:
        os.kill(os.getpid(), signal.SIGTERM)
        qtbot.waitUntil(lambda: ("stop",) in engine.asked)
    finally:
        signals.restore()
    QApplication.processEvents()


@pytest.mark.parametrize("number", ["987", "-1", "9" * 30])
def test_descriptor_that_is_not_open_is_refused(capsys: pytest.CaptureFixture[str], number: str) -> None:
    assert main([f"--session-fd={number}"]) == 10
    assert f"file descriptor {number} cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["--session", "file"], ["--session-fd", "x"], ["--fly"], ["extra"]])
def test_wrong_usage_has_its_own_status_and_a_remedy(capsys: pytest.CaptureFixture[str], words: list[str]) -> None:
    status = main(words)
    assert_refused(status, capsys.readouterr().err, "usage")


def test_without_a_screen_there_is_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        monkeypatch.delenv(name, raising=False)
    assert main([]) == 59
    said = capsys.readouterr().err
    assert "There is no screen" in said
    assert "qvd-usb list" in said


def test_help_has_examples(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    assert "--session - < PIPE" in capsys.readouterr().out


def test_widgets_are_collected_only_in_the_windows_thread(qapp: QApplication) -> None:
    duty = GarbageDuty()
    try:
        assert not gc.isenabled()
        loop: list[object] = []
        loop.append(loop)
        del loop
        gc.set_threshold(1, 1, 1)
        collect_due()
        assert gc.get_count()[0] <= 1
    finally:
        gc.set_threshold(700, 10, 10)
        duty.end()
    assert gc.isenabled()
