"""EFFECT: measures every promise in one run, prints the table, writes build/bench/report.json.

Exit status 0 whether the goals are met or not: a slow machine is no defect. 1 when something could not be measured.
"""

import argparse
import json
import os
import platform
import sys
from pathlib import Path

from tests.bench import window
from tests.bench.goals import Finding, format_table
from tests.bench.lab_rounds import measure
from tests.lab import LabError, build
from tests.lab.accelerator import accelerator
from tests.lab.recipe import SUITES, suite_named

REPORT = Path(__file__).resolve().parents[2] / "build/bench/report.json"


def write_report(findings: list[Finding], suite: str, ran_on: str) -> None:
    """Keep every single time, and on what they were taken."""
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    machine = {"cpus": os.cpu_count(), "kernel": platform.release(), "accelerator": ran_on, "suite": suite}
    report = {"v": 1, "machine": machine, "goals": [finding.as_json() for finding in findings]}
    REPORT.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def main() -> int:
    """Run the bench; see the module."""
    parser = argparse.ArgumentParser(prog="python3 -m tests.bench", description="speed, goal by goal: met or missed")
    parser.add_argument("--suite", choices=sorted(SUITES), default="trixie", help="the Debian release of the guests")
    parser.add_argument("--rounds", type=int, default=20, help="how often each short command is timed (default 20)")
    options = parser.parse_args()
    try:
        answers, opened = window.measure(3)
        measured, words = measure(options.suite, options.rounds)
        findings = [*measured, answers]
    except LabError as error:
        print(f"not measured: {error}", file=sys.stderr)
        return 1
    ran_on = accelerator(build.ensure_image(suite_named(options.suite)).folder)
    write_report(findings, options.suite, ran_on)
    print(format_table(findings))
    print("\n".join([opened, *words]))
    print(f"on {os.cpu_count()} cpus, {ran_on}; each time: {REPORT.relative_to(REPORT.parents[2])}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
