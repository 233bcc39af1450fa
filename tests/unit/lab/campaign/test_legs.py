"""A long campaign in legs: cut short, it still tells what it found, and goes on from there."""

from pathlib import Path
from typing import Any

import pytest

from tests.lab.campaign import legs


def found(cycles: int, *, wrong: int = 0) -> dict[str, Any]:
    """What a leg tells."""
    counts = {"cycles": cycles, "reused": 2 * cycles, "own": cycles, "tried": 9 * cycles, "unsure": 0, "stopped": 1}
    return {**counts, "seconds": 1.5, "wrong": [{"node": "b:8:0"}] * wrong, "agent": []}


def counting(asked: list[tuple[int, int]], wrong: int = 0) -> Any:
    """A leg that goes well but for so many wrong opens."""

    def leg(cycles: int, seed: int) -> dict[str, Any]:
        asked.append((cycles, seed))
        return found(cycles, wrong=wrong)

    return leg


def test_all_cycles_are_gone_through_in_legs_each_with_a_seed_of_its_own(tmp_path: Path) -> None:
    asked: list[tuple[int, int]] = []
    campaign = legs.Legs(tmp_path / "new/reuse.jsonl", go_on=False)
    assert legs.run(2 * legs.LEG_CYCLES + 7, campaign, counting(asked)) == 0
    assert asked == [(legs.LEG_CYCLES, 0), (legs.LEG_CYCLES, 1), (7, 2)]
    assert campaign.summary().startswith(f"0 opens by the wrong container in {2 * legs.LEG_CYCLES + 7} cycles (4 s): ")
    assert campaign.summary().endswith(f"; on {legs.tree()}")


def test_a_run_cut_short_has_told_and_one_that_goes_on_does_only_what_is_missing(tmp_path: Path) -> None:
    def cut(cycles: int, seed: int) -> dict[str, Any]:
        if seed == 1:
            raise TimeoutError
        return found(cycles)

    asked: list[tuple[int, int]] = []
    file = tmp_path / "reuse.jsonl"
    with pytest.raises(TimeoutError):
        legs.run(3 * legs.LEG_CYCLES, legs.Legs(file, go_on=False), cut)
    again = legs.Legs(file, go_on=True)
    assert [leg.cycles for leg in again.done] == [legs.LEG_CYCLES]
    assert legs.run(3 * legs.LEG_CYCLES, again, counting(asked)) == 0
    assert asked == [(legs.LEG_CYCLES, 1), (legs.LEG_CYCLES, 2)]


def test_a_run_begun_anew_counts_nothing_of_before(tmp_path: Path) -> None:
    asked: list[tuple[int, int]] = []
    file = tmp_path / "reuse.jsonl"
    for _ in range(2):
        legs.run(5, legs.Legs(file, go_on=False), counting(asked))
    assert asked == [(5, 0), (5, 0)]
    assert len(file.read_text().splitlines()) == 1


def test_the_first_leg_that_found_something_is_the_last(tmp_path: Path) -> None:
    asked: list[tuple[int, int]] = []
    campaign = legs.Legs(tmp_path / "reuse.jsonl", go_on=False)
    assert legs.run(3 * legs.LEG_CYCLES, campaign, counting(asked, wrong=2)) == 1
    assert len(asked) == 1
    assert campaign.summary().startswith(f"2 opens by the wrong container in {legs.LEG_CYCLES} cycles ")


def test_a_leg_that_ended_early_is_no_success(tmp_path: Path) -> None:
    campaign = legs.Legs(tmp_path / "reuse.jsonl", go_on=False)
    assert legs.run(5, campaign, lambda _cycles, _seed: found(4)) == 1
