"""EFFECT: (none but that it asks Qt for widths) where the parts of one device's row stand, for any width and font."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QRect

from client_gui.ui.messages import all_state_words, tr

if TYPE_CHECKING:
    from client_gui.ui.look import Look

GAP: Final = 12
SMALL_GAP: Final = 8
NARROW_EMS: Final = 36
TINY_GAP: Final = 10
ACTION_PADDING: Final = 12  # beside the word of a button that stands in the switch's place
MARGINS: Final = 2 * 16 + 2  # beside the rows of a window: its margins and the card's outline
TINY_EMS: Final = 16  # a window so narrow has no room for drawings
RULE: Final = 1  # the separating line above a row
BAR: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class RowSizes:
    """What all rows of one window have in common."""

    narrow: bool
    below: bool  # the status below all else, as wide as the row: it has no room beside the switch
    tile: int
    icon: int
    name: int
    secondary: int
    status: int
    status_width: int
    status_icon: int
    switch_width: int
    switch_height: int
    chevron_width: int
    head: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RowPlaces:
    """Where the parts of one row stand, in the row's own pixels."""

    head: QRect
    tile: QRect
    name: QRect
    secondary: QRect
    status: QRect
    bar: QRect
    switch: QRect
    chevron: QRect
    body_left: int


def row_sizes(look: Look, window_width: int) -> RowSizes:
    """Measures what all rows share; in a narrow window the status goes below the text."""
    narrow = window_width < NARROW_EMS * look.em
    words = look.metrics("status")
    name, secondary, status = (look.metrics(role).height() for role in ("name", "secondary", "status"))
    status_icon = look.px(16)
    tile = min(48, look.px(40)) if narrow else look.px(40)
    if window_width < TINY_EMS * look.em:
        tile = 0
    text = name + 2 + secondary
    head = max(look.px(56), tile + 2 * SMALL_GAP, text + 2 * SMALL_GAP)
    status_width = status_icon + SMALL_GAP + max(words.horizontalAdvance(word) for word in all_state_words()) + 2
    action = 2 * ACTION_PADDING + max(
        look.metrics("name").horizontalAdvance(tr(word)) for word in ("Forget", "Unlock…")
    )
    controls = max(look.px(56), action) + SMALL_GAP + look.px(24) + 4
    text_left = GAP + tile + (GAP if tile else 0)
    below = narrow and (not tile or status_width > window_width - MARGINS - text_left - SMALL_GAP - controls)
    if narrow:
        head = max(tile, text + (TINY_GAP if below else 4) + max(status, status_icon)) + 2 * GAP
    return RowSizes(
        narrow=narrow,
        below=below,
        tile=tile,
        icon=max(0, min(tile - 16, look.px(24))),
        name=name,
        secondary=secondary,
        status=max(status, status_icon),
        status_width=status_width,
        status_icon=status_icon,
        switch_width=look.px(56),
        switch_height=look.px(44),
        chevron_width=look.px(24),
        head=head,
    )


def place_row(sizes: RowSizes, *, width: int, rule: bool, busy: bool, action_width: int) -> RowPlaces:
    """Places the parts of a row.

    Args: what the rows share; the row's width; whether a line stands above; whether a progress bar stands below the
    status; the width of what stands in the switch's place.
    """
    top = RULE if rule else 0
    chevron = QRect(width - 4 - sizes.chevron_width, 0, sizes.chevron_width, sizes.switch_height)
    switch = QRect(chevron.left() - SMALL_GAP - sizes.switch_width, 0, sizes.switch_width, sizes.switch_height)
    text_left = GAP + sizes.tile + (GAP if sizes.tile else 0)
    text_height = sizes.name + 2 + sizes.secondary
    middle = top + sizes.head // 2
    status_left = switch.right() + 1 - max(action_width, sizes.switch_width)
    if sizes.narrow:
        text_top = top + GAP
        text_width = status_left - SMALL_GAP - text_left
        status = QRect(text_left, text_top + text_height + 4, text_width, sizes.status)
        tile_top = top + GAP
        if sizes.below:
            status = QRect(text_left, text_top + text_height + TINY_GAP, width - text_left - GAP, sizes.status)
            middle = text_top + text_height // 2
    else:
        text_top = middle - text_height // 2
        column = switch.left() - SMALL_GAP - sizes.status_width
        text_width = column - SMALL_GAP - text_left
        room = min(sizes.status_width, status_left - SMALL_GAP - column)
        status = QRect(column, middle - sizes.status // 2 - (5 if busy else 0), room, sizes.status)
        tile_top = middle - sizes.tile // 2
    for control in (chevron, switch):
        control.moveTop(middle - control.height() // 2)
    bar_top = status.bottom() + (4 if sizes.narrow else 5)
    return RowPlaces(
        head=QRect(0, top, width, sizes.head),
        tile=QRect(GAP, tile_top, sizes.tile, sizes.tile),
        name=QRect(text_left, text_top, text_width, sizes.name),
        secondary=QRect(text_left, text_top + sizes.name + 2, text_width, sizes.secondary),
        status=status,
        bar=QRect(status.left(), bar_top, min(status.width(), sizes.status_width * 5 // 6), BAR),
        switch=switch,
        chevron=chevron,
        body_left=GAP if sizes.narrow else text_left,
    )
