"""A window in which nothing happens does nothing, whatever is open in it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from client_gui.state import DeviceState
from client_gui.ui.device_row import DeviceRow
from tests.gui import samples
from tests.gui.rows import row_of

if TYPE_CHECKING:
    from pytestqt.qtbot import QtBot

    from client_gui.state import Row
    from client_gui.ui.picker import Picker
    from tests.gui.fake_engine import FakeEngine

FAILED = replace(samples.HEADSET, retry_in=None)
TOLD = replace(samples.STICK, ticked=True, state=DeviceState.IN_USE)


@pytest.mark.parametrize("opened", [False, True], ids=["closed", "details"])
@pytest.mark.parametrize("row", [samples.BRIO, FAILED, samples.STICK_CHANGED, TOLD], ids=lambda row: str(row.state))
def test_an_open_row_lets_the_window_rest(
    picker: Picker, engine: FakeEngine, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch, row: Row, opened: bool
) -> None:
    engine.show(replace(row, ticked=False) if row is TOLD else row)
    qtbot.wait(20)
    if row is TOLD:
        row_of(picker, row.key).switch.click()
        assert row_of(picker, row.key).body.caution is not None
    row_of(picker, row.key).open_details(opened=opened)
    qtbot.wait(100)
    looks, settle = [0], DeviceRow._settle

    def counted(self: DeviceRow, *, at_once: bool = False) -> None:
        looks[0] += 1
        settle(self, at_once=at_once)

    monkeypatch.setattr(DeviceRow, "_settle", counted)
    qtbot.wait(200)
    assert looks[0] <= 1
