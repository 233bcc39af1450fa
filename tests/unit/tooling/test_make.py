"""The commands of the Makefile exist, say what they do, and `.ci/run` decides by two of them alone."""

import re
from pathlib import Path

import pytest

from tests.unit.tooling.making import run_make

TARGETS = [
    *("help", "setup", "venv", "pins"),
    *("lint", "unit", "gui", "test", "test-fast", "test-deep"),
    *("campaign", "mutation", "demo", "bench", "man", "docs", "translations", "screenshots", "run"),
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


def test_fast_tests_say_what_they_did_not_prove(repository: Path) -> None:
    done = run_make(repository, "-n", "test-fast")
    assert re.search(r"not proven here", done.stdout)
