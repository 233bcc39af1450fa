"""The commands of the Makefile exist, say what they do, and `.ci/run` decides by two of them alone."""

import re
from pathlib import Path

import pytest

from tests.unit.tooling.making import run_make

TARGETS = [
    *("help", "setup", "venv", "pins"),
    *("lint", "unit", "gui", "test", "test-fast", "test-deep"),
    *("campaign", "mutation", "fuzz", "coverage", "demo", "bench", "man", "docs", "translations", "screenshots", "run"),
    *("packages", "rpms", "install", "uninstall", "stage", "clean"),
]


@pytest.mark.parametrize("target", TARGETS)
def test_target_exists(repository: Path, target: str) -> None:
    done = run_make(repository, "-n", target)
    assert done.returncode == 0, done.stderr


def test_help_lists_every_target(repository: Path) -> None:
    done = run_make(repository)
    assert [line.split()[0] for line in done.stdout.splitlines()] == TARGETS


def test_ci_runs_the_two_commands_and_nothing_else(repository: Path) -> None:
    lines = (repository / ".ci/run").read_text(encoding="utf-8").splitlines()
    commands = [line for line in lines if line and not line.startswith("#")]
    assert commands == ["set -euo pipefail", 'cd "$(dirname "$0")/.."', "make test", "make test-deep"]


@pytest.mark.parametrize("target", ["test", "test-deep", "test-fast"])
def test_pytest_speaks_last(repository: Path, target: str) -> None:
    done = run_make(repository, "-n", target)
    programs = [line for line in done.stdout.splitlines() if not line.startswith("echo ")]
    assert " -m pytest " in programs[-1]


def test_the_tests_of_every_change_begin_with_the_linters_and_end_with_the_first_that_fails(repository: Path) -> None:
    lines = run_make(repository, "-n", "test").stdout.splitlines()
    beside = next(line for line in lines if "tests.lab prepare" in line)
    assert re.search(r"; make lint && .* -m pytest .* && wait \$lab$", beside)


def test_fast_tests_say_what_they_did_not_prove(repository: Path) -> None:
    done = run_make(repository, "-n", "test-fast")
    assert re.search(r"not proven here", done.stdout)


def lab_runs(repository: Path, *words: str) -> list[str]:
    """What of the lab's scenarios a target runs: the words after -m, up to the next option."""
    lines = run_make(repository, "-n", *words).stdout.splitlines()
    return re.findall(r"tests/lab/scenarios (.*?)(?: \|\| exit;|$)", "\n".join(lines), re.MULTILINE)


def test_the_packages_are_tried_by_their_own_target_alone(repository: Path) -> None:
    text = (repository / "tests/lab/scenarios/test_packages.py").read_text(encoding="utf-8")
    assert re.findall(r"pytest\.mark\.(\w+)", text) == ["packages"]
    runs = [run for target in ("test", "test-deep") for run in lab_runs(repository, target)]
    assert len(runs) == 3
    for run in runs:
        assert re.match(r'-m ("[a-z_0-9 ]+"|[a-z]+)', run), "everything that has no mark would be taken too"
        assert not re.search(r"\b(packages|not)\b", run)
    assert lab_runs(repository, "packages") == ["-m packages --suite trixie"]


def test_packages_are_tried_on_whichever_releases_one_names(repository: Path) -> None:
    assert lab_runs(repository, "packages", "TRY=trixie bookworm") == [
        "-m packages --suite trixie",
        "-m packages --suite bookworm",
    ]
    done = run_make(repository, "-n", "packages", "TRY=")
    assert "tests.lab.packages build/packages" in done.stdout
    assert "pytest" not in done.stdout
    assert "venv.sh" not in done.stdout
