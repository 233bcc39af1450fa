"""EFFECT: the strip in a row that could not be shared: why, when the next try comes, and what one can do."""

from __future__ import annotations

import time

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QBoxLayout, QHBoxLayout, QWidget

from client_gui.state import Row
from client_gui.ui.button import Button, Face
from client_gui.ui.focus import RESERVE
from client_gui.ui.label import Label
from client_gui.ui.look import Look
from client_gui.ui.messages import device_name, retry_sentence, stopped_sentence, tr
from client_gui.ui.paint import paint_ground
from client_gui.ui.problem_words import sentence


class FailedStrip(QWidget):
    """Counts down to the next try by itself; only the first sight of a failure is announced, not each second."""

    retry = Signal()
    stop = Signal()

    def __init__(self, look: Look, parent: QWidget) -> None:
        super().__init__(parent)
        self._look = look
        self._reason = ""
        self._due: float | None = None
        self._narrow: bool | None = None
        self._label = Label(look, "note", "text", self, wrap=True)
        self.retry_button = Button(look, tr("Retry now"), Face.OUTLINE, self, height=32, font="status")
        self.stop_button = Button(look, tr("Stop"), Face.TEXT, self, height=32, font="status")
        self.retry_button.clicked.connect(self.retry)
        self.stop_button.clicked.connect(self.stop)
        buttons = QHBoxLayout()
        buttons.setContentsMargins(0, 0, 0, 0)
        buttons.setSpacing(0)
        buttons.addWidget(self.retry_button)
        buttons.addWidget(self.stop_button)
        self._layout = QBoxLayout(QBoxLayout.Direction.LeftToRight, self)
        self._layout.addWidget(self._label, 1)
        self._layout.addLayout(buttons)
        self._layout.setAlignment(buttons, Qt.AlignmentFlag.AlignLeft)
        self._label.setContentsMargins(RESERVE, 0, 0, 0)
        self.stack(narrow=False)
        self._second = QTimer(self)
        self._second.setInterval(1000)
        self._second.timeout.connect(self._count)

    def show_row(self, row: Row) -> None:
        """Shows why this device failed and when the next try comes."""
        self._reason = f"{sentence(row.problem, row.problem_text)} {stopped_sentence(row.tries)}".strip()
        self._due = None if row.retry_in is None else time.monotonic() + row.retry_in
        self.retry_button.setAccessibleName(tr("Retry {device} now", device=device_name(row)))
        self.stop_button.setAccessibleName(tr("Stop sharing {device}", device=device_name(row)))
        if self._due is None:
            self._second.stop()
        else:
            self._second.start()
        self._count()

    def stack(self, *, narrow: bool) -> None:
        """Puts the buttons below the sentence where there is no room beside it."""
        if narrow == self._narrow:
            return  # a layout that is told anything asks to be looked at again
        self._narrow = narrow
        down, across = QBoxLayout.Direction.TopToBottom, QBoxLayout.Direction.LeftToRight
        self._layout.setDirection(down if narrow else across)
        left = 12 - RESERVE
        if narrow:
            self._layout.setContentsMargins(left, 8, left, 4)
        else:
            self._layout.setContentsMargins(left, 1, 1, 1)
        self._layout.setSpacing(0 if narrow else 8)

    def text(self) -> str:
        """Returns the sentence shown now."""
        return self._label.text()

    def _count(self) -> None:
        if self._due is None:
            self._label.say(self._reason)
        else:
            self._label.say(f"{self._reason} {retry_sentence(self._due - time.monotonic())}".strip())

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paints the tinted ground."""
        paint_ground(QPainter(self), self._look, self.rect(), "danger_tint")
