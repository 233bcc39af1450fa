"""EFFECT: reads what the observers in both guests wrote and waits until a fact about a device holds."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.lab.guest import Guest

Facts = dict[str, Any]
OBSERVER = Path(__file__).parent / "guest" / "observe.py"
FOLDER = "/run/demo"
SAME = ("t", "side", "device")


@dataclass(frozen=True, slots=True)
class Sight:
    """One line of an observer: `at` is the guest's time moved to this machine's clock, in seconds."""

    at: float
    facts: Facts


@dataclass(slots=True)
class Witness:
    """The observer of one guest."""

    guest: Guest
    side: str
    shift: float = 0.0
    doubt: float = 0.0
    sights: dict[str, list[Sight]] = field(default_factory=dict)
    _taken: int = 0

    @property
    def file(self) -> str:
        return f"{FOLDER}/{self.side}.jsonl"

    def start(self, *words: str) -> None:
        """Starts the observer in the guest; `words` as its own usage says."""
        self.guest.run(f"mkdir -p {FOLDER}")
        self.guest.push(OBSERVER, f"{FOLDER}/observe.py")
        self.guest.spawn(f"python3 {FOLDER}/observe.py {self.side} {self.file} {' '.join(words)}", f"demo-{self.side}")
        self.guest.until(f"test -s {self.file}", timeout=60)
        self.compare_clocks()

    def compare_clocks(self) -> None:
        """Measures how far the guest's clock is from this machine's; `doubt` is half the quickest round trip."""
        best = None
        for _ in range(4):
            before = time.time()
            theirs = float(self.guest.run("date +%s.%N").out)
            after = time.time()
            if best is None or after - before < best[0]:
                best = (after - before, (before + after) / 2 - theirs)
        assert best is not None
        self.doubt, self.shift = best[0] / 2, best[1]

    def forget(self) -> None:
        """Drops what was read, after the guest went back to an earlier moment."""
        self.sights, self._taken = {}, 0
        self.compare_clocks()

    def look(self) -> None:
        """Takes in the lines written since the last look."""
        for line in self.guest.run(f"tail -n +{self._taken + 1} {self.file}").out.splitlines():
            if not line.endswith("}"):  # still being written
                break
            self._taken += 1
            facts = json.loads(line)
            self.sights.setdefault(facts["device"], []).append(Sight(facts["t"] + self.shift, facts))

    def first(self, device: str, holds: Callable[[Facts], object], *, since: float, patience: float) -> Sight | None:
        """Returns the first sight of a device after `since` for which `holds`; waits up to `patience` s for it."""
        end = time.monotonic() + patience
        while True:
            began = time.monotonic()
            self.look()
            took = time.monotonic() - began
            history = self.sights.get(device, [])
            current = [sight for sight in history if sight.at <= since][-1:]  # what still stood then counts too
            for sight in [*current, *(sight for sight in history if sight.at > since)]:
                if holds(sight.facts):
                    return sight
            if time.monotonic() > end:
                return None
            time.sleep(2 * took)  # a guest that is asked all the time does little else

    def latest(self, device: str) -> Facts:
        """Returns the latest facts of a device, without what every line has."""
        self.look()
        history = self.sights.get(device, [])
        return {key: value for key, value in history[-1].facts.items() if key not in SAME} if history else {}
