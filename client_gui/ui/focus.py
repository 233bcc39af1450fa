"""EFFECT: the focus ring, drawn only for those who came by keyboard."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QPainter, QPen

from client_gui.ui.look import Look

RESERVE: Final = 5  # pixels around a control: 2 gap, 2 ring, 1 for round edges


def by_keyboard(reason: Qt.FocusReason) -> bool:
    """Decides whether a focus that came for this reason is worth a ring."""
    return reason in {
        Qt.FocusReason.TabFocusReason,
        Qt.FocusReason.BacktabFocusReason,
        Qt.FocusReason.ShortcutFocusReason,
    }


def draw_ring(painter: QPainter, look: Look, control: QRectF, radius: float) -> None:
    """Draws the ring around a control, two pixels off."""
    painter.setPen(QPen(look.color("focus"), 2))
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.drawRoundedRect(control.adjusted(-3, -3, 3, 3), radius + 3, radius + 3)
