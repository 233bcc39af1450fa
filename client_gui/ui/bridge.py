"""EFFECT: carries the engine's snapshots from its thread to the window's, and the user's wishes back."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol

from PySide6.QtCore import QObject, Signal

from client_gui.session import Session
from client_gui.state import Asked, Mode, Snapshot


class EngineLike(Protocol):
    """What the window asks of the engine; none of it may wait."""

    def start(self) -> None:
        """Begins to follow devices."""

    def stop(self) -> None:
        """Brings every device home; the one call that waits."""

    def toggle(self, key: str, on: bool) -> None:
        """Ticks or unticks a device."""

    def agree(self, key: str, asked: Asked) -> None:
        """Ticks a device and answers with yes what is asked about it."""

    def rename(self, key: str, nickname: str) -> None:
        """Gives a device a name of the user's own; "" takes it away."""

    def set_mode(self, key: str, mode: Mode) -> None:
        """Settles when a device is shared."""

    def follow_port(self, key: str, seconds: int) -> None:
        """Settles how long what comes to its port counts as this device; 0 for not at all."""

    def retry(self, key: str) -> None:
        """Tries again now."""

    def forget(self, key: str) -> None:
        """Takes an absent device off the list."""

    def rescan(self) -> None:
        """Looks again."""

    def set_session(self, session: Session | None) -> None:
        """Begins a session, or ends it."""

    def subscribe(self, callback: Callable[[Snapshot], None]) -> None:
        """Calls back, from another thread, with each snapshot."""


class Bridge(QObject):
    """Emits `changed` in the window's thread; of snapshots that pile up only the newest is shown."""

    changed = Signal(Snapshot)
    stopped = Signal()
    _arrived = Signal()

    def __init__(self, engine: EngineLike, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._engine = engine
        self._lock = threading.Lock()
        self._newest: Snapshot | None = None
        self._stopping: threading.Thread | None = None
        self._arrived.connect(self._deliver)
        engine.subscribe(self._receive)

    def _receive(self, snapshot: Snapshot) -> None:
        """Runs in the engine's thread."""
        with self._lock:
            first, self._newest = self._newest is None, snapshot
        if first:
            self._arrived.emit()

    def _deliver(self) -> None:
        with self._lock:
            snapshot, self._newest = self._newest, None
        if snapshot is not None:
            self.changed.emit(snapshot)

    def stop(self) -> None:
        """Lets the engine bring every device home without making the window wait; `stopped` says that it has."""
        if self._stopping is None:
            self._stopping = threading.Thread(target=self._bring_home, name="bring-home")
            self._stopping.start()

    def _bring_home(self) -> None:
        try:
            self._engine.stop()
        finally:
            self.stopped.emit()

    def wait(self) -> None:
        """Waits for the end of `stop`."""
        if self._stopping is not None:
            self._stopping.join()
