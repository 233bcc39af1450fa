"""EFFECT: how the picker's window answers, how soon it is there, and what memory it takes; without a screen.

python3 -m tests.bench.window answers|opened prints one JSON object: the bench runs it so, in a process of its own.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.bench.goals import Finding, in_milliseconds
from tests.bench.promises import ANSWERS
from tests.bench.report import Measured

if TYPE_CHECKING:
    from PySide6.QtGui import QPaintEvent

LIMIT = 0.050  # seconds
SETTLE, WATCH = 6000, 4000  # milliseconds
PATIENCE = 120  # seconds for one run


def measure(rounds: int) -> Measured:
    """Measures in turn: every turn of the event loop, and a line about first paint and memory."""
    late = [sorted(in_milliseconds(_run("answers")["late"])) for _ in range(rounds)]
    opened = [_run("opened") for _ in range(rounds)]
    paint, memory = (sorted(each[what] for each in opened)[rounds // 2] for what in ("paint", "rss"))
    line = f"window opened: first paint {paint * 1e3:.0f} ms after its start, {memory / 2**20:.0f} MiB resident"
    most = [each[int(len(each) * 0.99)] for each in late]
    finding = Finding(goal=ANSWERS, ours=most, reference=in_milliseconds([LIMIT]))
    return Measured(findings=(finding,), late=tuple(turn for each in late for turn in each), said=(line,))


def _run(what: str) -> dict[str, Any]:
    environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen", "STARTED": str(time.time())}
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.window", what],
        stdout=subprocess.PIPE,
        env=environment,
        check=True,
        timeout=PATIENCE,
    )
    return dict(json.loads(done.stdout))


def answers() -> dict[str, list[float]]:
    """Watches the window of a full tree; `late` is by how much each turn was late, in seconds."""
    from PySide6.QtCore import QSettings  # noqa: PLC0415  # only the child opens a window
    from PySide6.QtTest import QTest  # noqa: PLC0415
    from PySide6.QtWidgets import QApplication  # noqa: PLC0415

    from client_gui.ui.garbage import GarbageDuty  # noqa: PLC0415
    from tests.gui.full_tree import Beat, FullTree  # noqa: PLC0415

    application = QApplication([])
    duty = GarbageDuty()
    with tempfile.TemporaryDirectory() as folder:
        memory = QSettings(f"{folder}/picker.ini", QSettings.Format.IniFormat)
        tree = FullTree(Path(folder) / "bench", memory)
        QTest.qWait(SETTLE)
        beat = Beat()
        beat.start()
        QTest.qWait(WATCH)
        beat.stop()
        tree.close()
        application.processEvents()
    duty.end()
    return {"late": beat.late}


def opened() -> dict[str, float]:
    """Opens the picker as it is started, on a home without settings; seconds from the start of the program."""
    from PySide6.QtCore import QTimer  # noqa: PLC0415
    from PySide6.QtWidgets import QApplication  # noqa: PLC0415

    from client_gui import presence  # noqa: PLC0415
    from client_gui.ui import app  # noqa: PLC0415
    from client_gui.ui.picker import Picker  # noqa: PLC0415

    found: dict[str, float] = {}

    class Watched(Picker):
        def paintEvent(self, event: "QPaintEvent") -> None:
            super().paintEvent(event)
            if not found:
                found["paint"] = time.time() - float(os.environ["STARTED"])
                QTimer.singleShot(500, self.leave)

        def leave(self) -> None:
            pages = int(Path("/proc/self/statm").read_text().split()[1])
            found["rss"] = pages * os.sysconf("SC_PAGE_SIZE")
            self.leaving.emit()

    app.Picker = Watched  # type: ignore[attr-defined]  # the same window, but it tells when it was painted
    with tempfile.TemporaryDirectory() as home:
        os.environ.update(HOME=home, XDG_CONFIG_HOME=home, XDG_RUNTIME_DIR=home)
        presence.RUN = home  # a picker that runs on this machine is not met
        app.run(None, background=False)
    QApplication.processEvents()
    return found


if __name__ == "__main__":
    print(json.dumps({"answers": answers, "opened": opened}[sys.argv[1]]()))
