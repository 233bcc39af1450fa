"""report.json: the source of the page, read as it was written."""

import json

import pytest

from tests.bench.promises import ANSWERS, HOOK
from tests.bench.report import Measured, NotAReport, from_json, to_json, together
from tests.unit.bench.reports import report


def test_what_was_written_is_read_again() -> None:
    assert from_json(to_json(report())) == report()


def test_every_round_is_kept_with_its_verdict() -> None:
    kept = json.loads(to_json(report()))["goals"][0]
    assert kept["goal"] == HOOK.name
    assert kept["ours_rounds"] == [700.0, 710.0, 690.0]
    assert kept["ratio"] == 1.373
    assert kept["verdict"] == "met"


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("v", 1, "version 1"),
        ("goals", [{"goal": "x"}], "no report"),
        ("said", None, "no report"),
        ("speeds", 7, "no report"),
    ],
)
def test_what_is_no_report_is_refused_in_words(name: str, value: object, words: str) -> None:
    with pytest.raises(NotAReport, match=words):
        from_json(json.dumps(json.loads(to_json(report())) | {name: value}))


@pytest.mark.parametrize("text", ["", "[]", "null", "{}", "<html>"])
def test_so_is_what_is_something_else(text: str) -> None:
    with pytest.raises(NotAReport):
        from_json(text)


def test_a_goal_without_rounds_is_refused() -> None:
    kept = json.loads(to_json(report()))
    kept["goals"][0]["reference_rounds"] = []
    with pytest.raises(NotAReport, match=HOOK.name):
        from_json(json.dumps(kept))


def test_the_parts_of_a_run_make_one() -> None:
    whole = report().measured
    first = Measured(findings=whole.findings[:2], missing=whole.missing, steps=whole.steps, said=whole.said)
    rest = Measured(findings=whole.findings[2:], late=whole.late, speeds=whole.speeds, machine=whole.machine)
    assert together([first, rest]) == whole
    assert ANSWERS in [each.goal for each in rest.findings]
