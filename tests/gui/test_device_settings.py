"""What a user settles for one device, in its details."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLineEdit

from client_gui.state import Mode
from tests.gui import samples

if TYPE_CHECKING:
    from client_gui.ui.picker import Picker
    from tests.gui.fake_engine import FakeEngine
    from tests.gui.seen import Seen

BRIO = samples.BRIO


@pytest.fixture
def opened(picker: Picker, engine: FakeEngine, seen: Seen) -> Picker:
    """A window with the details of one device open."""
    engine.show(BRIO, samples.STICK)
    seen.click("Details of BRIO Ultra HD Webcam")
    return picker


def name_field(seen: Seen, device: str = "BRIO Ultra HD Webcam") -> QLineEdit:
    field = seen.widget(f"Name of {device} here")
    assert isinstance(field, QLineEdit)
    return field


def test_name_of_ones_own_is_given_with_enter_and_the_details_stay_open(
    opened: Picker, seen: Seen, engine: FakeEngine
) -> None:
    field = name_field(seen)
    field.setFocus()
    QTest.keyClicks(field, "Desk camera")
    assert engine.asked == []
    seen.key(Qt.Key.Key_Return)
    assert engine.asked == [("rename", BRIO.key, "Desk camera")]
    engine.show(replace(BRIO, nickname="Desk camera"), samples.STICK)
    assert seen.rows()[0] == "Desk camera, Logitech, In use remotely"
    assert name_field(seen, "Desk camera").text() == "Desk camera"
    assert name_field(seen, "Desk camera").placeholderText() == "BRIO Ultra HD Webcam"


def test_name_is_given_when_the_focus_leaves(opened: Picker, seen: Seen, engine: FakeEngine) -> None:
    name_field(seen).setFocus()
    QTest.keyClicks(name_field(seen), "Left")
    opened.list.focus_current()
    assert engine.asked == [("rename", BRIO.key, "Left")]


def test_escape_takes_back_what_was_typed_and_then_closes(opened: Picker, seen: Seen, engine: FakeEngine) -> None:
    field = name_field(seen)
    field.setFocus()
    QTest.keyClicks(field, "Wrong")
    seen.key(Qt.Key.Key_Escape)
    assert field.text() == ""
    seen.key(Qt.Key.Key_Escape)
    assert not seen.has("Copy report")
    assert engine.asked == []


def test_what_is_being_typed_is_not_overwritten_by_a_snapshot(opened: Picker, seen: Seen, engine: FakeEngine) -> None:
    field = name_field(seen)
    field.setFocus()
    QTest.keyClicks(field, "Des")
    engine.show(replace(BRIO, driver="x"), samples.STICK)
    QApplication.processEvents()
    assert name_field(seen).text() == "Des"


def test_hostile_nickname_is_shown_as_plain_text(opened: Picker, seen: Seen, engine: FakeEngine) -> None:
    engine.show(replace(BRIO, nickname="a\u202eb"), samples.STICK)
    assert seen.rows()[0].startswith("a\\u202eb,")


@pytest.mark.parametrize(("word", "mode"), [("Ask me", Mode.ASK), ("By hand", Mode.MANUAL)])
def test_mode_is_chosen_by_its_word(opened: Picker, seen: Seen, engine: FakeEngine, word: str, mode: Mode) -> None:
    assert seen.radio("At once")
    seen.click(word)
    assert engine.asked == [("mode", BRIO.key, mode)]
    engine.show(replace(BRIO, mode=mode), samples.STICK)
    assert seen.radio(word)
    assert not seen.radio("At once")


def test_port_is_followed_if_the_user_wishes(opened: Picker, seen: Seen, engine: FakeEngine) -> None:
    name = "Follow the port of BRIO Ultra HD Webcam"
    assert not seen.checked(name)
    assert "For 30 s after it goes" in seen.description(name)
    seen.click(name)
    assert engine.asked == [("follow", BRIO.key, 30)]
    engine.show(replace(BRIO, follows_port=30), samples.STICK)
    seen.click(name)
    assert engine.asked[1:] == [("follow", BRIO.key, 0)]


def test_rule_that_names_this_device_alone_is_copied(opened: Picker, seen: Seen, engine: FakeEngine) -> None:
    seen.click("Copy rule")
    assert QApplication.clipboard().text() == "allow 046d:085e@3A7C91F0"
    assert seen.has("Copied")
    engine.show(replace(BRIO, own_rule=""), samples.STICK)
    assert not seen.has("Copy rule")


def test_device_that_is_away_has_nothing_to_settle(picker: Picker, seen: Seen, engine: FakeEngine) -> None:
    engine.show(samples.SCANNER)
    seen.click("Details of CanoScan LiDE 300")
    assert seen.has("Copy report")
    assert not seen.has("At once")


def test_everything_is_reached_by_tab(opened: Picker, seen: Seen) -> None:
    opened.list.focus_current()
    visited = []
    for _ in range(9):
        visited.append(seen.focused())
        seen.key(Qt.Key.Key_Tab)
    assert visited[:3] == [
        "Share BRIO Ultra HD Webcam",
        "Details of BRIO Ultra HD Webcam",
        "Name of BRIO Ultra HD Webcam here",
    ]
    assert {"At once", "Follow the port of BRIO Ultra HD Webcam", "Copy report", "Copy rule"} <= set(visited)
