"""EFFECT: paints one device's row: tile, texts, status, progress."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QRect, QRectF, Qt
from PySide6.QtGui import QPainter, QPainterPath, QPen

from client_gui.state import STEP_NAMES, DeviceState
from client_gui.ui import motion
from client_gui.ui.device_words import secondary
from client_gui.ui.icons import icon_of_kind
from client_gui.ui.messages import device_name, state_word
from client_gui.ui.paint import paint_text
from client_gui.ui.row_layout import SMALL_GAP

if TYPE_CHECKING:
    from client_gui.state import Row
    from client_gui.ui.look import Look
    from client_gui.ui.row_layout import RowPlaces, RowSizes

RADIUS: Final = 12
TILE_RADIUS: Final = 10
TURNING: Final = frozenset({DeviceState.RELEASING, DeviceState.CONNECTING, DeviceState.RETURNING})
STEPPING: Final = frozenset({DeviceState.RELEASING, DeviceState.CONNECTING})
SHARED: Final = frozenset({DeviceState.ATTACHED, DeviceState.IN_USE})

STATE_ICONS: Final = {
    DeviceState.NOT_SHARED: ("s-notshared", "text2"),
    DeviceState.WAITING: ("s-waiting", "text2"),
    DeviceState.RELEASING: ("s-busy", "accent"),
    DeviceState.CONNECTING: ("s-busy", "accent"),
    DeviceState.ATTACHED: ("s-attached", "accent"),
    DeviceState.IN_USE: ("s-inuse", "accent"),
    DeviceState.RETURNING: ("s-busy", "accent"),
    DeviceState.ABSENT: ("s-absent", "absent"),
    DeviceState.LOCKED: ("s-locked", "text2"),
    DeviceState.BLOCKED: ("s-blocked", "text2"),
    DeviceState.CONFIRM: ("s-confirm", "warn"),
    DeviceState.FAILED: ("s-failed", "danger"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RowFace:
    """How a row stands in the list just now.

    `dirty` is what of it has to be painted: an arc turns many times a second, and all else stays.
    """

    lit: bool
    first: bool
    last: bool
    moving: bool
    height: int
    dirty: QRect


def paint_row(painter: QPainter, look: Look, row: Row, sizes: RowSizes, places: RowPlaces, face: RowFace) -> None:
    """Paints everything of a row that is not a control and has to be painted."""
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    full = QRect(0, 0, places.head.width(), face.height)
    if face.lit:
        painter.fillPath(_outline(full, face), look.color("hover"))
    if not face.first:
        painter.fillRect(places.name.left(), 0, full.width() - places.name.left(), 1, look.color("line"))
    if sizes.tile and face.dirty.intersects(places.tile):
        _paint_tile(painter, look, row, sizes, places.tile)
    absent = row.state is DeviceState.ABSENT
    if face.dirty.intersects(places.name):
        paint_text(painter, look, "name", "absent" if absent else "text", places.name, device_name(row))
    if face.dirty.intersects(places.secondary):
        paint_text(painter, look, "secondary", "absent" if absent else "text2", places.secondary, secondary(row))
    _paint_status_icon(painter, look, row, status_icon_rect(sizes, places), moving=face.moving)
    words = places.status.adjusted(sizes.status_icon + SMALL_GAP, 0, 0, 0)
    if face.dirty.intersects(words):
        paint_text(painter, look, "status", STATE_ICONS[row.state][1], words, state_word(row.state))
    if row.state in STEPPING and face.dirty.intersects(places.bar):
        _paint_progress(painter, look, len(row.steps), places.bar)


def status_icon_rect(sizes: RowSizes, places: RowPlaces) -> QRect:
    """Returns the square of the status icon: what a turning arc has to repaint."""
    side = sizes.status_icon
    return QRect(places.status.left(), places.status.center().y() - side // 2 + 1, side, side)


def _outline(full: QRect, face: RowFace) -> QPainterPath:
    """Follows the card's round corners, so that a lit row does not stick out of it."""
    path = QPainterPath()
    path.setFillRule(Qt.FillRule.WindingFill)
    path.addRoundedRect(QRectF(full), RADIUS - 1, RADIUS - 1)
    if not face.first:
        path.addRect(QRectF(0, 1, full.width(), RADIUS))
    if not face.last:
        path.addRect(QRectF(0, full.height() - RADIUS, full.width(), RADIUS))
    return path.simplified()


def _paint_tile(painter: QPainter, look: Look, row: Row, sizes: RowSizes, tile: QRect) -> None:
    ink = "text"
    if row.state is DeviceState.ABSENT:
        ink = "absent"
        pen = QPen(look.color("control"), 1)
        pen.setDashPattern([4, 3])
        painter.setPen(pen)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawRoundedRect(QRectF(tile).adjusted(0.5, 0.5, -0.5, -0.5), TILE_RADIUS, TILE_RADIUS)
    else:
        shared = row.state in SHARED
        ink = "accent" if shared else "text"
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(look.color("accent_tint" if shared else "tile"))
        painter.drawRoundedRect(tile, TILE_RADIUS, TILE_RADIUS)
    inset = (sizes.tile - sizes.icon) // 2
    look.draw_icon(painter, tile.adjusted(inset, inset, -inset, -inset), icon_of_kind(str(row.kind)), ink)


def _paint_status_icon(painter: QPainter, look: Look, row: Row, icon: QRect, *, moving: bool) -> None:
    name, ink = STATE_ICONS[row.state]
    if name != "s-busy":
        look.draw_icon(painter, icon, name, ink)
    elif moving:
        paint_arc(painter, look, QRectF(icon))
    else:
        look.draw_icon(painter, icon, "s-waiting", ink)


def paint_arc(painter: QPainter, look: Look, box: QRectF) -> None:
    """Paints the turning arc as it stands now."""
    inset = box.width() / 8
    ring = box.adjusted(inset, inset, -inset, -inset)
    color = look.color("accent")
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.setOpacity(0.28)
    painter.setPen(QPen(color, box.width() / 10))
    painter.drawEllipse(ring)
    painter.setOpacity(1.0)
    painter.setPen(QPen(color, box.width() / 10, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap))
    painter.drawArc(ring, round((90 - motion.turn()) * 16), -90 * 16)


def _paint_progress(painter: QPainter, look: Look, done: int, bar: QRect) -> None:
    """Paints the steps of a share: those taken full, the one under way half."""
    parts = len(STEP_NAMES)
    width = (bar.width() - 3 * (parts - 1)) / parts
    painter.setPen(Qt.PenStyle.NoPen)
    for part in range(parts):
        box = QRectF(bar.left() + part * (width + 3), bar.top(), width, bar.height())
        painter.setBrush(look.color("line"))
        painter.drawRoundedRect(box, 1.5, 1.5)
        share = 1.0 if part < done else 0.5 if part == done else 0.0
        if share > 0:
            painter.setBrush(look.color("accent"))
            box.setWidth(width * share)
            painter.drawRoundedRect(box, 1.5, 1.5)
