"""PURE: what a report of coverage.py means for each module."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

LEAST = 95.0
"""Of the lines and of the branches of each module, in per cent."""

_NAMED = 8  # places that a row of the table names


@dataclass(frozen=True, slots=True, kw_only=True)
class Covered:
    """One module: per cent of its lines and branches, and the places that no test came to ("12" or "12->15")."""

    name: str
    lines: float
    branches: float
    missing: tuple[str, ...]

    @property
    def is_enough(self) -> bool:
        """Whether both are at least LEAST."""
        return min(self.lines, self.branches) >= LEAST


def judged(report: Mapping[str, Any], modules: Iterable[str]) -> list[Covered]:
    """Each module as the report has it; one that no test imported has nothing covered.

    Args:
        report: what `coverage json` writes, made with branches.
        modules: their paths.
    """
    return [_covered(name, report["files"].get(name)) for name in modules]


def _covered(name: str, found: Mapping[str, Any] | None) -> Covered:
    if found is None:
        return Covered(name=name, lines=0.0, branches=0.0, missing=("never imported",))
    summary = found["summary"]
    branches = (f"{start}->{'exit' if end < 0 else end}" for start, end in found["missing_branches"])
    return Covered(
        name=name,
        lines=_share(summary["covered_lines"], summary["num_statements"]),
        branches=_share(summary["covered_branches"], summary["num_branches"]),
        missing=(*map(str, found["missing_lines"]), *branches),
    )


def _share(part: int, whole: int) -> float:
    return 100.0 * part / whole if whole else 100.0


def table(modules: Iterable[Covered]) -> str:
    """A row for each module, the least covered first."""
    rows = [f"{'module':44} {'lines':>6} {'branches':>8}  not seen"]
    for each in sorted(modules, key=lambda each: (min(each.lines, each.branches), each.name)):
        named = " ".join(each.missing[:_NAMED]) + (" …" if len(each.missing) > _NAMED else "")
        mark = "  " if each.is_enough else "! "
        rows.append(f"{mark}{each.name:42} {each.lines:6.1f} {each.branches:8.1f}  {named}".rstrip())
    return "\n".join(rows)
