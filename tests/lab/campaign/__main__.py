"""EFFECT: the campaigns from the command line: `python3 -m tests.lab.campaign --help`."""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

from tests.lab import Lab, processes
from tests.lab.campaign import legs, path
from tests.lab.campaign import storm as storms
from tests.lab.campaign.model import State, Step
from tests.lab.campaign.reuse import Reuse
from tests.lab.campaign.walk import BrokenPromiseError, Walk
from tests.lab.progress import say

BUILD = Path(__file__).resolve().parents[3] / "build"
EVIDENCE, REUSE = BUILD / "lab", BUILD / "campaign/reuse.jsonl"


def reuse(cycles: int, *, go_on: bool) -> int:
    """Device numbers used again; 1 where one was opened by the wrong container."""
    found = legs.Legs(REUSE, go_on=go_on)
    status = legs.run(cycles, found, _leg)
    print(f"{found.summary()} ({REUSE})")
    return status


def _leg(cycles: int, seed: int) -> dict[str, Any]:
    with Lab.open(name="campaign") as lab:
        campaign = Reuse(lab)
        campaign.prepare()
        done = campaign.run(cycles, seed=seed, patience=cycles * 5 + 600)
        lab.health()
    say(json.dumps(done))
    return done


def storm(seconds: int) -> int:
    """The kernel's events by the thousand; 1 where one was lost unnoticed or a right was wrong afterwards."""
    with Lab.open(name="storm") as lab:
        said, broken = storms.campaign(storms.Storm(lab), seconds)
        lab.health()
    print("\n".join([said, *(f"broken: {each}" for each in broken)]))
    return 1 if broken else 0


def walk(minutes: float, seed: int, steps: list[Step]) -> int:
    """Steps at random, or the given ones; 1 where a promise was broken, with what it takes to see it again."""
    print("the steps as given" if steps else f"seed {seed}", flush=True)
    with Lab.open(name="walk") as lab:
        began = time.monotonic()
        going = Walk.begin(lab, None if steps else seed)
        try:
            going.go(steps or path.at_random(seed, State()), float("inf") if steps else minutes * 60)
        except BrokenPromiseError as error:
            print(f"broken: {error}\nwhat the lab looked like: {lab.collect(EVIDENCE / f'walk-{seed}')}")
            return 1
        lab.health()
    print(f"nothing broken in {time.monotonic() - began:.0f} s; {going.summary()}")
    return 0


def main() -> int:
    """Runs one campaign; its exit status."""
    parser = argparse.ArgumentParser(prog="python3 -m tests.lab.campaign", description=__doc__)
    parser.add_argument("--reuse", type=int, default=0, metavar="CYCLES", help="numbers used again, so many times")
    parser.add_argument("--go-on", action="store_true", help="count what earlier runs found, and do what is missing")
    parser.add_argument("--storm", type=int, default=0, metavar="SECONDS", help="1,000 events a second, then bursts")
    parser.add_argument("--random", type=float, default=0, metavar="MINUTES", help="a walk at random, for so long")
    parser.add_argument("--seed", type=int, help="of the walk; by default a new one")
    parser.add_argument("--steps", type=path.read, default=[], metavar="'STEP; …'", help="instead of random ones")
    given = parser.parse_args()
    processes.signals_raise_exit()
    if not (given.reuse or given.storm or given.random or given.steps):
        parser.error("which campaign? --reuse, --storm, --random, --steps")
    status = reuse(given.reuse, go_on=given.go_on) if given.reuse else 0
    if given.storm:
        status = storm(given.storm) or status
    if given.random or given.steps:
        seed = path.new_seed() if given.seed is None else given.seed
        status = walk(given.random, seed, given.steps) or status
    return status


if __name__ == "__main__":
    sys.exit(main())
