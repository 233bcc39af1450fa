"""The list follows the engine by the smallest changes."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtTest import QAbstractItemModelTester
from PySide6.QtWidgets import QApplication

from client_gui.state import DeviceState, Row
from client_gui.ui.model import DeviceModel
from client_gui.ui.motion import Veil
from tests.gui import samples
from tests.gui.rows import row_of

if TYPE_CHECKING:
    from pytestqt.qtbot import QtBot

    from client_gui.ui.picker import Picker
    from tests.gui.fake_engine import FakeEngine
    from tests.gui.seen import Seen


class Watcher:
    """Notes what a model says about itself."""

    def __init__(self, model: DeviceModel) -> None:
        self.said: list[tuple[object, ...]] = []
        model.rowsInserted.connect(lambda _p, first, last: self.said.append(("inserted", first, last)))
        model.rowsRemoved.connect(lambda _p, first, last: self.said.append(("removed", first, last)))
        model.rowsMoved.connect(lambda _p, first, _l, _d, to: self.said.append(("moved", first, to)))
        model.dataChanged.connect(lambda first, last: self.said.append(("changed", first.row(), last.row())))
        model.modelReset.connect(lambda: self.said.append(("reset",)))


def test_model_says_exactly_what_changed(qapp: QApplication) -> None:
    model = DeviceModel()
    QAbstractItemModelTester(model, QAbstractItemModelTester.FailureReportingMode.Fatal, model)
    watcher = Watcher(model)
    brio, stick, key = samples.BRIO, samples.STICK, samples.YUBIKEY
    model.show_rows((brio, stick))
    model.show_rows((brio, stick))
    model.show_rows((brio, replace(stick, ticked=True)))
    model.show_rows((brio, replace(stick, ticked=True), key))
    model.show_rows((key, brio, replace(stick, ticked=True)))
    model.show_rows((key, replace(stick, ticked=True)))
    assert watcher.said == [
        ("inserted", 0, 1),
        ("changed", 1, 1),
        ("inserted", 2, 2),
        ("moved", 2, 0),
        ("removed", 1, 1),
    ]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(st.tuples(st.integers(0, 9), st.booleans()), unique_by=lambda pair: pair[0]), max_size=6))
def test_model_becomes_any_snapshot_and_never_resets(qapp: QApplication, history: list[list[tuple[int, bool]]]) -> None:
    model = DeviceModel()
    QAbstractItemModelTester(model, QAbstractItemModelTester.FailureReportingMode.Fatal, model)
    watcher = Watcher(model)
    pool = samples.many(10)
    for moment in history:
        rows = tuple(replace(pool[number], ticked=ticked) for number, ticked in moment)
        model.show_rows(rows)
        assert model.rows() == rows
    assert ("reset",) not in watcher.said


class Painted(QObject):
    """Notes which watched widgets were painted."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # Qt's name
        if event.type() == QEvent.Type.Paint:
            self.names.add(watched.property("key"))
        return False


def test_only_the_row_that_changed_is_touched(picker: Picker, engine: FakeEngine, qtbot: QtBot) -> None:
    rows = samples.many(12)
    engine.show(*rows)
    qtbot.wait(50)
    painted = Painted()
    before = {}
    for row in rows:
        widget = row_of(picker, row.key)
        widget.setProperty("key", row.key)
        widget.installEventFilter(painted)
        before[row.key] = widget
    for _ in range(100):  # until the first painting of all of them is over, which takes time on a busy machine
        painted.names.clear()
        qtbot.wait(50)
        if not painted.names:
            break
    engine.show(*rows[:4], replace(rows[4], state=DeviceState.IN_USE), *rows[5:])
    qtbot.waitUntil(lambda: bool(painted.names))
    qtbot.wait(50)
    assert painted.names == {rows[4].key}
    assert all(row_of(picker, key) is widget for key, widget in before.items())


def test_a_full_tree_is_listed_and_every_row_is_there(seen: Seen, engine: FakeEngine, qtbot: QtBot) -> None:
    engine.show(*samples.many(127))
    qtbot.waitUntil(lambda: len(seen.rows()) == 127)
    assert seen.rows()[0].startswith("Adapter 0000")
    assert seen.rows()[-1].startswith("Adapter 0126")


def test_rows_and_their_widgets_go_together(picker: Picker, engine: FakeEngine, seen: Seen, qtbot: QtBot) -> None:
    chance = random.Random(3)
    rows: tuple[Row, ...] = samples.many(40)
    for _ in range(25):
        some = tuple(row for row in rows if chance.random() < 0.6)
        engine.show(*some)
        qtbot.wait(2)
    engine.show(*rows[:5])
    qtbot.waitUntil(lambda: len(seen.rows()) == 5)
    assert [row.split(",")[0] for row in seen.rows()] == [f"Adapter {number:04}" for number in range(5)]


def test_current_row_open_panel_and_scroll_survive_a_refresh(
    picker: Picker, engine: FakeEngine, seen: Seen, qtbot: QtBot
) -> None:
    rows = samples.many(40)
    engine.show(*rows)
    qtbot.waitUntil(lambda: len(seen.rows()) == 40)
    picker.list.make_current(rows[20].key)
    picker.list.focus_current()
    seen.click("Details of Adapter 0020")
    qtbot.waitUntil(lambda: not picker.list._revealing.isActive())
    picker.list.verticalScrollBar().setValue(picker.list.verticalScrollBar().maximum() // 2)
    widget = row_of(picker, rows[20].key)
    place = widget.mapTo(picker, widget.rect().topLeft())
    engine.show(*rows[3:18], *(replace(row, driver="usbip-host") for row in rows[18:]))
    qtbot.wait(20)
    assert widget.mapTo(picker, widget.rect().topLeft()) == place
    assert seen.focused() == "Details of Adapter 0020"
    assert widget.opened
    assert "usbip-host" in seen.texts()


def test_focus_goes_to_the_next_row_when_its_device_is_unplugged(
    picker: Picker, engine: FakeEngine, seen: Seen
) -> None:
    engine.show(samples.BRIO, samples.STICK, samples.YUBIKEY)
    QApplication.processEvents()
    picker.list.make_current(samples.STICK.key)
    picker.list.focus_current()
    assert seen.focused() == "Share Ultra Fit"
    engine.show(samples.BRIO, samples.YUBIKEY)
    assert seen.focused() == "Share YubiKey 5 NFC"


def test_focus_stays_in_the_row_when_the_switch_gives_way(picker: Picker, engine: FakeEngine, seen: Seen) -> None:
    engine.show(samples.BRIO, samples.STICK)
    QApplication.processEvents()
    picker.list.make_current(samples.STICK.key)
    picker.list.focus_current()
    engine.show(samples.BRIO, replace(samples.STICK, ticked=True, state=DeviceState.ABSENT, busid=None))
    assert seen.focused() == "Forget Ultra Fit"


@pytest.mark.parametrize(
    ("typed", "left"),
    [
        ("yubi", ["YubiKey 5 NFC"]),
        ("LOGITECH", ["BRIO Ultra HD Webcam"]),
        ("serial adapter", ["FT232R USB UART"]),
        ("046d:085e", ["BRIO Ultra HD Webcam"]),
        ("failed", ["Evolve2 65"]),
        ("  ", [row.product for row in samples.EVERY_KIND_OF_ROW]),
    ],
)
def test_filter_finds_by_name_vendor_kind_identity_and_status(
    picker: Picker, engine: FakeEngine, seen: Seen, typed: str, left: list[str]
) -> None:
    engine.show(*samples.EVERY_KIND_OF_ROW)
    QApplication.processEvents()
    picker.search.edit.setText(typed)
    assert [row.split(",")[0] for row in seen.rows()] == left


def test_device_with_a_name_of_ones_own_is_found_by_both_names(picker: Picker, engine: FakeEngine, seen: Seen) -> None:
    engine.show(samples.BRIO, replace(samples.STICK, nickname="Holiday pictures"))
    QApplication.processEvents()
    for typed in ("holiday", "ultra fit"):
        picker.search.edit.setText(typed)
        assert seen.rows() == ["Holiday pictures, SanDisk, Not shared"]


def test_filter_that_hides_everything_says_so_and_can_be_cleared(
    picker: Picker, engine: FakeEngine, seen: Seen
) -> None:
    engine.show(*samples.EVERY_KIND_OF_ROW)
    QApplication.processEvents()
    picker.search.edit.setText("plotter")
    assert 'No device matches "plotter".' in seen.texts()
    assert seen.rows() == []
    seen.click("Clear the filter")
    assert len(seen.rows()) == len(samples.EVERY_KIND_OF_ROW)


def test_device_that_is_plugged_in_while_filtered_stays_hidden(picker: Picker, engine: FakeEngine, seen: Seen) -> None:
    engine.show(samples.BRIO)
    QApplication.processEvents()
    picker.search.edit.setText("brio")
    engine.show(samples.BRIO, samples.STICK)
    assert [row.split(",")[0] for row in seen.rows()] == ["BRIO Ultra HD Webcam"]
    picker.search.edit.clear()
    assert len(seen.rows()) == 2


def test_click_that_was_meant_for_another_row_shares_nothing(
    engine: FakeEngine, seen: Seen, picker: Picker, qtbot: QtBot
) -> None:
    engine.show(samples.STICK, samples.YUBIKEY)
    qtbot.wait(50)
    switch = seen.widget("Share Ultra Fit")
    place = switch.mapTo(picker, switch.rect().center())
    engine.show(samples.device("a", "Adapter", "FTDI", samples.SERIAL.kind), samples.STICK, samples.YUBIKEY)
    assert seen.widget("Share Ultra Fit").mapTo(picker, switch.rect().center()) != place, "it has moved"
    seen.click("Share Ultra Fit")
    assert engine.asked == []
    qtbot.wait(400)
    seen.click("Share Ultra Fit")
    assert engine.asked == [("toggle", samples.STICK.key, True)]


def test_row_that_opens_below_the_window_is_brought_into_view(
    picker: Picker, engine: FakeEngine, seen: Seen, qtbot: QtBot
) -> None:
    picker.resize(560, 760)
    engine.show(*samples.EVERY_KIND_OF_ROW, samples.SERIAL_WITH_STEPS)
    qtbot.wait(20)
    picker.list.make_current(samples.SERIAL_WITH_STEPS.key)
    picker.list.focus_current()
    seen.key(Qt.Key.Key_Return)
    qtbot.wait(20)
    row = row_of(picker, samples.SERIAL_WITH_STEPS.key)
    assert row.visibleRegion().boundingRect() == row.rect()


def test_device_plugged_in_later_fades_in_and_is_then_bare(picker: Picker, engine: FakeEngine, qtbot: QtBot) -> None:
    picker.list._look._motion = True
    engine.show(samples.BRIO)
    qtbot.wait(20)
    engine.show(samples.BRIO, samples.STICK)
    QApplication.processEvents()
    row = row_of(picker, samples.STICK.key)
    assert row.findChildren(Veil)
    qtbot.waitUntil(lambda: not row.findChildren(Veil), timeout=2000)
