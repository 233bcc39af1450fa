"""PURE: what a promise about speed is, what was measured of it, and the table that sets one against the other."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """What a run shows of a promise."""

    MET = "met"
    MISSED = "MISSED"
    NOT_MEASURED = "not measured"


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """A promise: the median of `ours` is at most `limit` times the median of `reference`, or at least that.

    `unit` is `ms` (less is better) or `MB/s` (`at_least`). `unmeasured`: why no run of the bench measures it.
    """

    name: str
    ours: str
    reference: str
    limit: float
    unit: str = "ms"
    at_least: bool = False
    unmeasured: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one goal's measurement gave: each round in the goal's unit, in the order they were taken."""

    goal: Goal
    ours: Sequence[float]
    reference: Sequence[float]

    @property
    def ratio(self) -> float:
        """Ours to the reference, medians."""
        return statistics.median(self.ours) / statistics.median(self.reference)

    @property
    def edge(self) -> float:
        """Where the promise ends, in the goal's unit."""
        return self.goal.limit * statistics.median(self.reference)

    @property
    def verdict(self) -> Verdict:
        """Whether the promise holds."""
        holds = self.ratio >= self.goal.limit if self.goal.at_least else self.ratio <= self.goal.limit
        return Verdict.MET if holds else Verdict.MISSED


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A promise beside what a run gave for it; `why` says why there is nothing."""

    goal: Goal
    finding: Finding | None
    why: str = ""

    @property
    def verdict(self) -> Verdict:
        """What the run shows."""
        return self.finding.verdict if self.finding else Verdict.NOT_MEASURED


def in_milliseconds(seconds: Sequence[float]) -> tuple[float, ...]:
    """Times as goals are in: thousandths of a second."""
    return tuple(each * 1e3 for each in seconds)


def limit_words(goal: Goal) -> str:
    """The promise as a sign and a number: `≤ 1.50`."""
    return f"{'≥' if goal.at_least else '≤'} {goal.limit:.2f}"


def number_words(value: float) -> str:
    """A number with as many digits as say something: `4886`, `28.0`, `0.61`."""
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def format_table(rows: Sequence[Row]) -> str:
    """Lay the promises out for people: one a row, its two programs named below."""
    lines = [f"{'goal':<26} {'ours':>12} {'reference':>12} {'ratio':>6} {'limit':>7}  spread (ours)       verdict"]
    for row in rows:
        goal, finding = row.goal, row.finding
        if finding is None:
            lines.append(f"{goal.name:<26} {limit_words(goal):>40}  {'':<18}  {row.verdict}: {row.why}")
            continue
        medians = [number_words(statistics.median(each)) for each in (finding.ours, finding.reference)]
        ours, reference = (f"{each:>7} {goal.unit:<4}" for each in medians)
        spread = f"{number_words(min(finding.ours))} to {number_words(max(finding.ours))}"
        compared = f"{finding.ratio:>6.2f} {limit_words(goal):>7}"
        lines.append(f"{goal.name:<26} {ours} {reference} {compared}  {spread:<18}  {row.verdict}")
        lines.append(f"  {goal.ours}  against  {goal.reference} ({len(finding.ours)} rounds)")
    return "\n".join(lines)
