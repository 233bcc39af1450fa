"""The examples do what they show: a client of one's own gives the picker its session, or has the list in its window."""

from __future__ import annotations

import importlib.util
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication, QTabWidget

from client_gui.ui import embed
from tests.gui import samples
from tests.gui.fake_engine import FakeEngine
from tests.gui.seen import Seen

if TYPE_CHECKING:
    from types import ModuleType

    from pytestqt.qtbot import QtBot

EXAMPLES = Path(__file__).parents[2] / "resources/examples"
SESSION = {"address": "127.0.0.1:11100", "encryption": "none", "key": "secret-key", "name": "Work", "v": 1}

PICKER = """#!/bin/sh
test "$*" = "--session -" || exit 90
cat >"$(dirname "$0")/heard"
exit 7
"""


def test_client_in_perl_hands_the_session_over_a_pipe_and_tells_how_it_ended(tmp_path: Path) -> None:
    picker, key = tmp_path / "picker", tmp_path / "key"
    picker.write_text(PICKER)
    picker.chmod(0o755)
    key.write_text("secret-key\n")
    done = subprocess.run(
        ["perl", EXAMPLES / "client.pl", "Work", "127.0.0.1:11100", key],
        stdin=subprocess.DEVNULL,
        env={"PATH": "/usr/bin:/bin", "PICKER": str(picker)},
        check=False,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (7, "")
    assert json.loads((tmp_path / "heard").read_text()) == SESSION


def example() -> ModuleType:
    spec = importlib.util.spec_from_file_location("embed_example", EXAMPLES / "embed.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_window_of_another_client_has_the_list_as_a_tab(
    qapp: QApplication, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    engine = FakeEngine()
    monkeypatch.setattr(embed, "Engine", lambda: engine)
    monkeypatch.setattr(sys, "stdin", io.StringIO(json.dumps(SESSION)))
    module = example()
    monkeypatch.setattr(module, "QApplication", lambda _argv: qapp)
    seen: list[list[str]] = []

    def use() -> None:
        (window,) = [each for each in QApplication.topLevelWidgets() if isinstance(each, QTabWidget)]
        engine.show(samples.BRIO, samples.STICK)
        seen.append(Seen(window).rows())
        Seen(window).click("Share Ultra Fit")
        window.close()

    QTimer.singleShot(200, use)
    assert module.main() == 0
    assert seen == [["BRIO Ultra HD Webcam, Logitech, In use remotely", "Ultra Fit, SanDisk, Not shared"]]
    assert engine.asked == [("start",), ("session", "Work"), ("toggle", samples.STICK.key, True), ("stop",)]
    qapp.setQuitOnLastWindowClosed(True)
