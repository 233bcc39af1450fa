"""EFFECT: the engine's event loop: sockets, timers and a mailbox for other threads, on `selectors`."""

from __future__ import annotations

import heapq
import itertools
import os
import selectors
import threading
import time
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

LONGEST_SLEEP = 60.0


class Timer:
    """One appointment; `cancel` as often as you like."""

    __slots__ = ("callback", "when")

    def __init__(self, when: float, callback: Callable[[], None]) -> None:
        self.when = when
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        """Makes the appointment void."""
        self.callback = None


class Loop:
    """Waits for sockets and timers; everything but `post` belongs to the thread that runs it."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._timers: list[tuple[float, int, Timer]] = []
        self._order = itertools.count()
        self._mail: deque[Callable[[], None]] = deque()
        self._closing = threading.Lock()
        self._bell = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._selector.register(self._bell, selectors.EVENT_READ, self._answer_bell)

    def watch(self, descriptor: int, events: int, callback: Callable[[], None]) -> None:
        """Calls back whenever the descriptor is ready; a second call changes what is waited for."""
        if descriptor in self._selector.get_map():
            self._selector.modify(descriptor, events, callback)
        else:
            self._selector.register(descriptor, events, callback)

    def unwatch(self, descriptor: int) -> None:
        """Undoes `watch`, before the descriptor is closed; nothing if it is not watched, or -1."""
        if descriptor >= 0 and descriptor in self._selector.get_map():
            self._selector.unregister(descriptor)

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Timer:
        """Calls back once, after so many seconds."""
        timer = Timer(time.monotonic() + max(0.0, seconds), callback)
        heapq.heappush(self._timers, (timer.when, next(self._order), timer))
        return timer

    def post(self, callback: Callable[[], None]) -> bool:
        """Has the loop's thread call back soon; from any thread. False if the loop is closed."""
        with self._closing:
            if self._bell < 0:
                return False
            self._mail.append(callback)
            os.eventfd_write(self._bell, 1)
            return True

    def _answer_bell(self) -> None:
        os.eventfd_read(self._bell)
        for _ in range(len(self._mail)):
            self._mail.popleft()()

    def turn(self, longest: float = LONGEST_SLEEP) -> None:
        """Waits until something happens, at most so many seconds, and calls back for it."""
        for ready, _ in self._selector.select(max(0.0, min(longest, self._until_next()))):
            if ready.fd in self._selector.get_map():  # an earlier callback of this turn may have let go of it
                ready.data()
        self._fire(time.monotonic())

    def _until_next(self) -> float:
        while self._timers and self._timers[0][2].callback is None:
            heapq.heappop(self._timers)
        return self._timers[0][0] - time.monotonic() if self._timers else LONGEST_SLEEP

    def _fire(self, now: float) -> None:
        while self._timers and self._timers[0][0] <= now:
            timer = heapq.heappop(self._timers)[2]
            if timer.callback is not None:
                timer.callback()

    def close(self) -> None:
        """Ends the loop; mail that was not read is dropped."""
        with self._closing:
            self._selector.close()
            os.close(self._bell)
            self._bell = -1
