"""EFFECT: everything that moves: one shared beat for turning arcs, and short eased changes of one number."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from PySide6.QtCore import QAbstractAnimation, QEasingCurve, QObject, Qt, QTimer, QVariantAnimation
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QWidget

from client_gui.ui.look import Look

BEAT: Final = 30  # milliseconds
VEIL_LIFTS: Final = 150  # milliseconds


class Pulse(QObject):
    """Calls whoever is busy 33 times a second, and rests when nobody is."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._busy: dict[str, Callable[[], None]] = {}
        self._timer = QTimer(self)
        self._timer.setInterval(BEAT)
        self._timer.timeout.connect(self._beat)

    @property
    def active(self) -> bool:
        """Whether anything turns."""
        return self._timer.isActive()

    def join(self, key: str, repaint: Callable[[], None]) -> None:
        """Begins to call `repaint` at every beat."""
        self._busy[key] = repaint
        self._timer.start()

    def leave(self, key: str) -> None:
        """Stops calling; the timer stops with the last one."""
        self._busy.pop(key, None)
        if not self._busy:
            self._timer.stop()

    def _beat(self) -> None:
        for repaint in tuple(self._busy.values()):
            repaint()


def turn() -> float:
    """Returns where an arc of one turn a second stands now, in degrees clockwise."""
    return time.monotonic() % 1.0 * 360.0


class Glide(QObject):
    """A number that slides to each new value instead of jumping."""

    def __init__(self, look: Look, milliseconds: int, value: float, moved: Callable[[], None], parent: QObject) -> None:
        super().__init__(parent)
        self._look = look
        self._milliseconds = milliseconds
        self._moved = moved
        self.value = value
        self._animation = QVariantAnimation(self)
        self._animation.setEasingCurve(QEasingCurve.Type.OutCubic)
        self._animation.valueChanged.connect(self._follow)

    @property
    def moving(self) -> bool:
        """Whether the number is on its way."""
        return self._animation.state() == QAbstractAnimation.State.Running

    def to(self, target: float, *, at_once: bool = False) -> None:
        """Slides to a value, or jumps there if the desktop wants no motion."""
        if self.moving and not at_once and target == self._animation.endValue():
            return
        self._animation.stop()
        duration = 0 if at_once else self._look.duration(self._milliseconds)
        if duration == 0:
            self._follow(target)
            return
        self._animation.setDuration(duration)
        self._animation.setStartValue(float(self.value))
        self._animation.setEndValue(float(target))
        self._animation.start()

    def _follow(self, value: float) -> None:
        self.value = float(value)
        self._moved()


class Veil(QWidget):
    """Covers a new widget with the ground it stands on, lifts, and is gone."""

    def __init__(self, look: Look, covered: QWidget) -> None:
        super().__init__(covered)
        self._look = look
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.resize(covered.size())
        self._cover = Glide(look, VEIL_LIFTS, 1.0, self._lift, self)
        self._cover.to(0.0)
        self.show()

    def _lift(self) -> None:
        self.update()
        if self._cover.value <= 0.0:
            self.deleteLater()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paints what is left of the cover; the lines above and below stay visible."""
        color = self._look.color("surface")
        color.setAlphaF(self._cover.value)
        QPainter(self).fillRect(self.rect().adjusted(0, 1, 0, -1), color)
