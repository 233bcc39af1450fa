"""A module counts as covered when enough of its lines and enough of its branches were gone through."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.covered import __main__ as command
from tests.covered.judgement import Covered, judged, table


def report(*, lines: tuple[int, int] = (100, 100), branches: tuple[int, int] = (20, 20)) -> dict[str, Any]:
    """What coverage.py says of one module: covered ones, and all."""
    summary = {
        "covered_lines": lines[0],
        "num_statements": lines[1],
        "covered_branches": branches[0],
        "num_branches": branches[1],
    }
    return {"files": {"a.py": {"summary": summary, "missing_lines": [3], "missing_branches": [[7, -1], [8, 9]]}}}


def only(found: list[Covered]) -> Covered:
    (one,) = found
    return one


@pytest.mark.parametrize(
    ("lines", "branches", "enough"),
    [
        ((100, 100), (20, 20), True),
        ((95, 100), (19, 20), True),
        ((94, 100), (20, 20), False),
        ((100, 100), (18, 20), False),
        ((0, 0), (0, 0), True),
    ],
)
def test_lines_and_branches_count_each_for_itself(
    lines: tuple[int, int], branches: tuple[int, int], enough: bool
) -> None:
    assert only(judged(report(lines=lines, branches=branches), ["a.py"])).is_enough == enough


def test_a_module_that_no_test_imports_is_not_covered() -> None:
    assert not only(judged(report(), ["b.py"])).is_enough


def test_the_table_begins_with_the_worst_and_names_what_is_missing() -> None:
    found = judged(report(lines=(50, 100)), ["a.py"]) + judged({"files": {}}, ["b.py"])
    _, first, second = table(found).splitlines()
    assert first.split() == ["!", "b.py", "0.0", "0.0", "never", "imported"]
    assert second.split() == ["!", "a.py", "50.0", "100.0", "3", "7->exit", "8->9"]


def test_the_modules_are_those_that_say_they_are_pure(repository: Path) -> None:
    found = set(command.pure_modules(repository))
    assert {"qvd_usbip/ids.py", "server_agent/decide.py", "client_gui/rules.py", "vma_hooks/plan.py"} <= found
    assert not {"qvd_usbip/system/files.py", "server_agent/daemon.py"} & found


def test_a_module_below_the_goal_is_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "report.json"
    monkeypatch.setattr(command, "pure_modules", lambda _: ["a.py"])
    path.write_text(json.dumps(report()))
    assert command.main([str(path)]) == 0
    path.write_text(json.dumps(report(branches=(18, 20))))
    assert command.main([str(path)]) == 1
    assert "1 pure modules, 1 below 95 %" in capsys.readouterr().out
