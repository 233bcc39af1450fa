"""EFFECT: a long campaign in legs: what each found is written down as it ends, so that a run cut short still tells."""

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.lab.progress import say

LEG_CYCLES = 500
_REPOSITORY = Path(__file__).resolve().parents[3]


@dataclass(frozen=True, slots=True, kw_only=True)
class Leg:
    """One part of a campaign of numbers used again.

    Args:
        tree: the commit it ran on, "-dirty" behind it where files had changes.
        cycles, reused, own, tried, unsure: counts, as scenarios/inside/reuse.py tells them.
        wrong: opens by the wrong container, each with what was seen of it.
    """

    tree: str
    cycles: int
    reused: int
    own: int
    tried: int
    unsure: int
    seconds: float
    wrong: list[dict[str, Any]]

    @classmethod
    def of(cls, tree: str, done: dict[str, Any]) -> "Leg":
        """What the program inside told, as a leg."""
        return cls(tree=tree, **{name: done[name] for name in cls.__slots__ if name != "tree"})


class Legs:
    """The legs of a campaign, in a file of one JSON object a line.

    Args:
        file: where they are written.
        go_on: whether what is in the file counts; else it is begun anew.
    """

    def __init__(self, file: Path, *, go_on: bool) -> None:
        self.file = file
        lines = file.read_text(encoding="utf-8").splitlines() if go_on and file.exists() else []
        self.done = [Leg(**json.loads(line)) for line in lines]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("".join(map(_line, self.done)), encoding="utf-8")

    def missing(self, cycles: int) -> Iterator[int]:
        """How many cycles each leg has that is still to be run, for `cycles` in all."""
        while (left := cycles - sum(leg.cycles for leg in self.done)) > 0:
            yield min(left, LEG_CYCLES)

    def add(self, leg: Leg) -> None:
        """Writes down what a leg found."""
        self.done.append(leg)
        with self.file.open("a", encoding="utf-8") as out:
            out.write(_line(leg))

    def summary(self) -> str:
        """All legs in one sentence."""
        wrong, cycles = sum(len(leg.wrong) for leg in self.done), sum(leg.cycles for leg in self.done)
        reused, own = sum(leg.reused for leg in self.done), sum(leg.own for leg in self.done)
        tried, seconds = sum(leg.tried for leg in self.done), sum(leg.seconds for leg in self.done)
        trees = ", ".join(dict.fromkeys(leg.tree for leg in self.done))
        return (
            f"{wrong} opens by the wrong container in {cycles} cycles ({seconds:.0f} s): {reused} numbers used again, "
            f"{tried} opens tried, {own} of the own device; on {trees}"
        )


def _line(leg: Leg) -> str:
    return json.dumps(asdict(leg)) + "\n"


def tree() -> str:
    """The commit that is tried."""
    words = ["git", "-C", str(_REPOSITORY), "describe", "--always", "--dirty", "--abbrev=12"]
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()


def run(cycles: int, legs: Legs, leg: Callable[[int, int], dict[str, Any]]) -> int:
    """Goes through all that is missing; ends with the first leg that found something.

    Args:
        cycles: how many in all.
        leg: runs so many cycles (first) with this seed (second); what was counted.

    Returns:
        1 for an open by the wrong container or a leg that ended early, else 0.
    """
    began = time.monotonic()
    for count in legs.missing(cycles):
        done = Leg.of(tree(), leg(count, len(legs.done)))
        legs.add(done)
        say(f"{legs.summary()}; {time.monotonic() - began:.0f} s in all")
        if done.wrong or done.cycles != count:
            return 1
    return 0
