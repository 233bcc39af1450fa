"""PURE: what one run of the bench found, and how report.json keeps it."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.bench.goals import Finding, Goal

VERSION = 2
_NUMBERS = tuple[float, ...]


class NotAReport(ValueError):
    """A file that is no report.json of this version."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Speeds:
    """What a stick gave through one way, at each delay of the network.

    `rounds`: the delay in milliseconds there and back, then MB/s of each round.
    """

    way: str
    rounds: Mapping[int, _NUMBERS]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What one part of the bench gave; also the whole of it.

    `steps`: milliseconds since the tick, each round; `late`: milliseconds of each turn of the window's event loop;
    `said`: sentences beside the table; `machine`: what the part ran on.
    """

    findings: tuple[Finding, ...] = ()
    missing: Mapping[str, str] = field(default_factory=dict)
    steps: Mapping[str, _NUMBERS] = field(default_factory=dict)
    late: _NUMBERS = ()
    speeds: tuple[Speeds, ...] = ()
    said: tuple[str, ...] = ()
    machine: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A run: when (UTC, as people write it) and what it gave."""

    at: str
    measured: Measured


def together(parts: Iterable[Measured]) -> Measured:
    """The parts of one run as one."""
    all_of = list(parts)
    return Measured(
        findings=tuple(each for part in all_of for each in part.findings),
        missing={name: why for part in all_of for name, why in part.missing.items()},
        steps={name: times for part in all_of for name, times in part.steps.items()},
        late=tuple(each for part in all_of for each in part.late),
        speeds=tuple(each for part in all_of for each in part.speeds),
        said=tuple(each for part in all_of for each in part.said),
        machine={name: value for part in all_of for name, value in part.machine.items()},
    )


def to_json(report: Report) -> str:
    """The text of report.json: every single time, and on what they were taken."""
    measured = report.measured
    whole = {
        "v": VERSION,
        "at": report.at,
        "machine": dict(measured.machine),
        "goals": [_kept(each) for each in measured.findings],
        "not_measured": dict(measured.missing),
        "steps_ms": {name: _rounded(times) for name, times in measured.steps.items()},
        "late_ms": _rounded(measured.late),
        "speeds": [
            {"way": each.way, "mb_per_s": {str(delay): _rounded(rounds) for delay, rounds in each.rounds.items()}}
            for each in measured.speeds
        ],
        "said": list(measured.said),
    }
    return json.dumps(whole, indent=1, ensure_ascii=False) + "\n"


def from_json(text: str) -> Report:
    """The report of a text that `to_json` made.

    Raises:
        NotAReport: it is something else, or of another version.
    """
    try:
        whole = json.loads(text)
        if whole["v"] != VERSION:
            raise NotAReport(f"a report of version {whole['v']}, not {VERSION}: run the bench again")
        return Report(at=str(whole["at"]), measured=_measured(whole))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise error if isinstance(error, NotAReport) else NotAReport(f"no report of the bench: {error!r}") from error


def _measured(whole: dict[str, Any]) -> Measured:
    return Measured(
        findings=tuple(map(_finding, whole["goals"])),
        missing=_texts(whole["not_measured"]),
        steps={str(name): _numbers(times) for name, times in whole["steps_ms"].items()},
        late=_numbers(whole["late_ms"]),
        speeds=tuple(
            Speeds(way=str(each["way"]), rounds={int(at): _numbers(some) for at, some in each["mb_per_s"].items()})
            for each in whole["speeds"]
        ),
        said=tuple(map(str, whole["said"])),
        machine=_texts(whole["machine"]),
    )


def _kept(finding: Finding) -> dict[str, object]:
    goal = finding.goal
    return {
        "goal": goal.name,
        "ours": goal.ours,
        "reference": goal.reference,
        "limit": goal.limit,
        "unit": goal.unit,
        "at_least": goal.at_least,
        "ratio": round(finding.ratio, 3),
        "verdict": str(finding.verdict),
        "ours_rounds": _rounded(finding.ours),
        "reference_rounds": _rounded(finding.reference),
    }


def _finding(kept: dict[str, Any]) -> Finding:
    """Ratio and verdict are not read: they follow from the rounds."""
    goal = Goal(
        name=str(kept["goal"]), ours=str(kept["ours"]), reference=str(kept["reference"]), limit=float(kept["limit"]),
        unit=str(kept["unit"]), at_least=bool(kept["at_least"]),
    )  # fmt: skip
    ours, reference = _numbers(kept["ours_rounds"]), _numbers(kept["reference_rounds"])
    if not ours or not reference or not min(reference) > 0:
        raise NotAReport(f"{goal.name}: no rounds")
    return Finding(goal=goal, ours=ours, reference=reference)


def _texts(kept: dict[str, Any]) -> dict[str, str]:
    return {str(name): str(value) for name, value in kept.items()}


def _numbers(kept: Iterable[Any]) -> _NUMBERS:
    return tuple(float(each) for each in kept)


def _rounded(numbers: Iterable[float]) -> list[float]:
    return [round(each, 3) for each in numbers]
