"""EFFECT: the card in a row that asks before the device is shared: what would happen, and two answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QRect, Qt, Signal
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QBoxLayout, QHBoxLayout, QVBoxLayout, QWidget

from client_gui.state import Asked, Consent, Row
from client_gui.ui.boxes import ChangePicture, VolumeBox
from client_gui.ui.button import Button, Face
from client_gui.ui.consent_words import question_of
from client_gui.ui.focus import RESERVE
from client_gui.ui.label import Label
from client_gui.ui.messages import device_name
from client_gui.ui.paint import paint_ground
from client_gui.ui.problem_words import remedy, sentence

if TYPE_CHECKING:
    from client_gui.ui.look import Look

PADDING: Final = 16
MOST_VOLUMES: Final = 8


class ConsentCard(QWidget):
    """Made for one question; another question about the same device makes another card."""

    agreed = Signal(Asked)
    refused = Signal()

    def __init__(self, look: Look, row: Row, consent: Consent, parent: QWidget) -> None:
        super().__init__(parent)
        self._look = look
        self.about = subject(row, consent)
        question = question_of(row, consent)
        self._icon = question.icon
        self._heading = Label(look, "heading", "text", self, text=question.heading, wrap=True)
        self.setAccessibleName(question.heading)
        self._text = Label(look, "text", "text", self, text=question.text, wrap=True)
        agree, refuse = (Face.OUTLINE, Face.PRIMARY) if question.urge_safe else (Face.PRIMARY, Face.OUTLINE)
        self.agree_button = Button(look, question.agree, agree, self)
        self.refuse_button = Button(look, question.refuse, refuse, self)
        for button, word in ((self.agree_button, question.agree), (self.refuse_button, question.refuse)):
            button.setAccessibleName(f"{word}: {device_name(row)}")
        self.agree_button.clicked.connect(lambda: self.agreed.emit(consent.asked))
        self.refuse_button.clicked.connect(self.refused)
        self._parts = self._make_parts(row, consent)
        self._buttons = QBoxLayout(QBoxLayout.Direction.LeftToRight)
        self._buttons.setSpacing(0)
        self._buttons.setContentsMargins(0, 8 - RESERVE, 0, 0)
        for button in self.buttons():
            self._buttons.addWidget(button, 0, Qt.AlignmentFlag.AlignLeft)
        self._buttons.addStretch(1)
        self._lay_out()

    def _make_parts(self, row: Row, consent: Consent) -> list[QWidget]:
        if consent.asked is Asked.STORAGE:
            parts: list[QWidget] = [VolumeBox(self._look, volume, self) for volume in row.volumes[:MOST_VOLUMES]]
            if row.problem_text:  # it was tried, and something keeps it busy
                words = sentence(row.problem, row.problem_text), remedy(row.problem, row.remedy)
                parts.append(Label(self._look, "text", "danger", self, text=" ".join(filter(None, words)), wrap=True))
            return parts
        if consent.asked is Asked.CHANGE and consent.now:
            return [ChangePicture(self._look, consent, self)]
        return []

    def _lay_out(self) -> None:
        words = QVBoxLayout()
        words.setContentsMargins(RESERVE, 0, RESERVE, 0)
        words.setSpacing(8)
        heading = QHBoxLayout()
        heading.setContentsMargins(self._look.px(16) + 8, 0, 0, 0)
        heading.addWidget(self._heading)
        words.addLayout(heading)
        words.addWidget(self._text)
        for part in self._parts:
            words.addWidget(part)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(PADDING - RESERVE, PADDING, PADDING - RESERVE, PADDING - RESERVE)
        outer.setSpacing(8)
        outer.addLayout(words)
        outer.addLayout(self._buttons)

    def buttons(self) -> tuple[Button, Button]:
        """Returns the buttons in their order: the one that stands out first."""
        safe_first = self.refuse_button.face is Face.PRIMARY
        pair = (self.refuse_button, self.agree_button)
        return pair if safe_first else (pair[1], pair[0])

    def fit(self, width: int) -> None:
        """Puts the buttons below one another where there is no room for both."""
        down, across = QBoxLayout.Direction.TopToBottom, QBoxLayout.Direction.LeftToRight
        needed = sum(button.sizeHint().width() for button in self.buttons())
        self._buttons.setDirection(down if needed > width - 2 * (PADDING - RESERVE) else across)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paints the tinted ground and the drawing before the heading."""
        look, painter = self._look, QPainter(self)
        paint_ground(painter, look, self.rect(), "warn_tint")
        side = look.px(16)
        line = look.metrics("heading").height()
        box = QRect(PADDING, self._heading.y() + (line - side) // 2 + 1, side, side)
        look.draw_icon(painter, box, self._icon, "warn", "warn_tint")


def subject(row: Row, consent: Consent) -> tuple[object, ...]:
    """Returns everything a card shows: another answer calls for another card."""
    return consent, row.volumes, device_name(row), row.kind, row.faces, row.problem_text
