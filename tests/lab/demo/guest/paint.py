#!/usr/bin/python3
"""EFFECT: paints the demo's timeline as PNG.    paint.py TIMELINE.json FILE

TIMELINE.json: {"title", "rows": [{"ok", "device", "title", "evidence", "at": seconds}], "footer": [line, ...]}
"""

import json
import sys
from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QColor, QFont, QFontDatabase, QFontMetrics, QGuiApplication, QImage, QPainter

WIDTH, MARGIN, ROW = 1180, 32, 40
TEXT, GREY, GOOD, BAD, LINE = "#182023", "#566268", "#0B6B63", "#B3261E", "#C9D4D6"
SCALE = 1.5


@dataclass(frozen=True)
class Style:
    """How a text looks."""

    size: int
    colour: str
    weight: QFont.Weight = QFont.Weight.Normal
    align: Qt.AlignmentFlag = Qt.AlignmentFlag.AlignLeft
    fixed: bool = False  # every letter as wide as another: a table


def write(painter: QPainter, box: QRectF, text: str, style: Style) -> None:
    font = QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont) if style.fixed else QFont(painter.font())
    font.setPixelSize(style.size)
    font.setWeight(style.weight)
    painter.setFont(font)
    painter.setPen(QColor(style.colour))
    shown = QFontMetrics(font).elidedText(text, Qt.TextElideMode.ElideRight, int(box.width()))
    painter.drawText(box, int(style.align | Qt.AlignmentFlag.AlignVCenter), shown)


def paint(timeline: dict[str, Any], target: str) -> bool:
    rows, footer = timeline["rows"], timeline["footer"]
    foot = 84 + ROW * len(rows) + 20
    height = foot + 24 * len(footer) + MARGIN
    image = QImage(int(WIDTH * SCALE), int(height * SCALE), QImage.Format.Format_RGB32)
    image.setDevicePixelRatio(SCALE)
    image.fill(QColor("#FFFFFF"))
    painter = QPainter(image)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    heading = Style(size=22, colour=TEXT, weight=QFont.Weight.DemiBold)
    write(painter, QRectF(MARGIN, 18, WIDTH - 2 * MARGIN, ROW), timeline["title"], heading)
    painter.setPen(QColor(LINE))
    painter.drawLine(116, 84 + ROW // 2, 116, 84 + ROW * len(rows) - ROW // 2)
    for index, row in enumerate(rows):
        top, colour = 84 + ROW * index, GOOD if row["ok"] else BAD
        painter.setBrush(QColor(colour))
        painter.setPen(Qt.PenStyle.NoPen)
        painter.drawEllipse(QRectF(110, top + ROW / 2 - 6, 12, 12))
        write(
            painter,
            QRectF(MARGIN, top, 66, ROW),
            f"{row['at']:.2f} s",
            Style(size=14, colour=GREY, align=Qt.AlignmentFlag.AlignRight),
        )
        write(painter, QRectF(140, top, 96, ROW), row["device"], Style(size=14, colour=GREY))
        write(
            painter,
            QRectF(240, top, 330, ROW),
            row["title"],
            Style(size=15, colour=colour, weight=QFont.Weight.DemiBold),
        )
        write(painter, QRectF(580, top, WIDTH - 580 - MARGIN, ROW), row["evidence"], Style(size=14, colour=TEXT))
    for index, line in enumerate(footer):
        write(
            painter,
            QRectF(MARGIN, foot + 24 * index, WIDTH - 2 * MARGIN, ROW),
            line,
            Style(size=13, colour=GREY, fixed=True),
        )
    painter.end()
    return image.save(target)


if __name__ == "__main__":
    application = QGuiApplication(["paint", "-platform", "offscreen"])
    with open(sys.argv[1], encoding="utf-8") as stream:
        sys.exit(not paint(json.load(stream), sys.argv[2]))
