"""EFFECT: whether the session answers at all, found out before a device needs it, and from time to time again."""

from __future__ import annotations

import math
import statistics
import time
from collections import deque
from typing import TYPE_CHECKING

from client_gui.channel import Probe
from client_gui.state import Fitness
from client_gui.troubles import Fault

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from client_gui.dial import Candidate
    from client_gui.loop import Loop, Timer
    from client_gui.session import Session

ANSWER_LIMIT = 8.0
"""How long the other end may take to answer, in seconds."""
AGAIN_WHEN_GOOD = 30.0
AGAIN_WHEN_BAD = 5.0
AGAIN_AT_FIRST = 1.0
"""Until ROUND_TRIPS were measured."""
ROUND_TRIPS = 5
GONE = frozenset({"peer-gone", "slave-silent", "slave-unreachable"})
"""Problems after which the session, or the way to it, may be gone."""


class Reach:
    """Asks the session for an echo; `answered` is None until the first answer, then whether the last one was good.

    An older peer that answers "not found" is there, too.
    """

    def __init__(
        self, loop: Loop, session: Session, candidates: Callable[[], list[Candidate]], on_change: Callable[[], None]
    ) -> None:
        self._loop = loop
        self._session = session
        self._candidates = candidates
        self._on_change = on_change
        self._probe: Probe | None = None
        self._timer: Timer | None = None
        self._asked_at = self._again_at = time.monotonic()
        self._was_there = False
        self.answered: bool | None = None
        self.fault: Fault | None = None
        self._round_trips: deque[float] = deque(maxlen=ROUND_TRIPS)
        self._shown: Fitness | None = None

    @property
    def fitness(self) -> Fitness | None:
        """How good the way is, by the round trips that were measured last."""
        return fitness_of(tuple(self._round_trips))

    @property
    def lost(self) -> bool:
        """Whether it was there before and seems gone: one that only refuses is not lost."""
        return self._was_there and self.fault is not None and self.fault.code in GONE

    @property
    def retry_in(self) -> float | None:
        """In how many whole seconds one that was lost is asked again; None while it is being asked."""
        if not self.lost or self._probe is not None:
            return None
        return float(max(0, math.ceil(self._again_at - time.monotonic())))

    def doubt(self) -> None:
        """Asks at once, where the last good answer is not of this very moment: something has happened since."""
        if self.answered and self._probe is None and time.monotonic() - self._asked_at >= AGAIN_WHEN_BAD:
            self.ask()

    def hope(self) -> None:
        """Asks at once, where the last answer was bad and is not of this very moment: a device has gone through."""
        if self.fault is not None and self._probe is None and time.monotonic() - self._asked_at >= AGAIN_AT_FIRST:
            self.ask()

    def ask(self) -> None:
        """Asks now."""
        self.stop()
        self._asked_at = time.monotonic()
        self._probe = Probe(self._session, self._candidates())
        self._timer = self._loop.call_later(ANSWER_LIMIT, self._give_up)
        self._advance()

    def stop(self) -> None:
        """Asks no more."""
        if self._timer is not None:
            self._timer.cancel()
        if self._probe is not None:
            self._loop.unwatch(self._probe.descriptor)
            self._probe.close()
            self._probe = None

    def _advance(self) -> None:
        if self._probe is None:
            return
        self._loop.unwatch(self._probe.descriptor)  # it may change its socket
        outcome = self._probe.advance()
        if outcome is None:
            self._loop.watch(self._probe.descriptor, self._probe.interest, self._advance)
            return
        if not isinstance(outcome, Fault) and outcome.round_trip is not None:
            self._round_trips.append(outcome.round_trip)
        self._heard(outcome if isinstance(outcome, Fault) else None)

    def _give_up(self) -> None:
        self._heard(Fault(code="slave-silent", seconds=round(ANSWER_LIMIT)))

    def _heard(self, fault: Fault | None) -> None:
        self.stop()
        before = (self.answered, self.fault, self._shown)
        self.answered, self.fault, self._shown = fault is None, fault, self.fitness
        self._was_there = self._was_there or self.answered
        self._again_at = time.monotonic() + self._pause()
        self._timer = self._loop.call_later(self._pause(), self._ask_again)
        if before != (self.answered, self.fault, self._shown):
            self._on_change()

    def _ask_again(self) -> None:
        self.ask()
        if self.lost:  # nobody counts down any more
            self._on_change()

    def _pause(self) -> float:
        if self.fault is not None:
            return AGAIN_WHEN_BAD
        return AGAIN_AT_FIRST if 0 < len(self._round_trips) < ROUND_TRIPS else AGAIN_WHEN_GOOD


def fitness_of(round_trips: Sequence[float]) -> Fitness | None:
    """Decides how good a way with these round trips (in seconds) is: their median, and how far they lie from it."""
    if not round_trips:
        return None
    middle = statistics.median(round_trips)
    jitter = statistics.fmean(abs(each - middle) for each in round_trips)
    return Fitness(round_trip=round(middle * 1000, 1), jitter=round(jitter * 1000, 1))
