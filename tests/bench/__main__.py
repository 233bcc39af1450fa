"""EFFECT: measures every promise in one run, prints the table, writes build/bench/report.json and report.html.

Exit status 0 whether the goals are met or not: a slow machine is no defect. 1 when something could not be measured.
"""

import argparse
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from tests.bench import lab_rounds, slow_network, window
from tests.bench.goals import Goal, format_table
from tests.bench.machine import this_one
from tests.bench.page import page
from tests.bench.promises import ANSWERS, HOOK, LIST, LIST_HUNDRED, READY, RIGHT, RIGHT_LXC, RIGHT_V1, rows_of
from tests.bench.report import Measured, NotAReport, Report, from_json, to_json, together
from tests.bench.sticks import STICKS
from tests.lab import LabError
from tests.lab.recipe import SUITES

KEPT = Path(__file__).resolve().parents[2] / "build/bench/report.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Something that is measured at one go, and the promises it is about; `measure` gets the suite and the rounds."""

    goals: Sequence[Goal]
    measure: Callable[[str, int], Measured]


PARTS = {
    "window": Part(goals=(ANSWERS,), measure=lambda _, rounds: window.measure(max(3, rounds // 7))),
    "device": Part(goals=(HOOK, LIST, READY, RIGHT, RIGHT_LXC), measure=lab_rounds.measure),
    "desk": Part(goals=(LIST_HUNDRED,), measure=lab_rounds.at_a_full_desk),
    "files": Part(goals=(RIGHT_V1,), measure=lambda _, rounds: lab_rounds.by_files(max(2, rounds // 5))),
    "sticks": Part(goals=[each.goal for each in STICKS], measure=slow_network.measure),
}


def run(part: Part, suite: str, rounds: int) -> Measured:
    """What a part gives; why not, where it cannot be measured."""
    try:
        return part.measure(suite, rounds)
    except (LabError, subprocess.SubprocessError) as error:
        print(f"not measured: {error}", file=sys.stderr)
        return _without(part, str(error).splitlines()[0])


def _without(part: Part, why: str) -> Measured:
    return Measured(missing={goal.name: why for goal in part.goals})


def write_page(report: Report, kept: Path) -> Path:
    """Makes the page of a report and puts it beside its JSON."""
    written = kept.with_name("report.html")
    written.write_text(page(report), encoding="utf-8")
    return written


def arguments() -> argparse.ArgumentParser:
    """What the bench understands."""
    parser = argparse.ArgumentParser(prog="python3 -m tests.bench", description="speed, goal by goal: met or missed")
    parser.add_argument("--suite", choices=sorted(SUITES), default="trixie", help="the Debian release of the guests")
    parser.add_argument("--rounds", type=int, default=20, help="how often each short command is timed (default 20)")
    parser.add_argument("--only", choices=sorted(PARTS), action="append", help="measure this part; may be repeated")
    parser.add_argument("--report", type=Path, nargs="?", const=KEPT, metavar="JSON",
                        help="measure nothing; make report.html anew beside a report.json that was kept")  # fmt: skip
    return parser


def main() -> int:
    """Run the bench; see the module."""
    options = arguments().parse_args()
    if options.report:
        try:
            print(write_page(from_json(options.report.read_text(encoding="utf-8")), options.report))
        except (OSError, NotAReport) as error:
            print(f"{options.report}: {error}", file=sys.stderr)
            return 1
        return 0
    wanted = options.only or list(PARTS)
    parts = [
        run(part, options.suite, options.rounds) if name in wanted else _without(part, "not asked for in this run")
        for name, part in PARTS.items()
    ]
    measured = together([*parts, Measured(machine=this_one())])
    report = Report(at=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"), measured=measured)
    KEPT.parent.mkdir(parents=True, exist_ok=True)
    KEPT.write_text(to_json(report), encoding="utf-8")
    print(format_table(rows_of(measured.findings, measured.missing)))
    print("\n".join([*measured.said, *(f"{name}: {value}" for name, value in measured.machine.items())]))
    print(f"each time: {KEPT}\nto look at: {write_page(report, KEPT)}")
    return 1 if any(goal.name in measured.missing for name in wanted for goal in PARTS[name].goals) else 0


if __name__ == "__main__":
    raise SystemExit(main())
