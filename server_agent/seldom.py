"""PURE: how often one thing is worth saying: a flood by one container must not drown what is said of the others."""

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass

KINDS = 1024  # things kept apart; of more than that the oldest is forgotten


@dataclass(slots=True)
class _Window:
    since: float
    said: int = 0
    held_back: int = 0


class Seldom:
    """Lets each kind of thing be said a few times in a while, and counts what was not said."""

    def __init__(self, times: int, seconds: float) -> None:
        """Args: times: how often within the seconds."""
        self._times = times
        self._seconds = seconds
        self._windows: OrderedDict[Hashable, _Window] = OrderedDict()

    def allows(self, kind: Hashable, now: float) -> int | None:
        """Whether to say it once more.

        Args:
            kind: what it is, as the same things are counted together.
            now: seconds of any clock that does not go back.

        Returns:
            None to hold it back; else how many like it were held back before this one.
        """
        window = self._windows.get(kind)
        if window is None or now - window.since >= self._seconds:
            held_back = window.held_back if window is not None else 0
            self._windows[kind] = _Window(since=now, said=1)
            self._windows.move_to_end(kind)
            if len(self._windows) > KINDS:
                self._windows.popitem(last=False)
            return held_back
        if window.said < self._times:
            window.said += 1
            return 0
        window.held_back += 1
        return None
