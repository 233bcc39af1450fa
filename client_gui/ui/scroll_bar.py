"""EFFECT: a thin scroll bar that lives in the window's margin, so that the list never changes its width."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QScrollBar, QStyle, QStyleOptionSlider, QWidget

if TYPE_CHECKING:
    from client_gui.ui.look import Look

WIDTH: Final = 12
THUMB: Final = 6


class ScrollBar(QScrollBar):
    """Always has its place; paints nothing while everything fits."""

    def __init__(self, look: Look, parent: QWidget) -> None:
        super().__init__(Qt.Orientation.Vertical, parent)
        self._look = look
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent, on=False)

    def sizeHint(self) -> QSize:
        """Returns the fixed width."""
        return QSize(WIDTH, 4 * WIDTH)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paints the thumb where the style lets it be dragged."""
        if self.maximum() <= self.minimum():
            return
        option = QStyleOptionSlider()
        self.initStyleOption(option)
        slider = self.style().subControlRect(
            QStyle.ComplexControl.CC_ScrollBar, option, QStyle.SubControl.SC_ScrollBarSlider, self
        )
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        color = self._look.color("control")
        color.setAlphaF(0.9 if self.underMouse() or self.isSliderDown() else 0.5)
        painter.setBrush(color)
        inset = (WIDTH - THUMB) / 2
        painter.drawRoundedRect(QRectF(slider).adjusted(inset, 0, -inset, 0), THUMB / 2, THUMB / 2)
