"""The parts of the window around the list."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QPalette
from PySide6.QtWidgets import QApplication

from client_gui.state import DeviceState, Fitness, Row, SessionView, Trouble
from client_gui.ui import messages
from client_gui.ui.device_words import report
from client_gui.ui.empty import PlugPicture
from client_gui.ui.label import Label
from client_gui.ui.look import Look
from client_gui.ui.picker import Picker
from qvd_usbip import VERSION
from tests.gui import samples
from tests.gui.fake_engine import FakeEngine
from tests.gui.rows import row_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from PySide6.QtCore import QSettings
    from pytestqt.qtbot import QtBot

    from tests.gui.seen import Seen


def session(**changes: object) -> SessionView:
    return replace(samples.SESSION, **changes)  # type: ignore[arg-type]  # the names are SessionView's


@pytest.mark.parametrize(
    ("view", "title", "line"),
    [
        (session(encryption="none"), "Work desktop", "Connected · not encrypted"),
        (session(encryption="tls"), "Work desktop", "Connected · encrypted"),
        (session(connected=False), "Work desktop", "Connecting…"),
        (None, "USB devices", "No session. Ticked devices wait for it."),
    ],
)
def test_header_says_how_the_session_stands(
    engine: FakeEngine, seen: Seen, view: SessionView | None, title: str, line: str
) -> None:
    engine.show(samples.BRIO, session=view)
    assert seen.texts()[:2] == [title, line]


def test_session_that_is_not_reached_says_why(engine: FakeEngine, seen: Seen) -> None:
    trouble = Trouble(code="slave-refused-key", text="The session refused its key.", remedy="Reconnect.")
    view = session(connected=False, problem="slave-refused-key")
    engine.show(samples.BRIO, session=view, problems=(samples.MODULE_MISSING, trouble))
    assert seen.texts()[1] == "The session refused its key."
    assert seen.has("Check again"), "for the module"
    engine.show(samples.BRIO, session=view, problems=(trouble,))
    assert not seen.has("Check again"), "nothing is missing on this computer"
    assert "Reconnect." in seen.texts()
    assert seen.widget("Share BRIO Ultra HD Webcam").isEnabled()


def test_lost_session_counts_down_and_the_reason_stays_below(engine: FakeEngine, seen: Seen) -> None:
    reason = "The session at h:1 cannot be reached: Connection refused."
    trouble = Trouble(code="slave-unreachable", text=reason, remedy="Check that the desktop is running.")
    lost = session(connected=False, problem="slave-unreachable", lost=True, retry_in=4.0)
    engine.show(samples.BRIO, session=lost, problems=(trouble,))
    below = f"{reason} Check that the desktop is running."
    assert seen.texts()[1] == "Session lost. Trying again in 4 s."
    assert below in seen.texts()
    engine.show(samples.BRIO, session=replace(lost, retry_in=3.0), problems=(trouble,))
    assert seen.texts()[1] == "Session lost. Trying again in 3 s."
    engine.show(samples.BRIO, session=replace(lost, retry_in=None), problems=(trouble,))
    assert seen.texts()[1] == "Connecting…", "it is being tried"
    assert below in seen.texts()
    engine.show(samples.BRIO, session=session(), problems=())
    assert seen.texts()[1] == "Connected · encrypted"


def test_long_session_name_is_cut_but_read_in_full(engine: FakeEngine, seen: Seen) -> None:
    name = "Desktop of the department of very long names " * 3
    engine.show(samples.BRIO, session=session(name=name))
    assert seen.texts()[0] == name.strip()


def test_nothing_plugged_in_is_said_with_one_button(engine: FakeEngine, seen: Seen) -> None:
    engine.show()
    assert "Nothing plugged in yet" in seen.texts()
    assert not seen.has("Filter devices")
    seen.click("Look again")
    assert engine.asked == [("rescan",)]


def test_nothing_is_said_before_the_first_look(seen: Seen) -> None:
    assert "Nothing plugged in yet" not in seen.texts()


def test_list_appears_with_the_first_device_and_goes_with_the_last(engine: FakeEngine, seen: Seen) -> None:
    engine.show()
    engine.show(samples.STICK)
    assert seen.rows() == ["Ultra Fit, SanDisk, Not shared"]
    assert "Nothing plugged in yet" not in seen.texts()
    engine.show()
    assert seen.rows() == []
    assert "Nothing plugged in yet" in seen.texts()


def test_details_tell_identity_port_driver_and_times(engine: FakeEngine, seen: Seen) -> None:
    engine.show(samples.BRIO)
    seen.click("Details of BRIO Ultra HD Webcam")
    texts = seen.texts()
    for sentence in (
        "Ready in 508 ms",
        "Camera, microphone",
        "046d:085e · 3A7C91F0",
        "1-4.2 · USB 3, 5 Gbit/s",
        "usbip-host; usually uvcvideo, snd-usb-audio",
        'Your choice. Allowed by rule 3 of 7, "cameras", set by your administrator.',
    ):
        assert sentence in texts
    assert seen.has("Released 12 ms, Exported 31 ms, Attached 410 ms, Ready 55 ms")
    seen.click("Copy report")
    assert QApplication.clipboard().text().startswith("BRIO Ultra HD Webcam: In use remotely\nWhat it is: ")
    assert seen.has("Copied")


def test_details_follow_the_steps_as_they_happen(engine: FakeEngine, seen: Seen) -> None:
    engine.show(replace(samples.SERIAL, steps=samples.steps(12)))
    seen.click("Details of FT232R USB UART")
    assert seen.has("Released 12 ms")
    engine.show(replace(samples.SERIAL, steps=samples.steps(12, 43, 453, 508), state=DeviceState.IN_USE))
    assert seen.has("Released 12 ms, Exported 31 ms, Attached 410 ms, Ready 55 ms")
    assert "Ready in 508 ms" in seen.texts()


@pytest.mark.parametrize("twin", [True, False])
def test_only_twins_without_serial_number_are_told_apart_by_port(engine: FakeEngine, seen: Seen, twin: bool) -> None:
    """A single one is shared in whatever port it is."""
    engine.show(replace(samples.STICK, serial="", twin=twin))
    seen.click("Details of Ultra Fit")
    assert ("No serial number: recognised by port 1-4.2" in seen.texts()) is twin


def test_locked_device_says_why_in_its_details(engine: FakeEngine, seen: Seen) -> None:
    engine.show(samples.KEYBOARD)
    seen.click("Details of KC 1000")
    assert "1-2 is locked: keyboards stay here." in seen.texts()


def test_hostile_strings_are_shown_as_plain_text(engine: FakeEngine, seen: Seen, picker: Picker) -> None:
    hostile = replace(
        samples.HEADSET,
        product="<b>R&D</b> \u202egnp.exe\n" + "W" * 200,
        vendor="<img src='file:///etc/passwd'>\x1b[31m",
        serial="&amp;\u2066" + "1" * 120,
        problem_text="<a href='x'>\u202e\n{n}",
    )
    engine.show(hostile, samples.STICK)
    picker.resize(400, 480)
    first = seen.rows()[0]
    assert first.startswith("<b>R&D</b> \\u202egnp.exe\\x0aWWW")
    assert "<img src='file:///etc/passwd'>\\x1b[31m" in first
    seen.widget(f"Details of {first.split(', <img')[0]}").click()  # type: ignore[attr-defined]  # it is a button
    assert any("<a href='x'>\\u202e\\x0a{n}" in text for text in seen.texts())
    assert any("&amp;\\u2066111" in text for text in seen.texts())
    row = row_of(picker, hostile.key)
    assert "&lt;b&gt;" in row.hint()
    assert picker.width() == 400
    assert row.width() <= 400 - 2 * 16


@pytest.mark.parametrize("percent", [100, 125, 150, 200])
@pytest.mark.parametrize("width", [400, 560, 900])
@pytest.mark.parametrize("language", ["look", "spanish"])
def test_no_control_is_cut_or_covered_at_any_font_size(
    in_letters: Callable[[str, int], Picker], engine: FakeEngine, qtbot: QtBot, percent: int, width: int, language: str
) -> None:
    picker = in_letters(language, percent)
    picker.resize(width, 700)
    engine.show(*samples.EVERY_KIND_OF_ROW)
    qtbot.wait(20)
    assert picker._look.em == 14 * percent // 100
    assert picker.width() == width, "the window never resizes itself"
    for row in picker.list.card.shown:
        row.open_details(opened=True)
    qtbot.wait(20)
    for row in picker.list.card.shown:
        controls = [row.main_control(), row.chevron]
        controls += row.body.parts()
        for one in controls:
            assert row.rect().contains(one.geometry()), f"{row.row.product}: {one.accessibleName()} is cut"
        for one in controls:
            for other in controls:
                assert one is other or not one.geometry().intersects(other.geometry())
        places = row._places()
        assert places.name.width() > 4 * picker._look.em, "a name needs room"
        assert not places.status.intersects(row.main_control().geometry().adjusted(5, 5, -5, -5))
        shown = picker._look.metrics("status").horizontalAdvance(messages.state_word(row.shown().state))
        assert shown + row._sizes.status_icon + 8 <= places.status.width(), "a status is never cut"


@pytest.mark.parametrize("percent", [100, 150, 200])
@pytest.mark.parametrize(("width", "height"), [(400, 480), (400, 640), (560, 640)])
@pytest.mark.parametrize("language", ["look", "spanish"])
def test_where_nothing_is_plugged_in_every_line_can_be_read(
    in_letters: Callable[[str, int], Picker],
    engine: FakeEngine,
    qtbot: QtBot,
    percent: int,
    width: int,
    height: int,
    language: str,
) -> None:
    picker = in_letters(language, percent)
    picker.resize(width, height)
    engine.show()
    qtbot.wait(20)
    labels = picker.empty.findChildren(Label)
    shown = [
        each for each in (*labels, picker.empty.button, *picker.empty.findChildren(PlugPicture)) if each.isVisible()
    ]
    for one in labels:
        assert one.height() >= one.heightForWidth(one.width())
    assert not any(one.geometry().intersects(other.geometry()) for one in shown for other in shown if one is not other)


def test_rows_stay_reachable_at_the_smallest_window(engine: FakeEngine, picker: Picker, qtbot: QtBot) -> None:
    engine.show(*samples.EVERY_KIND_OF_ROW)
    picker.resize(400, 480)
    qtbot.wait(20)
    picker.list.make_current(samples.YUBIKEY.key)
    picker.list.focus_current()
    row = row_of(picker, samples.YUBIKEY.key)
    assert not row.visibleRegion().isEmpty()


@pytest.fixture
def desktop(qapp: QApplication) -> Iterator[QApplication]:
    """A desktop whose colours are put back."""
    before = qapp.palette()
    yield qapp
    qapp.setPalette(before)


def test_a_desktop_that_turns_dark_is_followed_while_open(
    qtbot: QtBot, memory: QSettings, desktop: QApplication
) -> None:
    picker = Picker(FakeEngine(), Look(motion=False), memory)
    qtbot.addWidget(picker, before_close_func=lambda _window: picker.finish())
    picker.show()
    picker.show_snapshot(samples.snapshot(samples.BRIO))
    for window, ground in (("#eeeeee", "#F4F6F7"), ("#202020", "#14181A"), ("#eeeeee", "#F4F6F7")):
        desktop.setPalette(QPalette(QColor(window)))
        QApplication.processEvents()
        corner = picker.grab().toImage().pixelColor(2, picker.height() // 2)
        assert corner.name().upper() == ground


def test_closing_without_a_session_asks_for_the_devices_first(engine: FakeEngine, picker: Picker, qtbot: QtBot) -> None:
    engine.show(samples.STICK, session=None)
    QApplication.processEvents()
    with qtbot.waitSignal(picker.leaving):
        picker.close()
    assert picker.isVisible()
    picker.finish()
    assert not picker.isVisible()


@pytest.mark.parametrize("row", [samples.STICK_TWO_VOLUMES, replace(samples.STICK, state=DeviceState.BLOCKED)])
def test_report_says_what_a_device_is_whatever_its_row_says_instead(row: Row) -> None:
    assert "What it is: SanDisk · memory stick" in report(replace(row, problem_text="Blocked by rule 3.")).splitlines()


@pytest.mark.qt_log_ignore("This plugin does not support")  # the offscreen platform, about pop-up windows
def test_menu_offers_another_look_and_a_report(engine: FakeEngine, seen: Seen, picker: Picker) -> None:
    engine.show(samples.BRIO, samples.STICK)
    seen.click("Menu")
    menu = QApplication.activePopupWidget()
    assert menu is not None
    actions = {action.text(): action for action in menu.actions()}
    actions["Copy report"].trigger()
    assert "Ultra Fit: Not shared" in QApplication.clipboard().text()
    actions["Look again (F5)"].trigger()
    assert engine.asked == [("rescan",)]
    actions["Return all devices"].trigger()
    assert engine.asked[1:] == [("toggle", samples.BRIO.key, False)], "what is not shared is left alone"
    actions["About"].trigger()
    menu.close()
    assert f"QVD USB sharing {VERSION}: your devices in the remote desktop." in seen.texts()
    seen.click("Got it")
    assert not any("QVD USB sharing" in text for text in seen.texts())


def test_version_is_the_packages() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    assert project["project"]["version"] == VERSION


@pytest.mark.parametrize(
    ("trip", "word"),
    [
        (0.4, "Good for video and sound"),
        (49.9, "Good for video and sound"),
        (50, "Fine for keys, disks and printers"),
        (100, "Fine for keys, disks and printers"),
        (101, "Too slow for video and sound"),
    ],
)
def test_foot_says_what_the_way_is_good_for(engine: FakeEngine, seen: Seen, trip: float, word: str) -> None:
    engine.show(samples.BRIO)
    assert "Not measured yet" in seen.texts()
    engine.show(samples.BRIO, fitness=Fitness(round_trip=trip, throughput=94.2))
    assert word in seen.texts()
    assert f"{max(1, round(trip))} ms · 94 Mbit/s" in seen.texts()
    engine.show(samples.BRIO, fitness=Fitness(round_trip=trip))
    assert f"{max(1, round(trip))} ms" in seen.texts()
    engine.show(samples.BRIO, fitness=None)
    assert "Not measured yet" in seen.texts()


def test_minimum_size_and_first_size(picker: Picker) -> None:
    assert (picker.minimumWidth(), picker.minimumHeight()) == (400, 480)
    assert picker.testAttribute(Qt.WidgetAttribute.WA_WState_Visible)
