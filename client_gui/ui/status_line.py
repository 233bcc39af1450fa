"""EFFECT: the line at the foot of the window: what the connection is good for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QWidget

from client_gui.ui import messages
from client_gui.ui.label import Label
from client_gui.ui.messages import tr

if TYPE_CHECKING:
    from client_gui.state import Fitness
    from client_gui.ui.look import Look

MARGIN: Final = 20
BARS: Final = 4


class StatusLine(QWidget):
    """Shows four bars that repeat the word beside them, and the numbers behind it."""

    def __init__(self, look: Look, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._look = look
        self._bars = 0
        self._said = tr("Not measured yet")
        self._word = Label(look, "note", "text2", self, text=self._said)
        self._numbers = Label(look, "note", "text2", self)
        self._numbers.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        look.changed.connect(self._arrange)
        self._arrange()

    def show_fitness(self, fitness: Fitness | None) -> None:
        """Shows how good the way to the session is; None while it is not measured."""
        self._bars = 0 if fitness is None else messages.fitness_bars(fitness.round_trip)
        self._said = tr("Not measured yet") if fitness is None else messages.fitness_word(fitness.round_trip)
        self._numbers.say("" if fitness is None else messages.fitness_numbers(fitness))
        self._arrange()
        self.update()

    def sizeHint(self) -> QSize:
        """Returns the height of the line."""
        return QSize(200, self._look.px(40))

    def resizeEvent(self, _event: object) -> None:
        """Gives the word its room."""
        self._arrange()

    def _arrange(self) -> None:
        self.setFixedHeight(self.sizeHint().height())
        left = MARGIN + self._look.px(16) + 8
        metrics = self._look.metrics("note")
        numbers = metrics.horizontalAdvance(self._numbers.text()) + 1
        room = max(0, self.width() - left - MARGIN)
        # In a narrow window the word is worth more than the numbers.
        both = metrics.horizontalAdvance(self._said) + 16 + numbers <= room
        self._numbers.setVisible(both and bool(self._numbers.text()))
        width = room - numbers - 16 if self._numbers.isVisibleTo(self) else room
        self._word.setGeometry(left, 1, width, self.height() - 1)
        self._word.setText(metrics.elidedText(self._said, Qt.TextElideMode.ElideRight, width))
        self._word.setAccessibleName(self._said)
        self._numbers.setGeometry(self.width() - MARGIN - numbers, 1, numbers, self.height() - 1)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paints the line above and the bars, empty while nothing is measured."""
        look, painter = self._look, QPainter(self)
        painter.fillRect(0, 0, self.width(), 1, look.color("line"))
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        side = look.px(14)
        width = side / (BARS * 1.4)
        foot = (self.height() + side) / 2
        for place in range(BARS):
            full = place < self._bars
            painter.setBrush(look.color("accent" if full else "control"))
            painter.setOpacity(1.0 if full else 0.5)
            height = side * (place + 1) / BARS
            box = QRectF(MARGIN + 1 + place * width * 1.4, foot - height, width, height)
            painter.drawRoundedRect(box, 1, 1)
