"""The picker that a desktop starts: switched in the menu, there as an icon, and still there when closed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QApplication

from client_gui.autostart import NAME, Autostart
from client_gui.ui import tray
from client_gui.ui.picker import Picker
from tests.gui import samples
from tests.gui.seen import Seen
from tests.gui.test_tray import Desktop

if TYPE_CHECKING:
    from collections.abc import Callable

    from PySide6.QtCore import QSettings
    from pytestqt.qtbot import QtBot

    from client_gui.ui.look import Look
    from tests.gui.fake_engine import FakeEngine

    MakePicker = Callable[..., Picker]

LINE = "Start when I log in to this computer"
MENU = Path(__file__).parents[2] / "resources/desktop" / NAME

pytestmark = pytest.mark.qt_log_ignore("This plugin does not support")  # the offscreen platform, about windows


@pytest.fixture
def autostart(tmp_path: Path) -> Autostart:
    return Autostart(own=tmp_path / "config/autostart" / NAME, machine=(), menu=(MENU,))


@pytest.fixture
def make(qtbot: QtBot, engine: FakeEngine, look: Look, memory: QSettings, autostart: Autostart) -> MakePicker:
    def made(*, stays: bool = False) -> Picker:
        window = Picker(engine, look, memory, autostart, stays=stays)
        qtbot.addWidget(window, before_close_func=lambda _window: window.finish())
        window.begin()
        return window

    return made


def line_of(picker: Picker) -> QAction:
    """The line of the menu, as it is when the menu opens."""
    picker.header.menu_button.click()
    menu = QApplication.activePopupWidget()
    assert menu is not None
    (found,) = (action for action in menu.actions() if action.text() == LINE)
    menu.close()
    return found


def test_the_menu_s_tick_is_what_stands_on_the_disk(make: MakePicker, autostart: Autostart) -> None:
    picker = make()
    assert not line_of(picker).isChecked()
    line_of(picker).trigger()
    assert autostart.is_on()
    assert line_of(picker).isChecked()
    autostart.own.write_text("[Desktop Entry]\nHidden=true\n")
    assert not line_of(picker).isChecked(), "the desktop's own settings have switched it off meanwhile"
    line_of(picker).trigger()
    assert autostart.is_on()
    line_of(picker).trigger()
    assert not autostart.own.exists()


def test_a_click_that_changes_nothing_says_why_and_leaves_no_tick(
    make: MakePicker, engine: FakeEngine, autostart: Autostart
) -> None:
    picker = make()
    picker.show_snapshot(samples.snapshot(samples.BRIO))
    autostart.own.parent.parent.mkdir()
    autostart.own.parent.symlink_to("/proc/nowhere")
    line_of(picker).trigger()
    said = [text for text in Seen(picker).texts() if "could not be saved" in text]
    assert len(said) == 1
    assert str(autostart.own) in said[0]
    assert not line_of(picker).isChecked()


def test_an_entry_that_cannot_be_read_has_no_tick_and_a_click_says_why(make: MakePicker, autostart: Autostart) -> None:
    picker = make()
    picker.show_snapshot(samples.snapshot(samples.BRIO))
    autostart.own.mkdir(parents=True)
    assert not line_of(picker).isChecked()
    line_of(picker).trigger()
    assert any("is a folder, not a file" in text for text in Seen(picker).texts())


def test_a_picker_inside_another_program_does_not_offer_it(picker: Picker) -> None:
    picker.header.menu_button.click()
    menu = QApplication.activePopupWidget()
    assert menu is not None
    assert LINE not in [action.text() for action in menu.actions()]
    menu.close()


def test_started_by_the_desktop_it_is_an_icon_and_no_window(make: MakePicker, monkeypatch: pytest.MonkeyPatch) -> None:
    Desktop(monkeypatch, has_tray=True)
    picker = make(stays=True)
    assert picker.tray.icon.isVisible()
    assert not picker.isVisible()
    picker.tray.choose.emit()
    assert picker.isVisible()


def test_a_tray_that_the_desktop_shows_late_is_waited_for(
    make: MakePicker, monkeypatch: pytest.MonkeyPatch, qtbot: QtBot
) -> None:
    monkeypatch.setattr(tray, "LOOK_EVERY", 1)
    desktop = Desktop(monkeypatch, has_tray=False)
    picker = make(stays=True)
    assert not picker.tray.icon.isVisible()
    desktop.has_tray = True
    qtbot.waitUntil(picker.tray.icon.isVisible)
    assert not picker.isVisible()


def test_without_a_tray_it_is_minimised(make: MakePicker, monkeypatch: pytest.MonkeyPatch, qtbot: QtBot) -> None:
    monkeypatch.setattr(tray, "LOOK_EVERY", 1)
    Desktop(monkeypatch, has_tray=False)
    picker = make(stays=True)
    qtbot.waitUntil(picker.isMinimized)


def test_closed_while_nothing_is_shared_it_goes_back_to_being_an_icon(
    make: MakePicker, monkeypatch: pytest.MonkeyPatch, qtbot: QtBot
) -> None:
    desktop = Desktop(monkeypatch, has_tray=True)
    picker = make(stays=True)
    picker.show_snapshot(samples.snapshot(samples.STICK, session=None))
    picker.come_forward()
    with qtbot.assertNotEmitted(picker.leaving):
        picker.close()
    assert not picker.isVisible()
    assert desktop.said == [], "nothing goes on that would have to be told"


def test_its_icon_stays_while_another_program_shares(make: MakePicker, monkeypatch: pytest.MonkeyPatch) -> None:
    Desktop(monkeypatch, has_tray=True)
    picker = make(stays=True)
    picker.show_snapshot(samples.snapshot(samples.BRIO, elsewhere=True))
    assert picker.tray.icon.isVisible(), "it is the only way to the window"
