"""The verdicts of the bench."""

from dataclasses import replace

from tests.bench.goals import Finding, Goal, Row, Verdict, format_table
from tests.bench.inside.turns import measure
from tests.bench.promises import HOOK_PERL, LIST, PROMISES, rows_of

GOAL = Goal(name="quick", ours="ours", reference="theirs", limit=1.5)
MORE = replace(GOAL, name="much", unit="MB/s", at_least=True, limit=1.7)


def verdict(goal: Goal, *ours: float) -> Verdict:
    return Finding(goal=goal, ours=ours, reference=(1.0, 1.0, 1.0)).verdict


def test_met_up_to_the_limit() -> None:
    assert verdict(GOAL, 1.5, 9.0, 1.0) is Verdict.MET
    assert verdict(GOAL, 1.51) is Verdict.MISSED


def test_where_more_is_better_met_from_the_limit_on() -> None:
    assert verdict(MORE, 1.7, 0.1, 9.0) is Verdict.MET
    assert verdict(MORE, 1.69) is Verdict.MISSED


def test_the_table_says_met_or_missed() -> None:
    table = format_table((
        Row(goal=GOAL, finding=Finding(goal=GOAL, ours=(10.0,), reference=(10.0,))),
        Row(goal=GOAL, finding=Finding(goal=GOAL, ours=(20.0,), reference=(10.0,))),
    ))  # fmt: skip
    first, second = (line for line in table.splitlines() if line.startswith("quick"))
    assert first.endswith("met")
    assert second.endswith("MISSED")
    assert "2.00" in second


def test_every_promise_has_a_row_and_what_has_no_finding_says_why() -> None:
    rows = rows_of([Finding(goal=GOAL, ours=(1.0,), reference=(1.0,))], {LIST.name: "no lab"})
    assert [row.goal for row in rows] == [*PROMISES, GOAL]
    why = {row.goal: row.why for row in rows}
    assert why[LIST] == "no lab"
    assert why[HOOK_PERL] == HOOK_PERL.unmeasured
    assert all(row.finding or row.why for row in rows)
    assert "not measured: no lab" in format_table(rows)


def test_promises_have_names_of_their_own() -> None:
    assert len({goal.name for goal in PROMISES}) == len(PROMISES)


def test_commands_are_timed_in_turn() -> None:
    taken = measure({"rounds": 2, "commands": {"one": ["true"], "other": ["sleep", "0.3"]}})
    assert len(taken["one"]) == len(taken["other"]) == 2
    assert min(taken["other"]) > max(taken["one"]) > 0
