"""EFFECT: `make fuzz`: all targets or some, with progress and a table; or one input again, without a fuzzer.

Exit status 1 when something was found, or could not be run.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tests.fuzz.campaign import REPOSITORY, Outcome, fuzz, keep
from tests.fuzz.every import TARGETS

FOLDER = REPOSITORY / "build/fuzz"


def main() -> int:
    """Run what the command line says."""
    parser = argparse.ArgumentParser(prog="python3 -m tests.fuzz", description="hostile input for each parser")
    parser.add_argument("names", nargs="*", metavar="NAME", help="the targets (default: all)")
    parser.add_argument("--runs", type=int, default=1_000_000, help="inputs for each (default 1000000)")
    parser.add_argument("--keep", action="store_true", help="put what reaches new code into tests/fuzz/corpus")
    parser.add_argument("--replay", type=Path, metavar="FILE", help="give this one input to the one target NAME")
    options = parser.parse_args()
    unknown = set(options.names) - TARGETS.keys()
    if unknown or (options.replay and len(options.names) != 1):
        parser.error(f"targets are: {', '.join(TARGETS)}")
    if options.replay:
        TARGETS[options.names[0]].run(options.replay.read_bytes())
        print("it bears this input")
        return 0
    return run(options.names or list(TARGETS), options.runs, keeps=options.keep)


def run(names: list[str], runs: int, *, keeps: bool) -> int:
    """Fuzz these, one after the other; the exit status."""
    outcomes = []
    for number, name in enumerate(names, 1):
        print(f"fuzz: {number} of {len(names)}: {name}", flush=True)
        outcome = fuzz(TARGETS[name], runs, FOLDER, lambda line: print(f"fuzz:   {line}", flush=True))
        outcomes.append(outcome)
        if not outcome.is_good:
            print(outcome.words, file=sys.stderr)
        elif keeps:
            keep(TARGETS[name], FOLDER)
    print(table(outcomes))
    for outcome in outcomes:
        if outcome.finding is not None:
            replay = f"build/venv/bin/python -m tests.fuzz {outcome.name} --replay {shown(outcome.finding)}"
            print(f"fuzz: {outcome.name} does not bear {shown(outcome.finding)}; again: {replay}")
        elif not outcome.ended:
            print(f"fuzz: {outcome.name} was not run to its end; libFuzzer's words: {shown(FOLDER)}/{outcome.name}.log")
    return 0 if all(outcome.is_good for outcome in outcomes) else 1


def table(outcomes: list[Outcome]) -> str:
    """A line for each target."""
    head = f"{'parser':24} {'runs':>9} {'seconds':>8} {'corpus +':>8}  finding"
    rows = [
        f"{each.name:24} {each.runs:9} {each.seconds:8.1f} {each.new:8}  {_verdict(each)}" for each in outcomes
    ]  # fmt: skip
    return "\n".join([head, *rows])


def _verdict(outcome: Outcome) -> str:
    if outcome.finding is not None:
        return outcome.finding.name
    return "none" if outcome.ended else "NOT RUN TO ITS END"


def shown(path: Path) -> str:
    """A path as one can type it in the repository's folder."""
    return str(path.relative_to(REPOSITORY))


if __name__ == "__main__":
    raise SystemExit(main())
