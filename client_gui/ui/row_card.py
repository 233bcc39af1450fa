"""EFFECT: the white card that holds the rows, one below the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QWidget

from client_gui.ui.messages import tr
from client_gui.ui.paint import paint_card
from client_gui.ui.row_paint import RADIUS

if TYPE_CHECKING:
    from client_gui.ui.device_row import DeviceRow
    from client_gui.ui.look import Look


class RowCard(QWidget):
    """Screen readers see this as the list "USB devices"."""

    def __init__(self, look: Look, parent: QWidget) -> None:
        super().__init__(parent)
        self._look = look
        self._shown: tuple[DeviceRow, ...] = ()
        self.setAccessibleName(tr("USB devices"))
        look.changed.connect(self.update)

    @property
    def shown(self) -> tuple[DeviceRow, ...]:
        """The rows in view of the filter, from top to bottom."""
        return self._shown

    def show_only(self, rows: tuple[DeviceRow, ...], hidden: tuple[DeviceRow, ...]) -> None:
        """Shows some rows in this order and hides others."""
        self._shown = rows
        self._put_in_order(rows)
        for row in hidden:
            row.hide()
        for place, row in enumerate(rows):
            row.set_edges(first=place == 0, last=place == len(rows) - 1)
            row.show()

    def _put_in_order(self, rows: tuple[DeviceRow, ...]) -> None:
        """Makes the children's order, which is the order they are read in, the one in which they are seen."""
        children = [child for child in self.children() if child in rows]
        if children != list(rows):
            for row in rows:
                row.raise_()

    def place(self, width: int) -> int:
        """Places the rows below one another; returns the card's height."""
        top = 1
        for row in self._shown:
            height = row.wanted_height()
            row.setGeometry(1, top, width - 2, height)
            top += height
        height = top + 1 if self._shown else 0
        self.resize(width, height)
        return height

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paints the ground and its outline."""
        paint_card(QPainter(self), self._look, self.rect(), fill="surface", radius=RADIUS)
