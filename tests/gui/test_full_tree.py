"""The window answers while the engine has everything to do and its helper nothing to say."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PySide6.QtWidgets import QApplication

from client_gui.state import DeviceState
from tests.gui.full_tree import DEVICES, Beat, FullTree
from tests.gui.seen import Seen

if TYPE_CHECKING:
    from collections.abc import Iterator

    from PySide6.QtCore import QSettings
    from pytestqt.qtbot import QtBot

PATIENCE = 60_000  # milliseconds, for a machine that does much else
SLOW = 5.0  # seconds, on a machine that does much else: a window that is this late does not answer


@pytest.fixture
def tree(qapp: QApplication, tmp_path: Path, memory: QSettings) -> Iterator[FullTree]:
    made = FullTree(tmp_path / "bench", memory)
    yield made
    made.close()


def test_window_answers_with_a_full_tree_and_a_helper_that_hangs(tree: FullTree, qtbot: QtBot) -> None:
    picker = tree.picker
    beat = Beat()
    beat.start()
    qtbot.waitUntil(lambda: len(picker.list.card.shown) == DEVICES, timeout=PATIENCE)
    qtbot.waitUntil(lambda: any(row.state is DeviceState.RELEASING for row in picker.model.rows()), timeout=PATIENCE)
    seen = Seen(picker)
    picker.search.edit.setText("0100")
    assert [row.split(",")[0] for row in seen.rows()] == ["Adapter 0100"]
    seen.click("Share Adapter 0100")
    assert not seen.checked("Share Adapter 0100")
    qtbot.waitUntil(lambda: "0403:6001@0100" not in Path(tree.bench.files.user).read_text(), timeout=PATIENCE)
    picker.search.edit.clear()
    seen.click("Details of Adapter 0001")
    assert "0403:6001 · 0001" in seen.texts()
    qtbot.wait(1500)
    beat.stop()
    assert len(beat.late) > 20
    assert max(beat.late) < SLOW
