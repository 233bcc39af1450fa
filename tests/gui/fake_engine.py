"""EFFECT: an engine that shares nothing: it notes what the window asks and shows what a test tells it to."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING

from client_gui.state import Asked, Mode, Row, Snapshot

if TYPE_CHECKING:
    from collections.abc import Callable

    from client_gui.session import Session


class FakeEngine:
    """Has the methods of the real one; `asked` lists the calls in order."""

    def __init__(self) -> None:
        self.asked: list[tuple[object, ...]] = []
        self.session: Session | None = None
        self.may_stop = threading.Event()
        self.may_stop.set()
        self._snapshot = Snapshot()
        self._callbacks: list[Callable[[Snapshot], None]] = []

    def start(self) -> None:
        self.asked.append(("start",))

    def stop(self) -> None:
        self.may_stop.wait(10)
        self.asked.append(("stop",))

    def toggle(self, key: str, on: bool) -> None:
        self.asked.append(("toggle", key, on))

    def agree(self, key: str, asked: Asked) -> None:
        self.asked.append(("agree", key, asked))

    def rename(self, key: str, nickname: str) -> None:
        self.asked.append(("rename", key, nickname))

    def set_mode(self, key: str, mode: Mode) -> None:
        self.asked.append(("mode", key, mode))

    def follow_port(self, key: str, seconds: int) -> None:
        self.asked.append(("follow", key, seconds))

    def retry(self, key: str) -> None:
        self.asked.append(("retry", key))

    def forget(self, key: str) -> None:
        self.asked.append(("forget", key))

    def rescan(self) -> None:
        self.asked.append(("rescan",))

    def set_session(self, session: Session | None) -> None:
        self.asked.append(("session", None if session is None else session.name))
        self.session = session

    def snapshot(self) -> Snapshot:
        return self._snapshot

    def subscribe(self, callback: Callable[[Snapshot], None]) -> None:
        self._callbacks.append(callback)

    # --- for tests

    def show(self, *rows: Row, **changes: object) -> None:
        """Publishes a snapshot of these rows from a thread of its own, as the real engine does."""
        fields = {
            "rows": rows,
            "session": self._snapshot.session,
            "generation": self._snapshot.generation + 1,
            **changes,
        }
        self.publish(replace(self._snapshot, **fields))  # type: ignore[arg-type]  # the names are Snapshot's

    def publish(self, snapshot: Snapshot) -> None:
        """Publishes a snapshot from a thread of its own, as the real engine does."""
        self._snapshot = snapshot
        thread = threading.Thread(target=lambda: [callback(snapshot) for callback in self._callbacks])
        thread.start()
        thread.join()
