"""EFFECT: a bar above the list for what concerns the whole window."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QRect, Signal
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QHBoxLayout, QWidget

from client_gui.ui.button import Button, Face
from client_gui.ui.label import Label
from client_gui.ui.paint import paint_ground

if TYPE_CHECKING:
    from client_gui.ui.look import Look

PADDING = 12


class MessageBar(QWidget):
    """One sentence and one button."""

    answered = Signal()

    def __init__(self, look: Look, text: str, button: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._look = look
        self._label = Label(look, "note", "text", self, text=text, wrap=True)
        self._label.setContentsMargins(0, 6, 0, 6)  # where it takes several lines
        self.button = Button(look, button, Face.TEXT, self, height=30, font="status")
        self.button.clicked.connect(self.answered)
        self._layout = QHBoxLayout(self)
        self._layout.setSpacing(8)
        self._layout.addWidget(self._label, 1)
        self._layout.addWidget(self.button)
        look.changed.connect(self._dress)
        self._dress()

    def _dress(self) -> None:
        self._layout.setContentsMargins(PADDING + self._look.px(16) + 8, 0, 1, 0)
        self.setMinimumHeight(self._look.px(40))

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paints the tinted ground and the icon."""
        painter = QPainter(self)
        paint_ground(painter, self._look, self.rect(), "info_tint")
        side = self._look.px(16)
        self._look.draw_icon(painter, QRect(PADDING, (self.height() - side) // 2, side, side), "s-info", "text2")
