"""EFFECT: the things that most painters need: a card with an outline, a tinted ground, one line of text that fits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QRect, QRectF, Qt
from PySide6.QtGui import QPainter, QPen

if TYPE_CHECKING:
    from client_gui.ui.look import Look


def paint_card(painter: QPainter, look: Look, box: QRect, *, fill: str, radius: float) -> None:
    """Paints a ground with round corners and the outline of the lines' colour."""
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(QPen(look.color("line"), 1))
    painter.setBrush(look.color(fill))
    painter.drawRoundedRect(QRectF(box).adjusted(0.5, 0.5, -0.5, -0.5), radius, radius)


def paint_ground(painter: QPainter, look: Look, box: QRect, fill: str) -> None:
    """Paints the ground of a card within a row; where more contrast is wished it has no tint, but an outline."""
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    plain = look.code(fill) == look.code("surface")
    painter.setPen(QPen(look.color("line"), 1) if plain else Qt.PenStyle.NoPen)
    painter.setBrush(look.color(fill))
    inset = 0.5 if plain else 0.0
    painter.drawRoundedRect(QRectF(box).adjusted(inset, inset, -inset, -inset), 8, 8)


def paint_text(painter: QPainter, look: Look, font: str, ink: str, rect: QRect, text: str) -> None:
    """Paints one line; what does not fit is cut with an ellipsis."""
    painter.setFont(look.font(font))
    painter.setPen(look.color(ink))
    shown = look.metrics(font).elidedText(text, Qt.TextElideMode.ElideRight, rect.width())
    painter.drawText(rect, Qt.AlignmentFlag.AlignVCenter | Qt.TextFlag.TextSingleLine, shown)
