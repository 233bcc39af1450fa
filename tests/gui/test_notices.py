"""What the window says above its list: what is missing, what happened, what one should know."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from PySide6.QtWidgets import QApplication

from client_gui.state import DeviceState, Trouble
from client_gui.ui import notices
from client_gui.ui import picker as picker_module
from client_gui.ui.label import Label
from client_gui.ui.problem_words import split_remedy
from qvd_usbip.errors import PROBLEMS
from tests.gui import samples

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytestqt.qtbot import QtBot

    from client_gui.ui.picker import Picker
    from tests.gui.fake_engine import FakeEngine
    from tests.gui.seen import Seen


def test_what_concerns_the_session_is_said_without_devices_too(engine: FakeEngine, seen: Seen) -> None:
    engine.show(
        session=replace(samples.SESSION, connected=False, problem="slave-refused-key"),
        problems=(samples.SESSION_REFUSED,),
    )
    assert samples.SESSION_REFUSED.remedy in seen.texts()
    assert "While shared, a device stops working on this computer." not in seen.texts(), "there is none to share"
    assert not seen.has("Filter devices")
    engine.show(session=samples.SESSION, problems=())
    assert not seen.has("Got it")


@pytest.mark.parametrize("problems", [(), (samples.HELPER_MISSING,)])
def test_what_was_asked_for_is_answered_without_devices_and_beside_a_problem(
    engine: FakeEngine, seen: Seen, picker: Picker, problems: tuple[Trouble, ...]
) -> None:
    engine.show(problems=problems)
    QApplication.processEvents()
    picker.header.about.emit()
    assert any("QVD USB sharing" in text for text in seen.texts())
    seen.click("Got it")
    assert not any("QVD USB sharing" in text for text in seen.texts())


def test_what_is_said_above_the_list_is_spoken(engine: FakeEngine, seen: Seen, monkeypatch: pytest.MonkeyPatch) -> None:
    spoken: list[str] = []
    for module in (notices, picker_module):
        monkeypatch.setattr(module, "announce", lambda _widget, sentence: spoken.append(sentence))
    trouble = Trouble(code="share-all-on", text="Every device is shared.", remedy="Change that.")
    for _ in range(2):  # once, however often it is shown
        engine.show(samples.STICK, problems=(trouble, samples.HELPER_MISSING))
        seen.rows()
    assert spoken == ["One thing is missing on this computer", "Every device is shared. Change that."]


def test_what_is_missing_is_named_with_its_command(engine: FakeEngine, seen: Seen) -> None:
    idle = replace(samples.BRIO, ticked=False, state=DeviceState.NOT_SHARED)
    engine.show(idle, samples.YUBIKEY, problems=(samples.HELPER_MISSING, samples.MODULE_MISSING))
    assert "Two things are missing on this computer" in seen.texts()
    assert "The sharing helper is not installed" in seen.texts()
    assert "The kernel module usbip_host is not loaded" in seen.texts()
    assert "It sends the device over the network. It belongs to your Linux kernel." in seen.texts()
    seen.click("Copy report")
    assert f"helper-missing: {samples.HELPER_MISSING.text}" in QApplication.clipboard().text()
    seen.click("Copy sudo modprobe usbip-host")
    assert QApplication.clipboard().text() == "sudo modprobe usbip-host"
    assert not seen.widget("Share BRIO Ultra HD Webcam").isEnabled()
    assert seen.widget("Share YubiKey 5 NFC").isEnabled(), "what was ticked can be taken back"
    seen.click("Check again")
    assert engine.asked == [("rescan",)]
    engine.show(idle, samples.YUBIKEY, problems=())
    assert seen.widget("Share BRIO Ultra HD Webcam").isEnabled()
    assert not seen.has("Check again")


@pytest.mark.parametrize(
    ("code", "text", "title"),
    [
        ("usbip-host-unavailable", "… the running kernel 6.1 has no module usbip-host.", "is not in this kernel"),
        ("helper-not-setuid", "The helper /x does not run as root.", "has the wrong owner or mode"),
        ("not-permitted", "This account may not lend USB devices.", "You may not share devices from this session"),
        ("config-not-text", "/x is not UTF-8 text (byte 3).", "/x is not UTF-8 text (byte 3)."),
        ("config-unwritable", "/x could not be saved: full.", "/x could not be saved: full. As root: x."),
    ],
)
def test_each_trouble_has_its_title(engine: FakeEngine, seen: Seen, code: str, text: str, title: str) -> None:
    engine.show(samples.STICK, problems=(Trouble(code=code, text=text, remedy="As root: x."),))
    assert any(title in said for said in seen.texts())


def test_what_is_missing_is_said_without_devices_too(engine: FakeEngine, seen: Seen) -> None:
    engine.show(problems=(samples.HELPER_MISSING,))
    assert "One thing is missing on this computer" in seen.texts()


def test_same_troubles_keep_their_card_and_its_focus(engine: FakeEngine, seen: Seen, picker: Picker) -> None:
    engine.show(samples.BRIO, problems=(samples.HELPER_MISSING,))
    seen.widget("Check again").setFocus()
    engine.show(samples.STICK, problems=(samples.HELPER_MISSING,))
    assert seen.focused() == "Check again"


@pytest.mark.parametrize(
    ("remedy", "parts"),
    [
        ("As root: modprobe x.", ("", "sudo modprobe x", "")),
        ("As root: a /b.c && d; then e.", ("", "sudo a /b.c && sudo d", "Then e.")),
        (
            "Install it; from its sources, as root: make install.",
            ("Install it; from its sources:", "sudo make install", ""),
        ),
        ("Ask somebody.", ("Ask somebody.", "", "")),
        ("", ("", "", "")),
    ],
)
def test_remedy_is_parted_into_words_and_command(remedy: str, parts: tuple[str, str, str]) -> None:
    assert split_remedy(remedy) == parts


def test_no_remedy_of_ours_loses_its_command() -> None:
    for problem in PROBLEMS.values():
        before, command, after = split_remedy(problem.remedy)
        assert bool(command) == ("s root: " in problem.remedy), problem.code
        assert not command.endswith((".", ";")), problem.code
        assert "s root:" not in before + after, problem.code


@pytest.mark.parametrize("percent", [100, 150, 200])
@pytest.mark.parametrize("language", ["look", "spanish"])
def test_what_is_said_above_the_list_is_never_cut(
    in_letters: Callable[[str, int], Picker], engine: FakeEngine, qtbot: QtBot, percent: int, language: str
) -> None:
    picker = in_letters(language, percent)
    picker.resize(400, 640)
    engine.show(*samples.EVERY_KIND_OF_ROW)
    qtbot.wait(20)
    bar = picker.notices.bar
    assert bar is not None
    label = next(each for each in bar.findChildren(Label))
    assert label.height() >= label.heightForWidth(label.width()), "every line of the sentence"
    longest = max(label.text().split(), key=len)
    assert label.fontMetrics().horizontalAdvance(longest) <= label.width(), "every word of it"
    assert not bar.button.geometry().intersects(label.geometry())


def test_first_share_hint_is_shown_until_it_was_read(engine: FakeEngine, seen: Seen, picker: Picker) -> None:
    engine.show(samples.STICK)
    assert "While shared, a device stops working on this computer." in seen.texts()
    seen.click("Got it")
    assert "While shared, a device stops working on this computer." not in seen.texts()
    assert picker._memory.value("hints/first-share-seen", type=bool)


def test_of_several_notices_the_most_urgent_is_shown_and_a_read_one_stays_away(
    engine: FakeEngine, seen: Seen, picker: Picker
) -> None:
    hint = "While shared, a device stops working on this computer."
    failed = Trouble(code="share-all-on", text="Every device is shared.", remedy="Change that.")
    engine.show(samples.STICK, problems=(failed,))
    assert "Every device is shared. Change that." in seen.texts()
    assert hint not in seen.texts()
    seen.click("Got it")
    assert hint in seen.texts()
    engine.show(samples.BRIO, problems=(failed,))
    assert "Every device is shared. Change that." not in seen.texts(), "it was read"
    engine.show(samples.BRIO, problems=())
    assert hint in seen.texts()
    engine.show(samples.BRIO, problems=(failed,))
    assert "Every device is shared. Change that." in seen.texts(), "it happened again"


def test_what_is_wrong_but_not_missing_is_not_called_missing(engine: FakeEngine, seen: Seen) -> None:
    engine.show(samples.STICK, problems=(Trouble(code="sharing-disabled", text="Off.", remedy="Set x=1."),))
    assert "Something has to be put right on this computer" in seen.texts()
    assert "Sharing is switched off" in seen.texts()
