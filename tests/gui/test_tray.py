"""Closing the window keeps sharing; the tray shows what is shared and stops it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QApplication, QSystemTrayIcon

from client_gui.state import DeviceState
from client_gui.ui.tray import Tray, badged
from tests.gui import samples

if TYPE_CHECKING:
    from pytestqt.qtbot import QtBot

    from client_gui.ui.look import Look
    from client_gui.ui.picker import Picker
    from tests.gui.fake_engine import FakeEngine
    from tests.gui.seen import Seen


class Desktop:
    """A desktop with or without a tray; `said` are the notices it showed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, has_tray: bool) -> None:
        self.said: list[str] = []
        self.has_tray = has_tray
        self._visible = False
        for name in ("isSystemTrayAvailable", "supportsMessages"):
            monkeypatch.setattr(QSystemTrayIcon, name, staticmethod(lambda: self.has_tray))
        monkeypatch.setattr(QSystemTrayIcon, "show", lambda _icon: self.set_visible(True))
        monkeypatch.setattr(QSystemTrayIcon, "hide", lambda _icon: self.set_visible(False))
        monkeypatch.setattr(QSystemTrayIcon, "isVisible", lambda _icon: self._visible)
        monkeypatch.setattr(
            QSystemTrayIcon, "showMessage", lambda _icon, _title, text, *_rest: self.said.append(str(text))
        )

    def set_visible(self, visible: bool) -> None:
        self._visible = visible


@pytest.fixture
def desktop(monkeypatch: pytest.MonkeyPatch) -> Desktop:
    return Desktop(monkeypatch, has_tray=True)


def actions(picker: Picker) -> dict[str, QAction]:
    QApplication.processEvents()
    return {action.text(): action for action in picker.tray.menu.actions() if not action.isSeparator()}


def test_menu_names_what_is_shared_and_what_failed(picker: Picker, engine: FakeEngine, desktop: Desktop) -> None:
    engine.show(*samples.EVERY_KIND_OF_ROW, session=samples.SESSION)
    assert list(actions(picker)) == [
        "Work desktop · Connected",
        "Stop sharing BRIO Ultra HD Webcam",
        "Retry Evolve2 65 (failed)",
        "Stop sharing FT232R USB UART",
        "Stop sharing YubiKey 5 NFC",
        "Return all devices",
        "Choose devices…",
        "Quit and return all devices",
    ]
    assert not actions(picker)["Work desktop · Connected"].isEnabled()


def test_tip_says_what_keeps_the_session_away(picker: Picker, engine: FakeEngine, desktop: Desktop) -> None:
    away = replace(samples.SESSION, connected=False, problem=samples.SESSION_REFUSED.code)
    engine.show(samples.BRIO, session=away, problems=(samples.SESSION_REFUSED,))
    QApplication.processEvents()
    assert picker.tray.icon.toolTip() == "Work desktop\nThe session refused its key."


def test_menu_stops_and_retries(picker: Picker, engine: FakeEngine, desktop: Desktop) -> None:
    engine.show(*samples.EVERY_KIND_OF_ROW)
    actions(picker)["Stop sharing YubiKey 5 NFC"].trigger()
    actions(picker)["Retry Evolve2 65 (failed)"].trigger()
    assert engine.asked == [("toggle", samples.YUBIKEY.key, False), ("retry", samples.HEADSET.key)]


def test_menu_returns_everything(picker: Picker, engine: FakeEngine, desktop: Desktop) -> None:
    engine.show(samples.BRIO, samples.SCANNER, samples.STICK, samples.YUBIKEY)
    actions(picker)["Return all devices"].trigger()
    assert engine.asked == [("toggle", samples.BRIO.key, False), ("toggle", samples.YUBIKEY.key, False)]


def test_menu_without_shares_only_leads_to_the_window(picker: Picker, engine: FakeEngine, desktop: Desktop) -> None:
    engine.show(samples.STICK, session=None)
    assert list(actions(picker)) == ["USB devices", "Choose devices…", "Quit and return all devices"]


def test_device_called_with_an_ampersand_keeps_it(picker: Picker, engine: FakeEngine, desktop: Desktop) -> None:
    engine.show(replace(samples.BRIO, product="R&D"))
    assert "Stop sharing R&&D" in actions(picker)


@pytest.mark.qt_log_ignore("This plugin does not support")  # the offscreen platform, about raising a window
def test_closing_keeps_sharing_and_says_so_once(
    picker: Picker, engine: FakeEngine, desktop: Desktop, qtbot: QtBot
) -> None:
    engine.show(samples.BRIO, session=samples.SESSION)
    QApplication.processEvents()
    with qtbot.assertNotEmitted(picker.leaving):
        picker.close()
    assert not picker.isVisible()
    assert desktop.said == ["Sharing goes on in the background."]
    actions(picker)["Choose devices…"].trigger()
    assert picker.isVisible()
    picker.close()
    assert desktop.said == ["Sharing goes on in the background."]
    assert engine.asked == []


def test_closing_minimises_where_there_is_no_tray(
    picker: Picker, seen: Seen, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch, qtbot: QtBot
) -> None:
    Desktop(monkeypatch, has_tray=False)
    engine.show(samples.BRIO, session=samples.SESSION)
    QApplication.processEvents()
    with qtbot.assertNotEmitted(picker.leaving):
        picker.close()
    assert picker.isMinimized()
    picker.showNormal()
    assert "Sharing goes on in the background." in seen.texts(), "who looks for the window again reads it there"


def test_quitting_asks_for_the_devices(picker: Picker, engine: FakeEngine, desktop: Desktop, qtbot: QtBot) -> None:
    engine.show(samples.BRIO, session=samples.SESSION)
    with qtbot.waitSignal(picker.leaving):
        actions(picker)["Quit and return all devices"].trigger()


def test_notices_are_two_and_only_while_the_window_is_not_looked_at(
    picker: Picker, engine: FakeEngine, desktop: Desktop
) -> None:
    history = (
        DeviceState.NOT_SHARED,
        DeviceState.CONNECTING,
        DeviceState.ATTACHED,
        DeviceState.IN_USE,
        DeviceState.IN_USE,
        DeviceState.RETURNING,
        DeviceState.NOT_SHARED,
        DeviceState.NOT_SHARED,
    )
    for looked_at, expected in (
        (True, []),
        (False, ["Ultra Fit is now in the remote desktop.", "Ultra Fit is back on this computer."]),
    ):
        if not looked_at:
            engine.show(samples.STICK, session=samples.SESSION)
            QApplication.processEvents()
            picker.close()
            desktop.said.clear()
        for state in history:
            engine.show(replace(samples.STICK, state=state))
            QApplication.processEvents()
        assert desktop.said == expected


def test_tray_that_appears_later_is_used(picker: Picker, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    desktop = Desktop(monkeypatch, has_tray=False)
    engine.show(samples.BRIO)
    QApplication.processEvents()
    assert not picker.tray.icon.isVisible()
    desktop.has_tray = True
    engine.show(samples.BRIO, samples.STICK)
    QApplication.processEvents()
    assert picker.tray.icon.isVisible()


def test_window_that_shows_what_another_program_shares_has_no_icon_and_just_closes(
    picker: Picker, engine: FakeEngine, desktop: Desktop, qtbot: QtBot
) -> None:
    engine.show(samples.BRIO, session=samples.SESSION, elsewhere=True)
    QApplication.processEvents()
    assert not picker.tray.icon.isVisible()
    with qtbot.waitSignal(picker.leaving):
        picker.close()


def test_icon_tells_idle_sharing_and_failed_apart(look: Look) -> None:
    images = [badged(look, 32, badge).toImage() for badge in ("", "sharing", "failed")]
    assert images[0] != images[1]
    assert images[1] != images[2]
    assert images[0] != images[2]
    assert Tray(look).icon.icon().actualSize(images[0].size()) == images[0].size()
