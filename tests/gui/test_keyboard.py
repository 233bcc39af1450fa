"""Everything can be done without a mouse."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication

from tests.gui import samples

if TYPE_CHECKING:
    from client_gui.ui.picker import Picker
    from tests.gui.fake_engine import FakeEngine
    from tests.gui.seen import Seen

Key = Qt.Key


@pytest.fixture
def listed(picker: Picker, engine: FakeEngine) -> Picker:
    """A window with one device in each state, the keyboard on the first."""
    engine.show(*samples.EVERY_KIND_OF_ROW)
    QApplication.processEvents()
    picker.list.focus_current()
    return picker


def test_arrows_walk_the_rows_and_space_toggles(listed: Picker, seen: Seen, engine: FakeEngine) -> None:
    assert seen.focused() == "Share BRIO Ultra HD Webcam"
    seen.key(Key.Key_Down)
    assert seen.focused() == "Forget CanoScan LiDE 300"
    seen.key(Key.Key_End)
    assert seen.focused() == "Share YubiKey 5 NFC"
    seen.key(Key.Key_Up)
    assert seen.focused() == "Share Ultra Fit"
    seen.key(Key.Key_Space)
    seen.key(Key.Key_Home)
    seen.key(Key.Key_Up)
    assert seen.focused() == "Share BRIO Ultra HD Webcam"
    assert engine.asked == [], "what is mounted is asked about first"
    assert seen.rows()[5] == "Ultra Fit, SanDisk, Needs your OK"


def test_row_without_a_switch_is_reached_by_its_details(listed: Picker, seen: Seen) -> None:
    listed.list.make_current(samples.KEYBOARD.key)
    listed.list.focus_current()
    assert seen.focused() == "Unlock KC 1000"


def test_row_without_a_switch_and_a_button_is_reached_by_its_details(
    listed: Picker, seen: Seen, engine: FakeEngine
) -> None:
    engine.show(samples.BRIO, replace(samples.KEYBOARD, consent=None))
    QApplication.processEvents()
    listed.list.make_current(samples.KEYBOARD.key)
    listed.list.focus_current()
    assert seen.focused() == "Details of KC 1000"


def test_enter_opens_the_details_and_escape_closes_them(listed: Picker, seen: Seen) -> None:
    seen.key(Key.Key_Return)
    assert "046d:085e · 3A7C91F0" in seen.texts()
    seen.key(Key.Key_Escape)
    assert "046d:085e · 3A7C91F0" not in seen.texts()
    assert seen.focused() == "Share BRIO Ultra HD Webcam"


def test_tab_visits_only_the_controls_of_the_current_row(listed: Picker, seen: Seen) -> None:
    listed.list.make_current(samples.HEADSET.key)
    listed.list.focus_current()
    visited = []
    for _ in range(4):
        visited.append(seen.focused())
        seen.key(Key.Key_Tab)
    assert visited == [
        "Share Evolve2 65",
        "Details of Evolve2 65",
        "Retry Evolve2 65 now",
        "Stop sharing Evolve2 65",
    ]
    assert "Evolve2" not in seen.focused()
    assert "Share" not in seen.focused()


def test_escape_clears_the_filter_when_nothing_is_open(listed: Picker, seen: Seen) -> None:
    listed.search.edit.setText("brio")
    listed.list.focus_current()
    seen.key(Key.Key_Escape)
    assert listed.search.text() == ""


def test_ctrl_f_goes_to_the_filter_and_down_comes_back(listed: Picker, seen: Seen) -> None:
    seen.key(Key.Key_F, Qt.KeyboardModifier.ControlModifier)
    assert seen.focused() == "Filter devices"
    seen.key(Key.Key_Down)
    assert seen.focused() == "Share BRIO Ultra HD Webcam"


def test_f5_looks_again(listed: Picker, seen: Seen, engine: FakeEngine) -> None:
    seen.key(Key.Key_F5)
    assert engine.asked == [("rescan",)]


def test_ctrl_c_copies_the_report_of_the_current_device(listed: Picker, seen: Seen) -> None:
    seen.key(Key.Key_C, Qt.KeyboardModifier.ControlModifier)
    copied = QApplication.clipboard().text()
    assert copied.startswith("BRIO Ultra HD Webcam: In use remotely\n")
    assert "046d:085e · 3A7C91F0" in copied
    assert "Attached: 410 ms" in copied
    assert "CanoScan" not in copied
