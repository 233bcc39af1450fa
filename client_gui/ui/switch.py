"""EFFECT: the Share switch: a check box to screen readers and the keyboard, a sliding knob to the eye."""

from __future__ import annotations

import time
from typing import Final

from PySide6.QtCore import QPoint, QPointF, QRect, QRectF, QSignalBlocker, QSize, Qt
from PySide6.QtGui import QMouseEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QCheckBox, QWidget

from client_gui.ui.control import Control
from client_gui.ui.focus import draw_ring
from client_gui.ui.look import Look
from client_gui.ui.motion import Glide

TRACK: Final = QSize(40, 24)
TARGET: Final = QSize(56, 44)
GUARD: Final = 0.35  # seconds: what a hand needs to see that the list has moved


class Switch(Control, QCheckBox):
    """Shows the user's wish for one device; the row's word shows what has become of it."""

    def __init__(self, look: Look, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._look = look
        self._guarded_until = 0.0
        self._knob = Glide(look, 120, 0.0, self.update, self)
        self.toggled.connect(self._slide)
        self.setAttribute(Qt.WidgetAttribute.WA_Hover)

    def show_wish(self, on: bool) -> None:
        """Puts the switch where the list of shares has it, without telling anyone it was touched."""
        if on != self.isChecked():
            with QSignalBlocker(self):
                self.setChecked(on)
            self._slide(on)

    def _slide(self, on: bool) -> None:
        self._knob.to(1.0 if on else 0.0, at_once=not self.isVisible())

    def sizeHint(self) -> QSize:
        """Returns the size to hit, larger than what is drawn."""
        return QSize(self._look.px(TARGET.width()), self._look.px(TARGET.height()))

    def guard(self) -> None:
        """Takes no click for a moment: what was under the pointer has moved, and another device came there."""
        self._guarded_until = time.monotonic() + GUARD

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Begins a click, unless it may have been meant for what stood here before."""
        if time.monotonic() < self._guarded_until:
            event.accept()
            return
        super().mousePressEvent(event)

    def hitButton(self, position: QPoint) -> bool:
        """Counts a click anywhere in the rectangle."""
        return self.rect().contains(position)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paints track, knob, tick and ring."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if not self.isEnabled():
            painter.setOpacity(0.45)
        width, height = self._look.px(TRACK.width()), self._look.px(TRACK.height())
        track = QRectF((self.width() - width) / 2, (self.height() - height) / 2, width, height)
        share = self._knob.value
        if self.isChecked():
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(self._look.color("accent"))
            painter.drawRoundedRect(track, height / 2, height / 2)
        else:
            painter.setPen(QPen(self._look.color("control"), 1.5))
            painter.setBrush(self._look.color("surface"))
            painter.drawRoundedRect(track.adjusted(0.75, 0.75, -0.75, -0.75), height / 2 - 0.75, height / 2 - 0.75)
        radius = height * ((9 if self.isChecked() else 7) / 24)
        start = track.left() + height / 2
        middle = QPointF(start + (width - height) * share, track.center().y())
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(self._look.color("on_accent" if self.isChecked() else "control"))
        painter.drawEllipse(middle, radius, radius)
        if self.isChecked():
            side = round(height * 0.5)
            tick = QRect(round(middle.x() - side / 2), round(middle.y() - side / 2), side, side)
            self._look.draw_icon(painter, tick, "s-tick", "accent")
        if self.ring:
            draw_ring(painter, self._look, track, height / 2)
