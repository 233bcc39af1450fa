"""EFFECT: what stands in place of the list when no device is plugged in, or none matches the filter."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QPainter, QPainterPath, QPaintEvent, QPen, QResizeEvent
from PySide6.QtWidgets import QFrame, QScrollArea, QSizePolicy, QVBoxLayout, QWidget

from client_gui.ui.button import Button, Face
from client_gui.ui.label import Label
from client_gui.ui.messages import tr
from client_gui.ui.scroll_bar import ScrollBar

if TYPE_CHECKING:
    from client_gui.ui.look import Look

PICTURE = QSize(200, 120)


class PlugPicture(QWidget):
    """A plug on its way into a socket."""

    def __init__(self, look: Look, parent: QWidget) -> None:
        super().__init__(parent)
        self._look = look
        self.setFixedSize(PICTURE)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paints cable, plug and socket."""
        look, painter = self._look, QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        accent, control = look.color("accent"), look.color("control")
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(look.color("accent_tint"))
        painter.drawEllipse(QPointF(100, 60), 58, 58)
        cable = QPainterPath(QPointF(6, 88))
        cable.cubicTo(QPointF(30, 88), QPointF(22, 60), QPointF(50, 60))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(accent, 4, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap))
        painter.drawPath(cable)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(accent)
        painter.drawRoundedRect(QRectF(48, 44, 40, 32), 7, 7)
        painter.setPen(QPen(accent, 3))
        painter.setBrush(look.color("surface"))
        painter.drawRoundedRect(QRectF(88, 49.5, 19, 21), 2, 2)
        painter.fillRect(QRectF(93, 54, 4, 4), accent)
        painter.fillRect(QRectF(93, 62, 4, 4), accent)
        pen = QPen(control, 2)
        pen.setDashPattern([3, 2])
        painter.setPen(pen)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawRoundedRect(QRectF(122, 36, 58, 48), 8, 8)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(control)
        painter.drawRoundedRect(QRectF(130, 52, 22, 16), 3, 3)


class EmptyState(QScrollArea):
    """Says that nothing is plugged in and what to do; where a large font leaves no room, without the drawing."""

    look_again = Signal()

    def __init__(self, look: Look, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setWidgetResizable(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setVerticalScrollBar(ScrollBar(look, self))
        page = QWidget(self)
        layout = QVBoxLayout(page)
        layout.setSpacing(8)
        center = Qt.AlignmentFlag.AlignHCenter
        title = Label(look, "title", "text", self, text=tr("Nothing plugged in yet"), wrap=True)
        lines = tr("Plug in a USB device and it appears here. You then choose whether the remote desktop gets it.")
        text = Label(look, "text", "text2", self, text=lines.replace(". ", ".\n", 1), wrap=True)
        self.button = Button(look, tr("Look again"), Face.OUTLINE, self, icon="refresh")
        self.button.clicked.connect(self.look_again)
        layout.addStretch(2)
        self._picture = PlugPicture(look, page)
        layout.addWidget(self._picture, 0, center)
        layout.addSpacing(16)
        for label in (title, text):
            label.setAlignment(center)
            _widen(label)
            layout.addWidget(label)
        layout.addSpacing(4)
        layout.addWidget(self.button, 0, center)
        layout.addStretch(3)
        self._page, self._gap = page, layout.spacing()
        self.setWidget(page)

        look.changed.connect(self._make_room)

    def _make_room(self) -> None:
        """Leaves the drawing out where the words need its room."""
        words = self._page.heightForWidth(self.viewport().width())
        if not self._picture.isHidden():
            words -= PICTURE.height() + self._gap
        self._picture.setVisible(words + PICTURE.height() + self._gap <= self.viewport().height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Looks how much room there is now."""
        super().resizeEvent(event)
        self._make_room()


class NoMatch(QWidget):
    """Says that the filter hides every device, and clears it."""

    clear = Signal()

    def __init__(self, look: Look, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 24, 0, 0)
        self._line = Label(look, "text", "text2", self, wrap=True)
        self._line.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        _widen(self._line)
        self.button = Button(look, tr("Clear"), Face.TEXT, self)
        self.button.setAccessibleName(tr("Clear the filter"))
        self.button.clicked.connect(self.clear)
        layout.addWidget(self._line)
        layout.addWidget(self.button, 0, Qt.AlignmentFlag.AlignHCenter)
        layout.addStretch(1)

    def show_text(self, text: str) -> None:
        """Names what was looked for."""
        self._line.say(tr('No device matches "{text}".', text=text))


def _widen(label: Label) -> None:
    """Gives a label all the width there is; that its height depends on it must not be lost."""
    policy = label.sizePolicy()
    policy.setHorizontalPolicy(QSizePolicy.Policy.Expanding)
    label.setSizePolicy(policy)
