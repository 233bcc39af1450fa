"""EFFECT: what our buttons and switches share: a focus ring for the keyboard, and the list's keys left to the list."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from PySide6.QtCore import Qt

from client_gui.ui.focus import by_keyboard

if TYPE_CHECKING:
    from PySide6.QtGui import QFocusEvent, QKeyEvent
    from PySide6.QtWidgets import QAbstractButton as Base
else:
    Base = object  # mixed into a button of Qt's: two of those cannot be the base of one class

LIST_KEYS: Final = frozenset({Qt.Key.Key_Up, Qt.Key.Key_Down, Qt.Key.Key_Home, Qt.Key.Key_End})


class Control(Base):
    """`ring` says whether the focus came by keyboard and is to be seen."""

    ring = False

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Leaves the keys of the list to the list."""
        if event.key() in LIST_KEYS:
            event.ignore()
            return
        super().keyPressEvent(event)

    def focusInEvent(self, event: QFocusEvent) -> None:
        """Shows the ring to those who came by keyboard."""
        self.ring = by_keyboard(event.reason())
        super().focusInEvent(event)

    def focusOutEvent(self, event: QFocusEvent) -> None:
        """Takes the ring away."""
        self.ring = False
        super().focusOutEvent(event)
