"""EFFECT: keeps Python's cycle collector in the window's thread.

Left to itself it runs in whichever thread allocates, so the engine's thread could destroy widgets: Qt dies of that.
"""

from __future__ import annotations

import gc
from typing import Final

from PySide6.QtCore import QObject, QTimer

EVERY: Final = 1000  # milliseconds


class GarbageDuty(QObject):
    """Collects once a second what the thresholds call for, while it lives; `end` gives the duty back to Python."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        gc.disable()
        self._timer = QTimer(self)
        self._timer.setInterval(EVERY)
        self._timer.timeout.connect(collect_due)
        self._timer.start()

    def end(self) -> None:
        """Collects everything and lets Python decide again."""
        self._timer.stop()
        gc.collect()
        gc.enable()


def collect_due() -> None:
    """Collects the oldest generation whose threshold is passed."""
    counts, thresholds = gc.get_count(), gc.get_threshold()
    for generation in reversed(range(len(counts))):
        if thresholds[generation] and counts[generation] > thresholds[generation]:
            gc.collect(generation)
            return
