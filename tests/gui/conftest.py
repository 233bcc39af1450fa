"""What the tests of the picker share: a window on a fake engine, found and used by accessible names."""

from __future__ import annotations

import gc
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PySide6.QtCore import QLocale, QSettings, QTranslator
from PySide6.QtGui import QFont

from client_gui.ui import accessible
from client_gui.ui.bridge import Bridge
from client_gui.ui.language import speak
from client_gui.ui.look import Look
from client_gui.ui.picker import Picker
from tests.gui.fake_engine import FakeEngine
from tests.gui.seen import Seen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from PySide6.QtWidgets import QApplication
    from pytestqt.qtbot import QtBot

REPOSITORY = Path(__file__).parents[2]
TRANSLATION = REPOSITORY / "resources/i18n/picker_es.ts"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Makes a warning of Qt fail the test that caused it."""
    for item in items:
        if "tests/gui" in item.path.as_posix():
            item.add_marker(pytest.mark.qt_log_level_fail("WARNING"))


def pytest_collection_finish() -> None:
    """Keeps what was imported out of every later collection, which then costs little."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _collect_in_this_thread() -> Iterator[None]:
    gc.disable()
    yield
    gc.collect()
    gc.enable()


@pytest.fixture(autouse=True)
def _font(qapp: QApplication) -> Iterator[None]:
    before = qapp.font()
    font = QFont(before)
    font.setPixelSize(14)
    qapp.setFont(font)
    yield
    qapp.setFont(before)


@pytest.fixture
def look(qapp: QApplication) -> Look:
    """A light look without motion, so that everything is in its place at once."""
    return Look(dark=False, motion=False)


@pytest.fixture
def engine() -> FakeEngine:
    """An engine that notes what is asked of it."""
    return FakeEngine()


@pytest.fixture
def memory(tmp_path: Path) -> QSettings:
    """Where the window remembers which hints were read."""
    return QSettings(str(tmp_path / "picker.ini"), QSettings.Format.IniFormat)


@pytest.fixture
def picker(qtbot: QtBot, engine: FakeEngine, look: Look, memory: QSettings) -> Picker:
    """An open window that follows the engine."""
    accessible.install()
    window = Picker(engine, look, memory)
    bridge = Bridge(engine, window)
    bridge.changed.connect(window.show_snapshot)
    qtbot.addWidget(window, before_close_func=lambda _window: window.finish())
    window.show()
    qtbot.waitExposed(window)
    window.activateWindow()
    return window


@pytest.fixture
def seen(picker: Picker) -> Seen:
    """The window as assistive technology sees it."""
    return Seen(picker)


def compiled(folder: Path) -> Path:
    """Compiles the translation as the installer does, into a folder."""
    sys.path.insert(0, str(REPOSITORY / "resources/install"))
    try:
        import translations  # type: ignore[import-not-found]  # noqa: PLC0415  # a module of the installer's folder
    finally:
        sys.path.pop(0)
    (folder / "es.qm").write_bytes(translations.compile_ts(TRANSLATION.read_text(encoding="utf-8")))
    return folder


@pytest.fixture
def spanish(qapp: QApplication, tmp_path: Path) -> Iterator[None]:
    """A user who reads Spanish."""
    assert speak(qapp, QLocale("es_ES"), compiled(tmp_path))
    yield
    for translator in qapp.findChildren(QTranslator):
        qapp.removeTranslator(translator)
        translator.deleteLater()


@pytest.fixture
def in_letters(request: pytest.FixtureRequest, qapp: QApplication) -> Callable[[str, int], Picker]:
    """Makes the picker speak a language ("look": English, or "spanish") in letters of so many percent."""

    def make(language: str, percent: int) -> Picker:
        request.getfixturevalue(language)
        made: Picker = request.getfixturevalue("picker")
        font = QFont(qapp.font())
        font.setPixelSize(14 * percent // 100)
        qapp.setFont(font)
        return made

    return make
