"""EFFECT: the way of the figures to their file; their library is loaded when they are first written, not at a start."""

import logging
import threading
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING

from server_agent.chronicle import Entry
from server_agent.records import Row
from server_agent.state import State

if TYPE_CHECKING:
    from server_agent.metrics import Metrics

LOG = logging.getLogger(__name__)
EARLY = 10_000  # entries that are kept until the first write; a library that is missing must not fill the memory


class Figures:
    """Counts entries as they come; what comes before the library is there is kept, and counted then."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # entries come on the loop, the file is written beside it
        self._early: deque[tuple[Entry, Row]] = deque(maxlen=EARLY)
        self._dropped = 0  # entries for which there was no room in `_early`
        self._metrics: Metrics | None = None

    def __call__(self, entry: Entry, row: Row) -> None:
        """Count one entry."""
        with self._lock:
            if self._metrics is None:
                self._dropped += len(self._early) == EARLY
                self._early.append((entry, row))
                return
        self._metrics(entry, row)

    def write(self, path: Path, state: State) -> None:
        """Replace the file; one that cannot be written is said and tried again later."""
        try:
            metrics = self._loaded()
        except ImportError as error:
            LOG.warning("figures not written, and %d entries are not counted any more: %s", self._dropped, error)
            return
        metrics.write(path, state)

    def _loaded(self) -> "Metrics":
        if self._metrics is None:
            from server_agent.metrics import Metrics  # noqa: PLC0415  # a tenth of the agent's start

            metrics = Metrics()
            with self._lock:
                for entry, row in self._early:
                    metrics(entry, row)
                self._early.clear()
                self._metrics = metrics
            if self._dropped:
                LOG.warning("figures lack the first %d entries: more came before the first write", self._dropped)
        return self._metrics
