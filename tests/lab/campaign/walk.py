"""EFFECT: a walk at random on the lab: step after step, and after each the kernels are held against the model."""

import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from tests.lab import Lab
from tests.lab.campaign import path
from tests.lab.campaign.model import State, Step, after, at_rest
from tests.lab.campaign.promises import Bare, broken, crossed
from tests.lab.campaign.world import World
from tests.lab.errors import LabError
from tests.lab.progress import say

#: Within it all has to come to rest: the longest pause of an engine between two tries, and a container's start.
PATIENCE = 240.0
LEAST_PAUSE = 0.3


class BrokenPromiseError(AssertionError):
    """What the kernels have is not what the model says."""


@dataclass(slots=True)
class Walk:
    """One walk; `taken` are the steps so far.

    Args:
        world: where it goes.
        seed: said with all that goes wrong; None where the steps are given.
    """

    world: World
    seed: int | None
    state: State = field(default_factory=State)
    taken: list[Step] = field(default_factory=list)
    rests: int = 0

    @classmethod
    def begin(cls, lab: Lab, seed: int | None) -> "Walk":
        """In a lab in which nothing was lent, plugged or ticked yet."""
        return cls(World(lab), seed)

    def go(self, steps: Iterable[Step], seconds: float = float("inf")) -> None:
        """Takes steps until there are none or the time is over, and comes to rest.

        Raises:
            BrokenPromiseError: with the seed, the steps so far and what is broken.
        """
        end = time.monotonic() + seconds
        bare = Bare.of(self.world.look()[1])
        for step in steps:
            if time.monotonic() > end:
                break
            self._take(step)
            if not step.hurried:
                self._rest(bare)
        if self.taken and self.taken[-1].hurried:
            self.state = at_rest(self.state)
            self._rest(bare)

    def _take(self, step: Step) -> None:
        self.state = after(self.state, step)
        self.taken.append(step)
        began = time.monotonic()
        try:
            self.world.do(step)
        except LabError as error:
            raise BrokenPromiseError(self._told([f"the step failed: {error}"])) from error
        say(f"{len(self.taken)}: {step} ({time.monotonic() - began:.1f} s)")

    def _rest(self, bare: Bare) -> None:
        """Waits until everything is as the model has it, in two looks one after the other."""
        began, good = time.monotonic(), 0
        while good < 2:
            asked = time.monotonic()
            client, server = self.world.look()
            if never := crossed(server):
                raise BrokenPromiseError(self._told(never))
            said = broken(self.state, client, server, bare)
            good = 0 if said else good + 1
            if said and asked - began > PATIENCE:
                raise BrokenPromiseError(self._told(said))
            time.sleep(max(LEAST_PAUSE, 2 * (time.monotonic() - asked)))  # who asks takes the processor from the rest
        self.rests += 1
        say(f"at rest after {time.monotonic() - began:.1f} s")

    def _told(self, said: list[str]) -> str:
        who = f"seed {self.seed}, " if self.seed is not None else ""
        lines = [f"{who}{len(self.taken)} steps, the last: {self.taken[-1]}", *said, f"{self.state}"]
        return "\n  ".join([*lines, f"again, with the same steps: --steps '{path.written(self.taken)}'"])

    def summary(self) -> str:
        """How far it went, one line."""
        kinds = Counter(step.verb for step in self.taken)
        return f"{len(self.taken)} steps, at rest {self.rests} times: " + ", ".join(
            f"{count} {name}" for name, count in kinds.most_common()
        )
