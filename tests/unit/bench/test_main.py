"""The command: one run leaves a report, a kept report gives its page anew."""

import sys
from pathlib import Path

import pytest

from tests.bench import __main__ as bench
from tests.bench.goals import Finding
from tests.bench.page import page
from tests.bench.promises import ANSWERS
from tests.bench.report import Measured, from_json, to_json
from tests.lab import LabError
from tests.unit.bench.reports import report


def call(monkeypatch: pytest.MonkeyPatch, *words: str | Path) -> int:
    monkeypatch.setattr(sys, "argv", ["bench", *map(str, words)])
    return bench.main()


def test_a_kept_report_gives_the_same_page_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = tmp_path / "report.json"
    kept.write_text(to_json(report()), encoding="utf-8")
    assert call(monkeypatch, "--report", kept) == 0
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == page(report())


@pytest.mark.parametrize("text", [None, "{}"], ids=["no file", "another file"])
def test_without_one_it_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], text: str | None
) -> None:
    kept = tmp_path / "report.json"
    if text is not None:
        kept.write_text(text, encoding="utf-8")
    assert call(monkeypatch, "--report", kept) == 1
    assert str(kept) in capsys.readouterr().err
    assert not (tmp_path / "report.html").exists()


def test_a_part_that_cannot_be_measured_fails_the_run_and_the_others_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_lab(suite: str, rounds: int) -> Measured:
        raise LabError("no QEMU here")

    def window(suite: str, rounds: int) -> Measured:
        return Measured(findings=(Finding(goal=ANSWERS, ours=(1.0,) * rounds, reference=(50.0,)),))

    monkeypatch.setattr(bench, "KEPT", tmp_path / "bench/report.json")
    monkeypatch.setitem(bench.PARTS, "window", bench.Part(goals=(ANSWERS,), measure=window))
    for name in bench.PARTS.keys() - {"window"}:
        monkeypatch.setitem(bench.PARTS, name, bench.Part(goals=bench.PARTS[name].goals, measure=no_lab))
    assert call(monkeypatch, "--rounds", "5") == 1
    measured = from_json(bench.KEPT.read_text(encoding="utf-8")).measured
    assert [each.goal for each in measured.findings] == [ANSWERS]
    assert len(measured.findings[0].ours) == 5
    assert set(measured.missing.values()) == {"no QEMU here"}
    assert (tmp_path / "bench/report.html").exists()
    assert call(monkeypatch, "--only", "window") == 0, "what was not asked for fails nothing"
