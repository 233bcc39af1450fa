"""EFFECT: the card for what is missing on this computer: each thing with the command that repairs it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QRect, Qt, Signal
from PySide6.QtGui import QGuiApplication, QPainter, QPaintEvent
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from client_gui.state import Trouble
from client_gui.ui import problem_words
from client_gui.ui.button import Button, Face, say_copied
from client_gui.ui.focus import RESERVE
from client_gui.ui.label import Label
from client_gui.ui.messages import tr
from client_gui.ui.paint import paint_card
from client_gui.ui.trouble_words import explanation_of, is_missing, title_of

if TYPE_CHECKING:
    from client_gui.ui.look import Look

PADDING: Final = 16


class CommandBox(QWidget):
    """A command in the fixed font and a button that copies it."""

    def __init__(self, look: Look, command: str, parent: QWidget) -> None:
        super().__init__(parent)
        self._look = look
        self._command = command
        label = Label(look, "fixed", "text", self, text=command, wrap=True)
        label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.button = Button(look, tr("Copy"), Face.TEXT, self, icon="copy", height=30, font="status")
        self.button.setAccessibleName(tr("Copy {command}", command=command))
        self.button.clicked.connect(self._copy)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(12, 1, 1, 1)
        layout.setSpacing(8)
        layout.addWidget(label, 1)
        layout.addWidget(self.button)

    def _copy(self) -> None:
        QGuiApplication.clipboard().setText(self._command)
        say_copied(self.button)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paints the box."""
        paint_card(QPainter(self), self._look, self.rect(), fill="canvas", radius=8)


class TroubleItem(QWidget):
    """One thing that is missing: what, why it matters, what to type."""

    def __init__(self, look: Look, trouble: Trouble, parent: QWidget) -> None:
        super().__init__(parent)
        self._look = look
        self.copy_button: Button | None = None
        before, command, after = problem_words.split_remedy(problem_words.remedy(trouble.code, trouble.remedy))
        self._title = Label(look, "name", "text", self, text=title_of(trouble), wrap=True)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(look.px(16) + 12, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self._title)
        if explanation := explanation_of(trouble):
            layout.addWidget(Label(look, "note", "text2", self, text=explanation, wrap=True))
        if before:
            layout.addWidget(Label(look, "note", "text2", self, text=before, wrap=True))
        if command:
            box = CommandBox(look, command, self)
            self.copy_button = box.button
            layout.addSpacing(2)
            layout.addWidget(box)
        if after:
            layout.addWidget(Label(look, "note", "text2", self, text=after, wrap=True))

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paints the triangle before the first line."""
        side = self._look.px(16)
        line = self._look.metrics("name").height()
        self._look.draw_icon(QPainter(self), QRect(0, (line - side) // 2, side, side), "s-failed", "warn")


class ProblemCard(QWidget):
    """Names everything that is missing; devices stay listed below it."""

    check_again = Signal()
    copy_report = Signal()

    def __init__(self, look: Look, troubles: tuple[Trouble, ...], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._look = look
        title = {
            1: tr("One thing is missing on this computer"),
            2: tr("Two things are missing on this computer"),
        }.get(len(troubles), tr("{n} things are missing on this computer", n=len(troubles)))
        if not all(is_missing(trouble) for trouble in troubles):
            title = tr("Something has to be put right on this computer")
        self.setAccessibleName(title)
        lead = _lead(troubles)
        layout = QVBoxLayout()
        layout.setContentsMargins(RESERVE, 0, RESERVE, 0)
        layout.setSpacing(6)
        layout.addWidget(Label(look, "heading", "text", self, text=title, wrap=True))
        self._lead = Label(look, "text", "text2", self, text=lead, wrap=True)
        layout.addWidget(self._lead)
        layout.addSpacing(24)
        self.items = [TroubleItem(look, trouble, self) for trouble in troubles]
        for item in self.items:
            layout.addWidget(item)
            layout.addSpacing(4)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(PADDING - RESERVE, PADDING, PADDING - RESERVE, PADDING - RESERVE)
        outer.setSpacing(8)
        outer.addLayout(layout)
        self.check_button = Button(look, tr("Check again"), Face.PRIMARY, self, icon="refresh")
        self.check_button.clicked.connect(self.check_again)
        self.report_button = Button(look, tr("Copy report"), Face.TEXT, self)
        self.report_button.clicked.connect(self.copy_report)
        self.report_button.clicked.connect(lambda: say_copied(self.report_button))
        buttons = QHBoxLayout()
        buttons.setSpacing(0)
        buttons.addWidget(self.check_button)
        buttons.addWidget(self.report_button)
        buttons.addStretch(1)
        outer.addLayout(buttons)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paints the card and the line below its lead."""
        painter = QPainter(self)
        paint_card(painter, self._look, self.rect(), fill="surface", radius=12)
        line = self._lead.geometry().bottom() + 16
        painter.fillRect(PADDING, line, self.width() - 2 * PADDING, 1, self._look.color("line"))


def _lead(troubles: tuple[Trouble, ...]) -> str:
    if any(problem_words.split_remedy(trouble.remedy)[1] for trouble in troubles):
        return tr(
            "Until they are there, devices are listed but cannot be shared. "
            "Run each command in a terminal, then check again."
        )
    return tr("Until this is put right, devices are listed but cannot be shared.")
