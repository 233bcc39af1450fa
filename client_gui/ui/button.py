"""EFFECT: the buttons of the window: filled, outlined, or text alone."""

from __future__ import annotations

from enum import Enum

from PySide6.QtCore import QEvent, QPointF, QRect, QRectF, QSize, Qt, QTimer
from PySide6.QtGui import QEnterEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QPushButton, QSizePolicy, QWidget

from client_gui.ui.control import Control
from client_gui.ui.focus import RESERVE, draw_ring
from client_gui.ui.look import Look
from client_gui.ui.messages import tooltip, tr

RADIUS = 8
ICON_GAP = 8
LARGE = 36
COPIED_FOR = 1500  # milliseconds


class Face(Enum):
    """How much a button stands out: its fill, its outline, its text (tokens of the look)."""

    PRIMARY = ("accent", "accent", "on_accent")
    OUTLINE = ("surface", "control", "text")
    TEXT = ("", "", "accent")


class Button(Control, QPushButton):
    """A button that paints itself from the tokens; its focus ring lies inside its own rectangle."""

    def __init__(
        self,
        look: Look,
        text: str,
        face: Face,
        parent: QWidget | None = None,
        *,
        icon: str = "",
        height: int = 36,
        font: str = "name",
    ) -> None:
        """Takes the height drawn at the design's font size."""
        super().__init__(text, parent)
        self._look = look
        self.face = face
        self._icon = icon
        self._height = height
        self._font = font
        self.setAutoDefault(True)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAttribute(Qt.WidgetAttribute.WA_Hover)
        look.changed.connect(self._dress)
        self._dress()

    def _dress(self) -> None:
        self.setFont(self._look.font(self._font))
        self.updateGeometry()
        self.update()

    def sizeHint(self) -> QSize:
        """Returns text, icon and padding, and the room of the ring."""
        width = self.fontMetrics().horizontalAdvance(self.text()) + 2 * self._padding()
        if self._icon:
            width += self._look.px(16) + ICON_GAP
        return QSize(width + 2 * RESERVE, self._look.px(self._height) + 2 * RESERVE)

    def minimumSizeHint(self) -> QSize:
        """Returns the same: a button is never cut."""
        return self.sizeHint()

    def drawn(self) -> QRect:
        """Returns the part that is painted, without the room for the ring."""
        return self.rect().adjusted(RESERVE, RESERVE, -RESERVE, -RESERVE)

    def _padding(self) -> int:
        return 16 if self._height >= LARGE else 12

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paints fill, outline, icon, text and ring."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if not self.isEnabled():
            painter.setOpacity(0.5)
        fill, outline, ink = self.face.value
        box = QRectF(self.drawn())
        self._paint_face(painter, box, fill, outline)
        content = self.drawn().adjusted(self._padding(), 0, -self._padding(), 0)
        if self._icon:
            side = self._look.px(16)
            icon = QRect(content.left(), content.center().y() - side // 2 + 1, side, side)
            self._look.draw_icon(painter, icon, self._icon, ink)
            content.setLeft(icon.right() + 1 + ICON_GAP)
        painter.setPen(self._look.color(ink))
        painter.setFont(self.font())
        align = Qt.AlignmentFlag.AlignVCenter
        align |= Qt.AlignmentFlag.AlignLeft if self._icon else Qt.AlignmentFlag.AlignHCenter
        # A device may call itself "R&D": no mnemonic here.
        painter.drawText(content, align | Qt.TextFlag.TextSingleLine, self.text())
        if self.ring:
            draw_ring(painter, self._look, box, RADIUS)

    def _paint_face(self, painter: QPainter, box: QRectF, fill: str, outline: str) -> None:
        painter.setPen(QPen(self._look.color(outline), 1) if outline else Qt.PenStyle.NoPen)
        if fill:
            painter.setBrush(self._look.color(fill))
            painter.drawRoundedRect(box.adjusted(0.5, 0.5, -0.5, -0.5), RADIUS - 0.5, RADIUS - 0.5)
        if self.isDown() or (self.underMouse() and self.isEnabled()):
            shade = self._look.color("on_accent" if self.face is Face.PRIMARY else "text")
            shade.setAlphaF(0.14 if self.isDown() else 0.06)
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(shade)
            painter.drawRoundedRect(box, RADIUS, RADIUS)


class IconButton(Button):
    """A button that is one drawing; what it does is its accessible name and tool tip."""

    def __init__(self, look: Look, icon: str, name: str, parent: QWidget | None = None, *, size: QSize) -> None:
        """Takes the size to hit at the design's font size."""
        self._size = size
        super().__init__(look, "", Face.TEXT, parent, icon=icon)
        self.call(name)

    def call(self, name: str) -> None:
        """Names what the button does."""
        self.setAccessibleName(name)
        self.setToolTip(tooltip(name) if name else "")

    def draw(self, icon: str) -> None:
        """Shows another drawing."""
        if icon != self._icon:
            self._icon = icon
            self.update()

    def sizeHint(self) -> QSize:
        """Returns the size to hit."""
        return QSize(self._look.px(self._size.width()), self._look.px(self._size.height()))

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paints the drawing in the middle, and a ring inside the rectangle."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if not self.isEnabled():
            painter.setOpacity(0.5)
        middle = QPointF(self.rect().center())
        if self.underMouse() or self.isDown():
            shade = self._look.color("text")
            shade.setAlphaF(0.14 if self.isDown() else 0.06)
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(shade)
            half = min(self.width(), self.height()) / 2
            painter.drawRoundedRect(QRectF(middle.x() - half + 1, middle.y() - half + 1, 2 * half, 2 * half), 6, 6)
        side = self._look.px(16)
        icon = QRect(round(middle.x() - side / 2 + 0.5), round(middle.y() - side / 2 + 0.5), side, side)
        self._look.draw_icon(painter, icon, self._icon, "text2")
        if self.ring:
            draw_ring(painter, self._look, QRectF(self.rect()).adjusted(4, 8, -4, -8), 4)

    def event(self, event: QEvent) -> bool:
        """Repaints as the pointer comes and goes."""
        if isinstance(event, QEnterEvent) or event.type() == QEvent.Type.Leave:
            self.update()
        return super().event(event)


def say_copied(button: QPushButton) -> None:
    """Lets a button say for a moment that it has copied."""
    word = button.text()
    if word != tr("Copied"):
        button.setText(tr("Copied"))
        QTimer.singleShot(COPIED_FOR, button, lambda: button.setText(word))
