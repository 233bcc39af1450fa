"""EFFECT: the rows of the picker as a Qt model that says exactly which rows came, went, moved or changed."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from PySide6.QtCore import QAbstractListModel, QModelIndex, QObject, QPersistentModelIndex, Qt

from client_gui.state import Row
from client_gui.ui.messages import device_name

ROW_ROLE: Final = int(Qt.ItemDataRole.UserRole) + 1
ROOT: Final = QModelIndex()


class DeviceModel(QAbstractListModel):
    """Follows the snapshots; it is never reset, so focus, scroll and open panels survive."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._rows: list[Row] = []

    def rowCount(self, parent: QModelIndex | QPersistentModelIndex = ROOT) -> int:
        """Returns how many devices there are."""
        return 0 if parent.isValid() else len(self._rows)

    def data(self, index: QModelIndex | QPersistentModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        """Returns a device, or its name."""
        if not index.isValid():
            return None
        row = self._rows[index.row()]
        if role == ROW_ROLE:
            return row
        return device_name(row) if role == Qt.ItemDataRole.DisplayRole else None

    def rows(self) -> tuple[Row, ...]:
        """Returns the devices in their order."""
        return tuple(self._rows)

    def row_of(self, key: str) -> Row | None:
        """Finds a device by its key."""
        return next((row for row in self._rows if row.key == key), None)

    def wish(self, key: str, on: bool) -> None:
        """Shows a tick at once; the next snapshot confirms it or takes it back."""
        for place, row in enumerate(self._rows):
            if row.key == key and row.ticked != on:
                self._change(place, replace(row, ticked=on))

    def show_rows(self, rows: tuple[Row, ...]) -> None:
        """Becomes the rows of a snapshot by the fewest changes."""
        wanted = {row.key for row in rows}
        for place in reversed(range(len(self._rows))):
            if self._rows[place].key not in wanted:
                self.beginRemoveRows(ROOT, place, place)
                del self._rows[place]
                self.endRemoveRows()
        place = 0
        while place < len(rows):
            row = rows[place]
            if place < len(self._rows) and self._rows[place].key == row.key:
                self._change(place, row)
                place += 1
            elif (now := self._place_of(row.key, place)) is not None:
                self._move(now, place)
            else:
                place = self._insert(rows, place)

    def _insert(self, rows: tuple[Row, ...], first: int) -> int:
        """Inserts all new devices that stand together as one change; returns the place behind them."""
        known = {row.key for row in self._rows}
        last = first
        while last + 1 < len(rows) and rows[last + 1].key not in known:
            last += 1
        self.beginInsertRows(ROOT, first, last)
        self._rows[first:first] = rows[first : last + 1]
        self.endInsertRows()
        return last + 1

    def _move(self, now: int, place: int) -> None:
        self.beginMoveRows(ROOT, now, now, ROOT, place)
        self._rows.insert(place, self._rows.pop(now))
        self.endMoveRows()

    def _change(self, place: int, row: Row) -> None:
        if row != self._rows[place]:
            self._rows[place] = row
            index = self.index(place)
            self.dataChanged.emit(index, index, [ROW_ROLE])

    def _place_of(self, key: str, start: int) -> int | None:
        return next((place for place in range(start, len(self._rows)) if self._rows[place].key == key), None)
