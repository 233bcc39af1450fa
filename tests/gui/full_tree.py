"""EFFECT: the window on the real engine with a full USB tree, everything ticked, and a helper that hangs."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QObject, QTimer

from client_gui.ui import accessible
from client_gui.ui.bridge import Bridge
from client_gui.ui.look import Look
from client_gui.ui.picker import Picker
from tests.unit.client_gui.bench import Bench

if TYPE_CHECKING:
    from pathlib import Path

    from PySide6.QtCore import QSettings

DEVICES: Final = 127
BEAT: Final = 5  # milliseconds between two looks at the clock


class Beat(QObject):
    """Asks to be called every few milliseconds and notes by how much each call was late, in seconds."""

    def __init__(self) -> None:
        super().__init__()
        self.late: list[float] = []
        self._last = 0.0
        self._timer = QTimer(self)
        self._timer.setInterval(BEAT)
        self._timer.timeout.connect(self._note)

    def start(self) -> None:
        """Begins to watch."""
        self._last = time.monotonic()
        self._timer.start()

    def stop(self) -> None:
        """Watches no more."""
        self._timer.stop()

    def _note(self) -> None:
        now = time.monotonic()
        self.late.append(max(0.0, now - self._last - BEAT / 1000))
        self._last = now


class FullTree:
    """Everything put together; `close` ends engine, helpers and peer."""

    def __init__(self, folder: Path, memory: QSettings) -> None:
        """Plugs in and ticks the devices, opens the window, begins the session."""
        self.bench = Bench(folder)
        entries = []
        for number in range(DEVICES):
            busid, vidpid, serial = f"{1 + number // 32}-{1 + number % 32}", "0403:6001", f"{number:04}"
            self.bench.bus.plug(busid, vidpid, serial)
            entries.append(f"{vidpid}@{serial}")
        self.bench.helper.behave("hang-bind")
        self.bench.configure(", ".join(entries))
        accessible.install()
        engine = self.bench.run()
        self.picker = Picker(engine, Look(dark=False, motion=True), memory)
        self._bridge = Bridge(engine, self.picker)
        self._bridge.changed.connect(self.picker.show_snapshot)
        self.picker.resize(560, 640)
        self.picker.show()
        engine.set_session(self.bench.session())

    def close(self) -> None:
        """Ends everything."""
        self.bench.close()
        self.picker.finish()
