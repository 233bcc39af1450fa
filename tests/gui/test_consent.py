"""Before a device is shared that may do harm, its row asks; nothing is shared without a yes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication

from client_gui.state import Asked, Consent, DeviceState
from client_gui.ui import device_row
from qvd_usbip.kinds import Kind
from tests.gui import samples
from tests.gui.rows import row_of
from tests.gui.seen import Role

if TYPE_CHECKING:
    from client_gui.state import Row
    from client_gui.ui.picker import Picker
    from tests.gui.fake_engine import FakeEngine
    from tests.gui.seen import Seen

STICK = samples.STICK_TWO_VOLUMES
MOUSE = samples.device("m", "M90", "Logitech", Kind.MOUSE, state=DeviceState.LOCKED)


def test_mounted_stick_is_shared_only_after_the_card_was_answered(seen: Seen, engine: FakeEngine) -> None:
    engine.show(STICK)
    assert seen.description("Ultra Fit, SanDisk, Not shared") == "SanDisk · 2 volumes"
    seen.click("Share Ultra Fit")
    assert engine.asked == []
    assert not seen.checked("Share Ultra Fit"), "the switch is the wish, and it is not yet wished"
    assert seen.rows() == ["Ultra Fit, SanDisk, Needs your OK"]
    assert "Share this memory stick?" in seen.texts()
    assert any("read, change and delete everything" in text for text in seen.texts())
    assert "BACKUP, /media/user/BACKUP, 57 GB" in seen.texts()
    assert "PHOTOS, /media/user/PHOTOS, 4.2 GB" in seen.texts()
    assert seen.names(Role.Grouping) == ["Share this memory stick?"]
    assert seen.focused() == "Cancel: Ultra Fit", "the safe answer"
    seen.click("Unmount and share: Ultra Fit")
    assert engine.asked == [("agree", STICK.key, Asked.STORAGE)]
    assert seen.checked("Share Ultra Fit")
    assert not seen.has("Cancel: Ultra Fit")


@pytest.mark.parametrize("key", [Qt.Key.Key_Escape, Qt.Key.Key_Space])
def test_cancel_leaves_everything_as_it_was(seen: Seen, engine: FakeEngine, key: Qt.Key) -> None:
    engine.show(STICK)
    seen.click("Share Ultra Fit")
    seen.key(key)
    assert engine.asked == []
    assert seen.rows() == ["Ultra Fit, SanDisk, Not shared"]
    assert seen.focused() == "Share Ultra Fit"
    assert not seen.has("Cancel: Ultra Fit")


def test_question_and_its_focus_survive_a_refresh(seen: Seen, engine: FakeEngine) -> None:
    engine.show(STICK)
    seen.click("Share Ultra Fit")
    engine.show(samples.BRIO, replace(STICK, driver="usb-storage"))
    assert seen.focused() == "Cancel: Ultra Fit"
    engine.show(samples.BRIO, replace(STICK, volumes=STICK.volumes[:1]))
    assert seen.has("BACKUP, /media/user/BACKUP, 57 GB")
    assert not seen.has("PHOTOS, /media/user/PHOTOS, 4.2 GB")
    assert seen.focused() == "Share Ultra Fit", "another question is read before it is answered"


def test_question_goes_when_there_is_nothing_to_ask_any_more(seen: Seen, engine: FakeEngine) -> None:
    engine.show(STICK)
    seen.click("Share Ultra Fit")
    engine.show(replace(STICK, volumes=(), consent=None))
    assert seen.rows() == ["Ultra Fit, SanDisk, Not shared"]
    seen.click("Share Ultra Fit")
    assert engine.asked == [("toggle", STICK.key, True)]


def test_stick_ticked_by_hand_asks_by_itself_and_takes_no_focus(picker: Picker, seen: Seen, engine: FakeEngine) -> None:
    engine.show(samples.BRIO, STICK)
    QApplication.processEvents()
    picker.list.focus_current()
    engine.show(samples.BRIO, replace(STICK, ticked=True, state=DeviceState.CONFIRM))
    assert seen.focused() == "Share BRIO Ultra HD Webcam"
    assert seen.checked("Share Ultra Fit")
    seen.click("Cancel: Ultra Fit")
    assert engine.asked == [("toggle", STICK.key, False)]


CAUTION = "The remote desktop will be able to read, change and delete everything on it."


@pytest.mark.parametrize("kind", [Kind.MEMORY_STICK, Kind.PHONE])
def test_what_stores_data_and_is_not_mounted_is_shared_at_once_and_its_row_says_the_caution(
    picker: Picker, seen: Seen, engine: FakeEngine, kind: Kind
) -> None:
    stick = replace(samples.STICK, kind=kind, faces=(kind,))
    engine.show(samples.BRIO, stick)
    assert CAUTION not in seen.texts()
    seen.click("Share Ultra Fit")
    assert engine.asked == [("toggle", stick.key, True)], "a caution is no question"
    assert CAUTION in seen.texts()
    assert seen.focused() == "Share Ultra Fit"
    engine.show(samples.BRIO, stick)
    engine.show(samples.BRIO, replace(stick, ticked=True, state=DeviceState.IN_USE))
    assert CAUTION in seen.texts(), "an older word of the engine does not take it away"
    assert row_of(picker, samples.BRIO.key).body.parts() == []
    seen.click("Got it: Ultra Fit")
    assert CAUTION not in seen.texts()
    assert seen.focused() == "Share Ultra Fit"


def test_caution_goes_with_the_tick_and_is_spoken_once(
    seen: Seen, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoken: list[str] = []
    monkeypatch.setattr(device_row, "announce", lambda _widget, sentence: spoken.append(sentence))
    engine.show(samples.STICK)
    seen.click("Share Ultra Fit")
    engine.show(replace(samples.STICK, ticked=True, state=DeviceState.CONNECTING))
    assert spoken == [CAUTION]
    seen.click("Share Ultra Fit")
    assert CAUTION not in seen.texts()


def test_caution_is_not_said_twice_nor_of_what_stores_nothing(seen: Seen, engine: FakeEngine) -> None:
    engine.show(samples.SERIAL_AT_HOME, STICK)
    seen.click("Share FT232R USB UART")
    seen.click("Share Ultra Fit")
    seen.click("Unmount and share: Ultra Fit")
    shared = replace(STICK, ticked=True, state=DeviceState.IN_USE, consent=None)
    engine.show(replace(samples.SERIAL_AT_HOME, ticked=True, state=DeviceState.IN_USE), shared)
    assert CAUTION not in seen.texts()


def test_stick_that_asked_each_time_has_its_caution_too(seen: Seen, engine: FakeEngine) -> None:
    asks = replace(samples.STICK, ticked=True, state=DeviceState.CONFIRM, consent=Consent(asked=Asked.PLUGGED))
    engine.show(asks)
    seen.click("Share: Ultra Fit")
    engine.show(replace(asks, state=DeviceState.IN_USE, consent=None))
    assert CAUTION in seen.texts()


def test_details_say_the_caution_whoever_ticked_it(seen: Seen, engine: FakeEngine) -> None:
    engine.show(replace(samples.STICK, ticked=True, state=DeviceState.IN_USE))
    seen.click("Details of Ultra Fit")
    assert "Caution" in seen.texts()
    assert CAUTION in seen.texts()


def test_volume_that_is_still_used_is_told_in_the_card(seen: Seen, engine: FakeEngine) -> None:
    busy = replace(
        STICK,
        ticked=True,
        state=DeviceState.CONFIRM,
        problem="storage-in-use",
        problem_text="backup (4711) still uses BACKUP.",
        remedy="Close it and try again.",
    )
    engine.show(replace(busy, problem_text="", remedy=""))
    engine.show(busy)
    assert "backup (4711) still uses BACKUP. Close it and try again." in seen.texts()
    assert seen.has("Unmount and share: Ultra Fit")


def test_unmounted_volume_is_not_said_to_be_unmounted(seen: Seen, engine: FakeEngine) -> None:
    idle = replace(samples.BACKUP, path="")
    engine.show(replace(STICK, volumes=(idle,)))
    seen.click("Share Ultra Fit")
    assert not any("unmounted here first" in text for text in seen.texts())
    assert seen.has("Share: Ultra Fit")


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        (samples.KEYBOARD, "You cannot type on this computer with it while it is shared. It is your only keyboard."),
        (replace(MOUSE, consent=Consent(asked=Asked.UNLOCK)), "You cannot point on this computer"),
        (
            replace(MOUSE, kind=Kind.NETWORK_ADAPTER, consent=Consent(asked=Asked.UNLOCK)),
            "This computer may lose its network.",
        ),
        (replace(MOUSE, kind=Kind.BLUETOOTH_ADAPTER, consent=Consent(asked=Asked.UNLOCK)), "Bluetooth"),
    ],
)
def test_locked_device_says_what_sharing_costs_and_is_unlocked_by_hand(
    seen: Seen, engine: FakeEngine, row: Row, sentence: str
) -> None:
    engine.show(row)
    assert not seen.has(f"Share {row.product}")
    seen.click(f"Unlock {row.product}")
    assert any(sentence in text for text in seen.texts())
    seen.click(f"Unlock and share: {row.product}")
    assert engine.asked == [("agree", row.key, Asked.UNLOCK)]


def test_what_the_administrator_locks_has_no_way_to_unlock(seen: Seen, engine: FakeEngine) -> None:
    engine.show(replace(samples.KEYBOARD, consent=None))
    assert not seen.has("Unlock KC 1000")


def test_changed_device_is_shown_with_what_is_new_and_stays_here(seen: Seen, engine: FakeEngine) -> None:
    engine.show(samples.STICK_CHANGED)
    assert "This device now also presents a keyboard" in seen.texts()
    assert "When you chose it: memory stick. Now: memory stick, keyboard. New: keyboard" in seen.texts()
    assert seen.description("Ultra Fit, SanDisk, Needs your OK") == "SanDisk · stick + keyboard"
    seen.click("Keep it here: Ultra Fit")
    assert engine.asked == [("toggle", samples.STICK.key, False)]


def test_changed_device_is_shared_if_the_user_insists(seen: Seen, engine: FakeEngine) -> None:
    engine.show(samples.STICK_CHANGED)
    seen.click("Share anyway: Ultra Fit")
    assert engine.asked == [("agree", samples.STICK.key, Asked.CHANGE)]


def test_device_that_changed_unseen_says_only_that(seen: Seen, engine: FakeEngine) -> None:
    same = Consent(asked=Asked.CHANGE, before=(Kind.CAMERA,), now=(Kind.CAMERA,))
    engine.show(replace(samples.STICK_CHANGED, consent=same))
    assert "This device has changed" in seen.texts()


def test_device_may_ask_each_time(seen: Seen, engine: FakeEngine) -> None:
    engine.show(replace(samples.BRIO, state=DeviceState.CONFIRM, consent=Consent(asked=Asked.PLUGGED)))
    assert "Share BRIO Ultra HD Webcam now?" in seen.texts()
    seen.click("Share: BRIO Ultra HD Webcam")
    assert engine.asked == [("agree", samples.BRIO.key, Asked.PLUGGED)]


def test_tab_visits_the_answers(picker: Picker, seen: Seen, engine: FakeEngine) -> None:
    engine.show(STICK)
    seen.click("Share Ultra Fit")
    seen.widget("Share Ultra Fit").setFocus()
    visited = []
    for _ in range(4):
        visited.append(seen.focused())
        seen.key(Qt.Key.Key_Tab)
    assert visited == [
        "Share Ultra Fit",
        "Details of Ultra Fit",
        "Unmount and share: Ultra Fit",
        "Cancel: Ultra Fit",
    ]


@pytest.mark.parametrize("row", [samples.STICK_MOUNTED, STICK, samples.STICK_CHANGED, samples.KEYBOARD])
@pytest.mark.parametrize("percent", [100, 200])
@pytest.mark.parametrize("width", [400, 560])
@pytest.mark.parametrize("language", ["look", "spanish"])
def test_cards_are_never_cut(
    request: pytest.FixtureRequest, engine: FakeEngine, row: Row, percent: int, width: int, language: str
) -> None:
    request.getfixturevalue(language)
    picker, qapp = request.getfixturevalue("picker"), request.getfixturevalue("qapp")
    font = qapp.font()
    font.setPixelSize(14 * percent // 100)
    qapp.setFont(font)
    picker.resize(width, 700)
    engine.show(row)
    QApplication.processEvents()
    widget = row_of(picker, row.key)
    if widget.body.card is None:
        widget.ask()
    QApplication.processEvents()
    card = widget.body.card
    assert card is not None
    assert widget.rect().contains(card.geometry())
    for button in card.buttons():
        assert card.rect().contains(button.geometry()), button.text()
    one, other = card.buttons()
    assert not one.geometry().intersects(other.geometry())
