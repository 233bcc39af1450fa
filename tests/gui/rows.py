"""EFFECT: the row of a device in an open window."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from client_gui.ui.device_row import DeviceRow
    from client_gui.ui.picker import Picker


def row_of(picker: Picker, key: str) -> DeviceRow:
    """Finds the one row that shows a device."""
    (row,) = [each for each in picker.list.card.shown if each.row.key == key]
    return row
