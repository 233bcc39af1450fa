"""EFFECT: the picker as one widget among others: for a QVD client that is written with PySide6."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QSettings, Signal
from PySide6.QtWidgets import QVBoxLayout, QWidget

from client_gui.engine import Engine
from client_gui.ui import accessible
from client_gui.ui.bridge import Bridge, EngineLike
from client_gui.ui.look import Look
from client_gui.ui.picker import Picker

if TYPE_CHECKING:
    from client_gui.session import Session


class UsbDevices(QWidget):
    """Lists the devices of this computer and shares those that are ticked, for as long as it lives.

    `home` is emitted when every device is back after `bring_home`.
    """

    home = Signal()

    def __init__(self, parent: QWidget | None = None, engine: EngineLike | None = None) -> None:
        """Starts at once; without an engine it takes the real one."""
        super().__init__(parent)
        accessible.install()
        self._engine = engine or Engine()
        memory = QSettings(QSettings.Format.IniFormat, QSettings.Scope.UserScope, "qvd-usbip", "picker")
        self.picker = Picker(self._engine, Look(), memory)
        self._bridge = Bridge(self._engine, self)
        self._bridge.changed.connect(self.picker.show_snapshot)
        self._bridge.stopped.connect(self._end)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.picker)
        self.picker.leaving.connect(self.bring_home)
        self._engine.start()

    def set_session(self, session: Session | None) -> None:
        """Shares with this session from now on; None returns its devices.

        Raises: QvdUsbError session-exists, where another program of this user shares already.
        """
        self._engine.set_session(session)

    def bring_home(self) -> None:
        """Returns every device without making the window wait; call it before the program ends."""
        self._bridge.stop()

    def _end(self) -> None:
        self._bridge.wait()
        self.picker.finish()
        self.home.emit()
