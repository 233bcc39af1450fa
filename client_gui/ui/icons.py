"""EFFECT: reads the drawings beside this file and paints them in any colour and size."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from PySide6.QtCore import QByteArray, QRectF, Qt
from PySide6.QtGui import QPainter, QPixmap
from PySide6.QtSvg import QSvgRenderer

FOLDER = Path(__file__).parent / "icons"

KIND_ICONS = {
    "camera": "camera",
    "microphone": "headset",
    "memory-stick": "stick",
    "security-key": "key",
    "serial-adapter": "serial",
    "headset": "headset",
    "keyboard": "keyboard",
    "mouse": "mouse",
    "printer": "printer",
    "scanner": "scanner",
    "phone": "phone",
    "network-adapter": "network",
    "bluetooth-adapter": "network",
    "hub": "hub",
}


def icon_of_kind(kind: str) -> str:
    """Names the drawing for a kind of device; what we do not know is a plain plug."""
    return KIND_ICONS.get(kind, "generic")


@lru_cache(maxsize=256)
def picture(name: str, color: str, hole: str, size: int, ratio: float) -> QPixmap:
    """Paints a drawing.

    Args: its name without ".svg"; the colour of the lines as "#RRGGBB"; the colour that shines through white parts;
    the size in logical pixels; device pixels per logical pixel.
    Raises: OSError if the drawing is not there.
    """
    drawing = _source(name).replace("currentColor", color).replace("#ffffff", hole)
    image = QPixmap(round(size * ratio), round(size * ratio))
    image.fill(Qt.GlobalColor.transparent)
    painter = QPainter(image)
    QSvgRenderer(QByteArray(drawing.encode())).render(painter, QRectF(image.rect()))
    painter.end()
    image.setDevicePixelRatio(ratio)
    return image


@lru_cache(maxsize=64)
def _source(name: str) -> str:
    return (FOLDER / f"{name}.svg").read_text(encoding="utf-8")
