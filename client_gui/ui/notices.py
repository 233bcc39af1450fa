"""EFFECT: the one bar above the list, for what concerns the whole window: of several things to say, the most urgent."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from client_gui.ui.accessible import announce
from client_gui.ui.message_bar import MessageBar
from client_gui.ui.messages import tr

if TYPE_CHECKING:
    from PySide6.QtWidgets import QVBoxLayout, QWidget

    from client_gui.ui.look import Look


class Notice(IntEnum):
    """What is said, the most urgent first."""

    ASKED_FOR = 1
    TROUBLE = 2
    HINT = 3


class Notices(QObject):
    """Shows one notice at a time; one that was read comes back only with other words."""

    read = Signal(Notice)

    def __init__(self, look: Look, layout: QVBoxLayout, parent: QWidget) -> None:
        """Takes the layout at whose end the bar stands."""
        super().__init__(parent)
        self._look = look
        self._layout = layout
        self._parent = parent
        self._texts: dict[Notice, str] = {}
        self._read: dict[Notice, str] = {}
        self._shown: tuple[Notice, str] | None = None
        self.bar: MessageBar | None = None

    def say(self, notice: Notice, text: str) -> None:
        """Says something, or nothing any more."""
        self._texts[notice] = text
        if not text:
            self._read.pop(notice, None)
        self._show()

    def _show(self) -> None:
        waiting = sorted((notice, text) for notice, text in self._texts.items() if text)
        wanted = next((each for each in waiting if self._read.get(each[0]) != each[1]), None)
        if wanted == self._shown:
            return
        self._shown = wanted
        if self.bar is not None:
            self.bar.hide()
            self.bar.deleteLater()
            self.bar = None
        if wanted is not None:
            self.bar = MessageBar(self._look, wanted[1], tr("Got it"), self._parent)
            self.bar.answered.connect(lambda: self._answer(*wanted))
            self._layout.addWidget(self.bar)
            self.bar.show()
            announce(self.bar, wanted[1])

    def _answer(self, notice: Notice, text: str) -> None:
        self._read[notice] = text
        self._show()
        self.read.emit(notice)
