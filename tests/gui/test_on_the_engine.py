"""The window on the real engine: what is clicked is in the user's files, what the engine decides is seen."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from client_gui.engine import Engine
from client_gui.ui import accessible
from client_gui.ui.bridge import Bridge
from client_gui.ui.look import Look
from client_gui.ui.model import ROW_ROLE
from client_gui.ui.picker import Picker
from qvd_usbip.errors import QvdUsbError
from tests.gui.seen import Seen
from tests.unit.client_gui.bench import Bench

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from PySide6.QtCore import QSettings
    from pytestqt.qtbot import QtBot

PATIENCE = 30_000  # milliseconds, for a machine that does much else
KEYBOARD = "03 01 01"


class Used:
    """A window, the engine below it, and the world around both."""

    def __init__(self, folder: Path, look: Look, memory: QSettings, qtbot: QtBot) -> None:
        self._qtbot = qtbot
        self.bench = Bench(folder)
        self.bench.bus.plug("1-1", "0bda:58c2", "1111")
        self.bench.bus.plug("1-2", "046a:0011", "", interface=KEYBOARD)
        engine = self.bench.run()
        self.picker = Picker(engine, look, memory)
        bridge = Bridge(engine, self.picker)
        bridge.changed.connect(self.picker.show_snapshot)
        self.picker.show()
        self.picker.activateWindow()
        self.seen = Seen(self.picker)
        self.until(lambda: len(self.seen.rows()) == 2)

    def until(self, holds: Callable[[], object]) -> None:
        """Waits until something is seen."""
        self._qtbot.waitUntil(lambda: bool(holds()), timeout=PATIENCE)

    def row(self, name: str) -> str:
        """Returns what is said of one device."""
        (found,) = [row for row in self.seen.rows() if row.startswith(f"{name},")]
        return found

    def file(self) -> str:
        """Returns the user's configuration file."""
        return Path(self.bench.files.user).read_text()


@pytest.fixture
def used(qapp: QApplication, tmp_path: Path, look: Look, memory: QSettings, qtbot: QtBot) -> Iterator[Used]:
    accessible.install()
    made = Used(tmp_path / "bench", look, memory, qtbot)
    yield made
    made.bench.close()
    made.picker.finish()


def test_tick_is_in_the_file_and_the_device_waits_for_a_session(used: Used) -> None:
    used.seen.click("Share Adapter 1111")
    used.until(lambda: "share_list=0bda:58c2@1111" in used.file().replace(" ", ""))
    used.until(lambda: used.row("Adapter 1111").endswith("Waiting for session"))


def test_switch_goes_back_each_time_the_engine_refuses(used: Used) -> None:
    used.bench.configure(client__usb__share_all="1")
    used.until(lambda: used.seen.checked("Share Adapter 1111"))
    ticks: list[bool] = []
    used.picker.model.dataChanged.connect(lambda index: ticks.append(index.data(ROW_ROLE).ticked))
    for _ in range(3):
        used.seen.click("Share Adapter 1111")
        used.until(lambda: ticks[-1:] == [True])
    assert ticks == [False, True] * 3
    assert any("client.usb.share_all" in text for text in used.seen.texts())


def test_tick_of_a_session_becomes_a_share_and_its_steps_are_seen(used: Used) -> None:
    assert used.bench.engine is not None
    used.bench.engine.set_session(used.bench.session())
    used.until(lambda: "Work desktop" in used.seen.texts())
    used.seen.click("Share Adapter 1111")
    used.until(lambda: used.row("Adapter 1111").endswith(("Attached", "In use remotely")))
    used.seen.click("Details of Adapter 1111")
    assert used.seen.has("Copy report")
    used.seen.click("Share Adapter 1111")
    used.until(lambda: used.row("Adapter 1111").endswith("Not shared"))


def test_keyboard_is_unlocked_by_hand_only(used: Used) -> None:
    (keyboard,) = [row for row in used.seen.rows() if row.endswith("Locked")]
    name = keyboard.split(",")[0]
    used.seen.click(f"Unlock {name}")
    assert any("your only keyboard" in text for text in used.seen.texts())
    used.seen.click(f"Cancel: {name}")
    assert "share_list=046a" not in used.file()
    used.seen.click(f"Unlock {name}")
    used.seen.click(f"Unlock and share: {name}")
    used.until(lambda: "046a:0011" in used.file())
    used.until(lambda: used.seen.has(f"Share {name}"))
    used.until(lambda: used.seen.checked(f"Share {name}"))


def test_settings_of_a_device_are_remembered(used: Used) -> None:
    used.seen.click("Details of Adapter 1111")
    field = used.seen.widget("Name of Adapter 1111 here")
    field.setFocus()
    QTest.keyClicks(field, "Left")
    used.seen.key(Qt.Key.Key_Return)
    used.until(lambda: any(row.startswith("Left,") for row in used.seen.rows()))
    used.seen.click("Ask me")
    used.seen.click("Follow the port of Left")
    used.until(lambda: [row.follows_port for row in used.picker.model.rows() if row.nickname] == [30])
    used.until(lambda: used.seen.radio("Ask me"))


def test_rule_that_decided_is_named(used: Used) -> None:
    used.seen.click("Details of Adapter 1111")
    assert any("Allowed by rule" in text for text in used.seen.texts())
    used.seen.click("Copy rule")
    assert QApplication.clipboard().text().startswith("allow 0bda:58c2")


def test_in_two_login_sessions_of_one_user_one_window_shares_and_the_other_shows_and_stops_it(
    used: Used, memory: QSettings
) -> None:
    """Both sessions have the user's one runtime folder; each has a picker of its own."""
    assert used.bench.engine is not None
    used.bench.engine.set_session(used.bench.session())
    used.seen.click("Share Adapter 1111")
    used.until(lambda: used.row("Adapter 1111").endswith("In use remotely"))
    engine = Engine(used.bench.files, runtime=used.bench.runtime, check=lambda _: None, listen=False)
    there = Picker(engine, Look(dark=False, motion=False), memory)
    bridge = Bridge(engine, there)
    bridge.changed.connect(there.show_snapshot)
    engine.start()
    there.show()
    seen = Seen(there)
    try:
        used.until(lambda: any(row.startswith("Adapter 1111,") and row.endswith("remotely") for row in seen.rows()))
        assert used.bench.helper.diary().count("bound") == 1, "the second takes nothing by itself"
        with pytest.raises(QvdUsbError, match="process"):
            engine.set_session(used.bench.session(name="Another desktop"))
        seen.click("Share Adapter 1111")
        used.until(lambda: used.row("Adapter 1111").endswith("Not shared"))
        used.until(lambda: not seen.checked("Share Adapter 1111"))
        assert "asked to return" in used.bench.helper.diary()
        seen.click("Share Adapter 1111")
        used.until(lambda: used.row("Adapter 1111").endswith("In use remotely"))
        used.bench.engine.stop()  # the first session is logged out of
        used.until(lambda: any(row.endswith("Waiting for session") for row in seen.rows()))
        engine.set_session(used.bench.session())
        used.until(lambda: any(row.startswith("Adapter 1111,") and row.endswith("remotely") for row in seen.rows()))
    finally:
        engine.stop()
        there.finish()


def test_device_that_is_plugged_in_is_listed_soon_and_one_that_is_pulled_goes(used: Used) -> None:
    used.bench.bus.plug("1-3", "0403:6001", "3333")
    used.until(lambda: used.seen.has("Share Adapter 3333"))
    used.bench.bus.unplug("1-3")
    used.until(lambda: not used.seen.has("Share Adapter 3333"))
