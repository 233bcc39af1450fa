"""Ticking, unticking and what the row then says."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from PySide6.QtWidgets import QApplication

from client_gui.state import DeviceState
from client_gui.ui import device_list, row_paint
from tests.gui import samples
from tests.gui.rows import row_of

if TYPE_CHECKING:
    import pytest

    from client_gui.ui.picker import Picker
    from tests.gui.fake_engine import FakeEngine
    from tests.gui.seen import Seen


def test_ticking_asks_the_engine_to_share_that_device(seen: Seen, engine: FakeEngine) -> None:
    engine.show(samples.BRIO, samples.STICK)
    seen.click("Share Ultra Fit")
    assert engine.asked == [("toggle", samples.STICK.key, True)]
    assert seen.checked("Share Ultra Fit")


def test_unticking_asks_the_engine_to_return_it(seen: Seen, engine: FakeEngine) -> None:
    engine.show(samples.BRIO, samples.STICK)
    seen.click("Share BRIO Ultra HD Webcam")
    assert engine.asked == [("toggle", samples.BRIO.key, False)]


def test_a_click_anywhere_in_the_switch_counts(seen: Seen, engine: FakeEngine) -> None:
    engine.show(samples.STICK)
    switch = seen.widget("Share Ultra Fit")
    assert switch.width() >= 56
    assert switch.height() >= 44


def test_a_snapshot_that_only_repeats_a_wish_does_not_ask_the_engine_again(seen: Seen, engine: FakeEngine) -> None:
    engine.show(samples.STICK)
    engine.show(replace(samples.STICK, ticked=True, state=DeviceState.WAITING))
    assert seen.checked("Share Ultra Fit")
    assert seen.description("Share Ultra Fit") == "Waiting for session"
    assert engine.asked == []


def test_a_wish_the_engine_could_not_keep_is_taken_back(seen: Seen, engine: FakeEngine) -> None:
    engine.show(samples.STICK)
    seen.click("Share Ultra Fit")
    engine.show(samples.STICK)
    assert not seen.checked("Share Ultra Fit")


def test_every_state_has_its_own_word(seen: Seen, engine: FakeEngine) -> None:
    words = set()
    for state in DeviceState:
        engine.show(replace(samples.STICK, state=state))
        words.add(seen.rows()[0].rsplit(", ", 1)[1])
    assert len(words) == len(DeviceState)


def test_failure_shows_reason_countdown_and_both_ways_out(seen: Seen, engine: FakeEngine) -> None:
    engine.show(samples.HEADSET)
    assert "PipeWire still uses it. Retry in 8 s." in seen.texts()
    seen.click("Retry Evolve2 65 now")
    seen.click("Stop sharing Evolve2 65")
    assert engine.asked == [("retry", samples.HEADSET.key), ("toggle", samples.HEADSET.key, False)]


def test_changes_are_spoken_politely_and_failures_at_once(
    seen: Seen, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoken: list[tuple[str, bool]] = []
    monkeypatch.setattr(device_list, "announce", lambda _widget, sentence, *, urgent: spoken.append((sentence, urgent)))
    failed = replace(samples.STICK, state=DeviceState.FAILED, problem_text="It is busy.", retry_in=8.0)
    asks = replace(samples.STICK_TWO_VOLUMES, ticked=True, state=DeviceState.CONFIRM)
    for row in (
        samples.STICK,
        replace(samples.STICK, state=DeviceState.CONNECTING),
        replace(samples.STICK, state=DeviceState.IN_USE),
        failed,
        replace(failed, retry_in=7.0),
        asks,
    ):
        engine.show(row)
        seen.rows()
    assert spoken == [
        ("Ultra Fit: In use remotely", False),
        ("Ultra Fit: Failed. It is busy.", True),
        ("Ultra Fit: Needs your OK. Share this memory stick?", False),
    ]


def test_failure_without_another_try_counts_nothing(seen: Seen, engine: FakeEngine) -> None:
    engine.show(replace(samples.HEADSET, retry_in=None))
    assert "PipeWire still uses it." in seen.texts()


def test_a_device_that_is_not_tried_again_says_after_how_many_tries(seen: Seen, engine: FakeEngine) -> None:
    engine.show(replace(samples.HEADSET, retry_in=None, tries=3))
    assert "PipeWire still uses it. Stopped after 3 tries." in seen.texts()
    engine.show(replace(samples.HEADSET, retry_in=None, tries=1))
    assert "PipeWire still uses it." in seen.texts()


def test_the_strip_goes_when_the_device_recovers(seen: Seen, engine: FakeEngine) -> None:
    engine.show(samples.HEADSET)
    engine.show(replace(samples.HEADSET, state=DeviceState.CONNECTING, problem="", problem_text="", retry_in=None))
    assert not seen.has("Retry Evolve2 65 now")


def test_remembered_device_that_is_away_can_be_forgotten(seen: Seen, engine: FakeEngine) -> None:
    engine.show(samples.SCANNER)
    assert not seen.has("Share CanoScan LiDE 300")
    seen.click("Forget CanoScan LiDE 300")
    assert engine.asked == [("forget", samples.SCANNER.key)]


def test_device_that_comes_back_has_its_switch_again(seen: Seen, engine: FakeEngine) -> None:
    engine.show(samples.SCANNER)
    engine.show(replace(samples.SCANNER, state=DeviceState.WAITING, busid=samples.STICK.busid))
    assert seen.checked("Share CanoScan LiDE 300")
    assert not seen.has("Forget CanoScan LiDE 300")


def test_locked_device_has_no_switch(seen: Seen, engine: FakeEngine) -> None:
    engine.show(samples.KEYBOARD)
    assert seen.rows() == ["KC 1000, Cherry, Locked"]
    assert not seen.has("Share KC 1000")


def test_blocked_device_cannot_be_ticked_and_says_why(seen: Seen, engine: FakeEngine) -> None:
    engine.show(replace(samples.STICK, state=DeviceState.BLOCKED, problem_text="Blocked by rule 3."))
    assert not seen.widget("Share Ultra Fit").isEnabled()
    assert seen.description("Ultra Fit, SanDisk, Blocked") == "Blocked by rule 3."
    seen.click("Share Ultra Fit")
    assert engine.asked == []


def test_blocked_device_that_is_ticked_can_be_unticked(seen: Seen, engine: FakeEngine) -> None:
    engine.show(replace(samples.STICK, state=DeviceState.BLOCKED, ticked=True, problem="plaintext-refused"))
    seen.click("Share Ultra Fit")
    assert engine.asked == [("toggle", samples.STICK.key, False)]


def test_device_that_this_computer_refused_when_it_was_tried_can_be_tried_again(seen: Seen, engine: FakeEngine) -> None:
    refused = "Ultra Fit is not the device that was chosen."
    engine.show(
        replace(
            samples.STICK, state=DeviceState.BLOCKED, ticked=True, problem="device-changed", problem_text=refused,
            tries=1,
        )
    )  # fmt: skip
    seen.click("Retry Ultra Fit now")
    seen.click("Stop sharing Ultra Fit")
    assert engine.asked == [("retry", samples.STICK.key), ("toggle", samples.STICK.key, False)]


def test_device_without_a_name_is_called_by_what_it_is(seen: Seen, engine: FakeEngine) -> None:
    engine.show(replace(samples.SERIAL, product="", vendor=""))
    assert seen.rows() == ["serial adapter 0403:6001, Unknown vendor, Connecting…"]


def test_something_turns_only_while_a_device_is_busy(picker: Picker, engine: FakeEngine) -> None:
    picker.list._look._motion = True
    seen = []
    for rows in ((samples.SERIAL,), (replace(samples.SERIAL, state=DeviceState.IN_USE),), (samples.SERIAL,), ()):
        engine.show(*rows)
        QApplication.processEvents()
        seen.append(picker.list.pulse.active)
    assert seen == [True, False, True, False]


def test_what_turns_repaints_nothing_but_itself(
    picker: Picker, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    picker.list._look._motion = True
    engine.show(samples.SERIAL)
    QApplication.processEvents()
    written: list[str] = []
    monkeypatch.setattr(row_paint, "paint_text", lambda *words: written.append(words[-1]))
    row = row_of(picker, samples.SERIAL.key)
    row.repaint()
    assert "Connecting…" in written
    written.clear()
    row.repaint(row_paint.status_icon_rect(row._sizes, row._places()))
    assert written == []
