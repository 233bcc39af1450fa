"""The verdicts of the bench."""

import json

from tests.bench.goals import Finding, Goal, format_table
from tests.bench.inside.turns import measure

GOAL = Goal(name="quick", ours="ours", reference="theirs", limit=1.5)


def test_met_up_to_the_limit() -> None:
    assert Finding(goal=GOAL, ours=(1.5, 9.0, 1.0), reference=(1.0, 1.0, 1.0)).met
    assert not Finding(goal=GOAL, ours=(1.51,), reference=(1.0,)).met


def test_the_table_says_met_or_missed() -> None:
    table = format_table((
        Finding(goal=GOAL, ours=(0.010,), reference=(0.010,)),
        Finding(goal=GOAL, ours=(0.020,), reference=(0.010,)),
    ))  # fmt: skip
    first, second = (line for line in table.splitlines() if line.startswith("quick"))
    assert first.endswith("met")
    assert second.endswith("MISSED")
    assert "2.00" in second


def test_the_report_keeps_every_time() -> None:
    kept = json.loads(json.dumps(Finding(goal=GOAL, ours=(0.01, 0.02), reference=(0.01, 0.01)).as_json()))
    assert kept["ours_ms"] == [10.0, 20.0]
    assert kept["ratio"] == 1.5
    assert kept["met"] is True


def test_commands_are_timed_in_turn() -> None:
    taken = measure({"rounds": 2, "commands": {"one": ["true"], "other": ["sleep", "0.05"]}})
    assert len(taken["one"]) == len(taken["other"]) == 2
    assert min(taken["other"]) > max(taken["one"]) > 0
