"""EFFECT: the controls of a device's settings: a row of words of which one is chosen, a framed line of text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QRectF, QSize, Qt, Signal
from PySide6.QtGui import QKeyEvent, QPainter, QPaintEvent, QPalette, QPen
from PySide6.QtWidgets import QBoxLayout, QLineEdit, QRadioButton, QSizePolicy, QWidget

from client_gui.ui.control import Control
from client_gui.ui.focus import RESERVE, draw_ring
from client_gui.ui.messages import tr

if TYPE_CHECKING:
    from collections.abc import Sequence

    from client_gui.ui.look import Look

RADIUS: Final = 8
HEIGHT: Final = 32
PADDING: Final = 12


class Segment(Control, QRadioButton):
    """One word of a choice: a radio button to screen readers and the keyboard."""

    def __init__(self, look: Look, text: str, parent: QWidget) -> None:
        super().__init__(text, parent)
        self._look = look
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self.setAttribute(Qt.WidgetAttribute.WA_Hover)
        look.changed.connect(self._dress)
        self._dress()

    def _dress(self) -> None:
        self.setFont(self._look.font("status"))
        self.updateGeometry()

    def sizeHint(self) -> QSize:
        """Returns the word, its padding and the room of the ring."""
        width = self._look.metrics("status").horizontalAdvance(self.text()) + self._look.px(14) + 6
        return QSize(width + 2 * PADDING + 2 * RESERVE, self._look.px(HEIGHT) + 2 * RESERVE)

    def minimumSizeHint(self) -> QSize:
        """Returns the same: a word is never cut."""
        return self.sizeHint()

    def hitButton(self, position: object) -> bool:
        """Counts a click anywhere in the rectangle."""
        return True

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paints ground, circle and word; the chosen one has a full circle and the accent."""
        look, painter = self._look, QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        chosen = self.isChecked()
        box = QRectF(self.rect().adjusted(RESERVE, RESERVE, -RESERVE, -RESERVE))
        painter.setPen(QPen(look.color("accent" if chosen else "control"), 1))
        painter.setBrush(look.color("accent_tint" if chosen else "surface"))
        painter.drawRoundedRect(box.adjusted(0.5, 0.5, -0.5, -0.5), RADIUS - 0.5, RADIUS - 0.5)
        side = look.px(14)
        icon = QRectF(box.left() + PADDING, box.center().y() - side / 2, side, side).toRect()
        ground = "accent_tint" if chosen else "surface"
        look.draw_icon(painter, icon, "s-inuse" if chosen else "s-notshared", "accent" if chosen else "text2", ground)
        painter.setFont(self.font())
        painter.setPen(look.color("accent" if chosen else "text"))
        text = box.adjusted(PADDING + side + 6, 0, 0, 0)
        painter.drawText(text, Qt.AlignmentFlag.AlignVCenter | Qt.TextFlag.TextSingleLine, self.text())
        if self.ring:
            draw_ring(painter, look, box, RADIUS)


class Choice(QWidget):
    """Several words, one of them chosen."""

    chosen = Signal(str)

    def __init__(self, look: Look, name: str, words: Sequence[tuple[str, str]], parent: QWidget) -> None:
        """Takes the choice's name, and for each answer its value and its word."""
        super().__init__(parent)
        self.setAccessibleName(name)
        self._layout = QBoxLayout(QBoxLayout.Direction.LeftToRight, self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setSpacing(0)
        self.segments: dict[str, Segment] = {}
        for value, word in words:
            segment = self.segments[value] = Segment(look, word, self)
            segment.clicked.connect(lambda _on, value=value: self.chosen.emit(value))
            self._layout.addWidget(segment, 0, Qt.AlignmentFlag.AlignLeft)
        self._layout.addStretch(1)

    def show_value(self, value: str) -> None:
        """Shows which answer holds."""
        if value in self.segments:
            self.segments[value].setChecked(True)

    def wanted_width(self) -> int:
        """Returns how wide all words are beside one another."""
        return sum(segment.sizeHint().width() for segment in self.segments.values())

    def stack(self, *, narrow: bool) -> None:
        """Puts the words below one another where there is no room beside."""
        down, across = QBoxLayout.Direction.TopToBottom, QBoxLayout.Direction.LeftToRight
        self._layout.setDirection(down if narrow else across)


class NameField(QLineEdit):
    """A line of text in a frame; what was typed is told when Enter is pressed or the focus leaves."""

    named = Signal(str)

    def __init__(self, look: Look, parent: QWidget) -> None:
        super().__init__(parent)
        self._look = look
        self._name = ""
        self.setFrame(False)
        self.setMaxLength(60)
        self.setTextMargins(PADDING - 4, 0, PADDING - 4, 0)
        self.editingFinished.connect(self._tell)
        look.changed.connect(self._dress)
        self._dress()

    def _dress(self) -> None:
        self.setFont(self._look.font("note"))
        palette = self._look.palette()
        palette.setColor(QPalette.ColorRole.Base, Qt.GlobalColor.transparent)
        self.setPalette(palette)
        self.setFixedHeight(self._look.px(HEIGHT))

    def show_name(self, name: str) -> None:
        """Shows the name that holds, unless another is being typed."""
        self._name = name
        if not self.hasFocus() or not self.isModified():
            self.setText(name)

    def _tell(self) -> None:
        if self.isModified():
            self.setModified(False)
            self.named.emit(self.text().strip())

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Keeps Enter to itself, in the list it would close the details; Esc takes back what was typed."""
        if event.key() == Qt.Key.Key_Escape and self.isModified():
            self.setText(self._name)
            return
        super().keyPressEvent(event)
        if event.key() in {Qt.Key.Key_Return, Qt.Key.Key_Enter}:
            event.accept()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paints the frame below the text."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        focus = self.hasFocus()
        width = 2.0 if focus else 1.0
        painter.setPen(QPen(self._look.color("focus" if focus else "control"), width))
        painter.setBrush(self._look.color("surface"))
        inset = width / 2
        painter.drawRoundedRect(QRectF(self.rect()).adjusted(inset, inset, -inset, -inset), RADIUS, RADIUS)
        painter.end()
        super().paintEvent(event)


def mode_words() -> tuple[tuple[str, str], ...]:
    """Returns the answers to when a device is shared, and their words."""
    return ("automatic", tr("At once")), ("ask", tr("Ask me")), ("manual", tr("By hand"))
