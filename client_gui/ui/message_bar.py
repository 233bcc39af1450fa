"""EFFECT: a bar with one sentence: above the list for the whole window, in a row for its device."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QRect, Qt, Signal
from PySide6.QtGui import QPainter, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import QBoxLayout, QWidget

from client_gui.ui.button import Button, Face
from client_gui.ui.focus import RESERVE
from client_gui.ui.label import Label
from client_gui.ui.paint import paint_ground

if TYPE_CHECKING:
    from client_gui.ui.look import Look

PADDING = 12
LEAST = 12  # letters (em) of the sentence that have room beside the button


class MessageBar(QWidget):
    """One sentence and one button."""

    answered = Signal()

    def __init__(self, look: Look, text: str, button: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._look = look
        self._arranged: tuple[int, bool] | None = None
        self._label = Label(look, "note", "text", self, text=text, wrap=True)
        self._label.setContentsMargins(0, 6, 0, 6)  # where it takes several lines
        self.button = Button(look, button, Face.TEXT, self, height=30, font="status")
        self.button.clicked.connect(self.answered)
        self._layout = QBoxLayout(QBoxLayout.Direction.LeftToRight, self)
        self._layout.addWidget(self._label, 1)
        self._layout.addWidget(self.button, 0, Qt.AlignmentFlag.AlignRight)
        look.changed.connect(self._dress)
        self._dress()

    def _dress(self) -> None:
        self.setMinimumHeight(self._look.px(40))
        self.fit(self.width())

    def fit(self, width: int) -> None:
        """Puts the button below the sentence where there is no room beside it."""
        left = PADDING + self._look.px(16) + 8
        below = width - left - self.button.sizeHint().width() < LEAST * self._look.em
        if (left, below) == self._arranged:
            return  # a layout that is told anything asks to be looked at again
        self._arranged = left, below
        down, across = QBoxLayout.Direction.TopToBottom, QBoxLayout.Direction.LeftToRight
        self._layout.setDirection(down if below else across)
        self._layout.setSpacing(0 if below else 8)
        self._layout.setContentsMargins(left, 0, PADDING if below else 1, 0)
        self._label.setIndent(RESERVE if below else -1)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Arranges itself for the new width."""
        self.fit(event.size().width())

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paints the tinted ground and the icon."""
        painter = QPainter(self)
        paint_ground(painter, self._look, self.rect(), "info_tint")
        side, middle = self._look.px(16), self._label.geometry().center().y()
        self._look.draw_icon(painter, QRect(PADDING, middle + 1 - side // 2, side, side), "s-info", "text2")
