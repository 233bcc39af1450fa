"""EFFECT: the line at the foot of the window: what the connection is good for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QWidget

from client_gui.ui.label import Label
from client_gui.ui.messages import tr

if TYPE_CHECKING:
    from client_gui.ui.look import Look

MARGIN = 20
BARS = 4


class StatusLine(QWidget):
    """Shows four bars that repeat the word beside them."""

    def __init__(self, look: Look, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._look = look
        self._word = Label(look, "note", "text2", self, text=tr("Not measured yet"))
        look.changed.connect(self._arrange)
        self._arrange()

    def sizeHint(self) -> QSize:
        """Returns the height of the line."""
        return QSize(200, self._look.px(40))

    def resizeEvent(self, _event: object) -> None:
        """Gives the word its room."""
        self._arrange()

    def _arrange(self) -> None:
        self.setFixedHeight(self.sizeHint().height())
        left = MARGIN + self._look.px(16) + 8
        self._word.setGeometry(left, 1, max(0, self.width() - left - MARGIN), self.height() - 1)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paints the line above and the bars, empty while nothing is measured."""
        look, painter = self._look, QPainter(self)
        painter.fillRect(0, 0, self.width(), 1, look.color("line"))
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(look.color("control"))
        painter.setOpacity(0.5)
        side = look.px(14)
        width = side / (BARS * 1.4)
        foot = (self.height() + side) / 2
        for place in range(BARS):
            height = side * (place + 1) / BARS
            box = QRectF(MARGIN + 1 + place * width * 1.4, foot - height, width, height)
            painter.drawRoundedRect(box, 1, 1)
