"""EFFECT: the line of the menu that switches whether the picker starts with the desktop."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Signal
from PySide6.QtGui import QAction

from client_gui.ui import problem_words
from client_gui.ui.messages import tr
from qvd_usbip.errors import QvdUsbError

if TYPE_CHECKING:
    from PySide6.QtCore import QObject

    from client_gui.autostart import Autostart


class StartAtLogin(QAction):
    """Its tick is what stands on the disk; `failed` says in words why a click has changed nothing there."""

    failed = Signal(str)

    def __init__(self, autostart: Autostart, parent: QObject) -> None:
        super().__init__(tr("Start when I log in to this computer"), parent)
        self._autostart = autostart
        self.setCheckable(True)
        self.triggered.connect(self._switch)

    def look(self) -> None:
        """Shows how it stands now; the desktop's own settings change it too."""
        try:
            self.setChecked(self._autostart.is_on())
        except QvdUsbError:  # a click says why
            self.setChecked(False)

    def _switch(self, on: bool) -> None:
        try:
            self._autostart.switch(on=on)
        except QvdUsbError as error:
            code = error.problem.code
            said = problem_words.sentence(code, str(error)), problem_words.remedy(code, error.remedy())
            self.failed.emit(" ".join(said))
        self.look()
