"""EFFECT: where the chronicle's entries go: the latest are kept, each is passed on to journal, figures and watchers."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from server_agent.chronicle import Entry, Kind
from server_agent.seldom import Seldom

KEPT = 256  # what `explain` can look back on
WATCHER_BACKLOG = 1024  # entries; a watcher that is slower than that is told how many it missed
LOST, HELD_BACK = "lost", "held_back"
WHAT_A_CONTAINER_CAN_REPEAT = frozenset({Kind.REFUSAL, Kind.FAILURE})
SAME_TIMES, SAME_SECONDS = 10, 10.0

Row = dict[str, object]
Sink = Callable[[Entry, Row], None]


@dataclass(slots=True)
class Follower:
    """Somebody who watches; `missed` counts what did not fit."""

    queue: "asyncio.Queue[Row]" = field(default_factory=lambda: asyncio.Queue(WATCHER_BACKLOG))
    missed: int = 0

    def put(self, row: Row) -> None:
        """Take one more, or count it."""
        try:
            self.queue.put_nowait(row)
        except asyncio.QueueFull:
            self.missed += 1

    async def next(self) -> Row:
        """The next row; one that says how many are missing where some are."""
        if self.missed and self.queue.empty():
            missed, self.missed = self.missed, 0
            return {"v": 1, "event": LOST, "count": missed}
        return await self.queue.get()


class Records:
    """The latest entries, and those who want each as it comes."""

    def __init__(self, sinks: Sequence[Sink] = (), clock: Callable[[], float] = time.time) -> None:
        """Args: clock: seconds since 1970."""
        self._sinks = sinks
        self._clock = clock
        self._seldom = Seldom(SAME_TIMES, SAME_SECONDS)
        self._followers: list[Follower] = []
        self.recent: deque[Row] = deque(maxlen=KEPT)

    def add(self, entry: Entry) -> None:
        """Keep an entry and pass it on; of what one container has refused again and again, some, with their number."""
        held_back = 0
        if entry.kind in WHAT_A_CONTAINER_CAN_REPEAT:
            said = self._seldom.allows((entry.container, entry.words.get("problem")), entry.at)
            if said is None:
                return
            held_back = said
        now = datetime.fromtimestamp(self._clock(), UTC)
        row: Row = {**entry.as_json(), "time": now.isoformat(timespec="milliseconds")}
        if held_back:
            row[HELD_BACK] = held_back
        self.recent.append(row)
        for sink in self._sinks:
            sink(entry, row)
        for follower in self._followers:
            follower.put(row)

    @contextmanager
    def followed(self) -> Iterator[Follower]:
        """Follow what comes from now on."""
        follower = Follower()
        self._followers.append(follower)
        try:
            yield follower
        finally:
            self._followers.remove(follower)
