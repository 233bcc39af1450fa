"""EFFECT: reads the session from a pipe without making the window wait, and notices when the pipe closes."""

from __future__ import annotations

import threading

from PySide6.QtCore import QObject, QSocketNotifier, Signal

from client_gui.session import Session
from client_gui.session_pipe import at_end, closes, read_session
from qvd_usbip.errors import QvdUsbError


class SessionInput(QObject):
    """Whoever holds the other end of the pipe holds the session: one JSON object opens it, its end ends it."""

    given = Signal(Session)
    refused = Signal(QvdUsbError)
    ended = Signal()

    def __init__(self, descriptor: int, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._descriptor = descriptor
        self._notifier: QSocketNotifier | None = None
        self.given.connect(self._watch)
        # A daemon: a window that is closed before the description came does not wait for it.
        self._reader = threading.Thread(target=self._read, name="session-input", daemon=True)

    def start(self) -> None:
        """Begins to read."""
        self._reader.start()

    def _read(self) -> None:
        try:
            session = read_session(self._descriptor)
        except QvdUsbError as error:
            self.refused.emit(error)
        else:
            self.given.emit(session)

    def _watch(self) -> None:
        if not closes(self._descriptor):
            return  # the session lasts as long as the window
        self._notifier = QSocketNotifier(self._descriptor, QSocketNotifier.Type.Read, self)
        self._notifier.activated.connect(self._look)

    def _look(self) -> None:
        if self._notifier is not None and at_end(self._descriptor):
            self._notifier.setEnabled(False)
            self.ended.emit()
