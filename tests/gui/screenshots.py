"""EFFECT: paints the picker without a screen, in every state worth looking at.

python3 -m tests.gui.screenshots OUTDIR
"""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PySide6.QtCore import QSettings, Qt
from PySide6.QtGui import QFont
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from client_gui.state import DeviceState, Snapshot
from client_gui.ui import accessible
from client_gui.ui.look import Look
from client_gui.ui.picker import Picker
from tests.gui import samples
from tests.gui.fake_engine import FakeEngine

if TYPE_CHECKING:
    from collections.abc import Callable

SETTLED = 350  # milliseconds until everything has slid to its place
KEYBOARD = Qt.FocusReason.TabFocusReason


def main() -> int:
    """Writes the pictures and names each."""
    if len(sys.argv) != 2:
        print("usage: python3 -m tests.gui.screenshots OUTDIR", file=sys.stderr)
        return 2
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    application = QApplication(sys.argv[:1])
    accessible.install()
    full = samples.snapshot(*samples.EVERY_KIND_OF_ROW)
    two = samples.snapshot(samples.BRIO, samples.SCANNER)
    idle = replace(samples.BRIO, ticked=False, state=DeviceState.NOT_SHARED, steps=())
    broken = samples.snapshot(idle, samples.STICK, problems=(samples.HELPER_MISSING, samples.MODULE_MISSING))
    hostile = samples.device("h", "<b>x</b> \u202e evil\nname " + "W" * 90, "R&D <img src=x>", samples.STICK.kind)
    pictures: dict[str, tuple[Snapshot, int, int, bool, Callable[[Picker], None]]] = {
        "main-light": (full, 14, 680, False, _focus_list),
        "main-dark": (full, 14, 680, True, _focus_list),
        "main-150": (full, 21, 840, False, _focus_list),
        "main-200": (full, 28, 840, True, _focus_list),
        "details": (two, 14, 640, False, _open_first),
        "details-dark": (two, 14, 640, True, _open_first),
        "problem": (broken, 14, 640, False, _focus_check_again),
        "problem-dark": (broken, 14, 640, True, _focus_check_again),
        "empty": (samples.snapshot(), 14, 640, False, _focus_empty),
        "empty-dark": (samples.snapshot(), 14, 640, True, _focus_empty),
        "no-match": (full, 14, 640, False, lambda picker: picker.search.edit.setText("plotter")),
        "no-session": (replace(full, session=None), 14, 680, False, _nothing),
        "hostile": (samples.snapshot(hostile, samples.HEADSET), 14, 640, False, _open_first),
    }
    for name, (snapshot, size, height, dark, prepare) in pictures.items():
        _set_font_size(application, size)
        path = folder / f"{name}.png"
        _picture(application, snapshot, height, dark, prepare, path)
        print(path)
    return 0


def _set_font_size(application: QApplication, pixels: int) -> None:
    font = QFont("Inter")
    font.setPixelSize(pixels)
    application.setFont(font)


def _picture(
    application: QApplication,
    snapshot: Snapshot,
    height: int,
    dark: bool,
    prepare: Callable[[Picker], None],
    path: Path,
) -> None:
    memory = QSettings(str(path.with_suffix(".ini")), QSettings.Format.IniFormat)
    if not path.stem.startswith("main"):
        memory.setValue("hints/first-share-seen", "true")
    picker = Picker(FakeEngine(), Look(dark=dark, motion=True), memory)
    picker.resize(560, height)
    picker.show_snapshot(snapshot)
    picker.show()
    application.processEvents()
    prepare(picker)
    QTest.qWait(SETTLED)
    picker.grab().save(str(path))
    picker.finish()
    memory.clear()
    path.with_suffix(".ini").unlink(missing_ok=True)


def _nothing(_picker: Picker) -> None:
    """Leaves the window as it opens."""


def _focus_list(picker: Picker) -> None:
    picker.activateWindow()
    picker.list.focus_current(KEYBOARD)


def _open_first(picker: Picker) -> None:
    _focus_list(picker)
    picker.list.card.shown[0].toggle_details()


def _focus_check_again(picker: Picker) -> None:
    picker.activateWindow()
    if picker.problem_card is not None:
        picker.problem_card.check_button.setFocus(KEYBOARD)


def _focus_empty(picker: Picker) -> None:
    picker.activateWindow()
    picker.empty.button.setFocus(KEYBOARD)


if __name__ == "__main__":
    sys.exit(main())
