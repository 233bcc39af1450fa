"""The pins: exact, with hashes, and silent about where the packages come from."""

import re
import tomllib
from pathlib import Path

import pytest

PINS = ("build.txt", "dev.txt", "docs.txt", "mutation.txt", "mutation-3.13.txt", "fuzz.txt", "coverage.txt")


def entries(repository: Path, name: str) -> dict[str, list[str]]:
    """Each pin, with the options of its continuation lines."""
    text = (repository / "resources/requirements" / name).read_text(encoding="utf-8")
    logical = text.replace("\\\n", " ").splitlines()
    return {words[0]: words[1:] for line in logical if (words := line.split())}


@pytest.mark.parametrize("name", PINS)
def test_each_pin_is_exact_and_has_hashes(repository: Path, name: str) -> None:
    found = entries(repository, name)
    assert found
    for pin, options in found.items():
        assert re.fullmatch(r"[a-z0-9][a-z0-9._-]*==[0-9][0-9a-z.]*", pin), pin
        assert options, pin
        assert all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", option) for option in options), pin


@pytest.mark.parametrize("name", [*PINS, "build.in", "docs.in", "mutation.in", "fuzz.in", "coverage.in", "apt.txt"])
def test_no_pin_says_where_it_comes_from(repository: Path, name: str) -> None:
    text = (repository / "resources/requirements" / name).read_text(encoding="utf-8")
    assert re.search(r"://|@|--(extra-)?index-url|--find-links|--trusted-host|--constraint", text) is None


def test_every_extra_is_pinned(repository: Path) -> None:
    project = tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    assert set(extras) == {"client", "server", "vma", "dev"}
    wanted = {re.split(r"[<>=\[ ]", line)[0].lower() for lines in extras.values() for line in lines}
    pinned = {pin.split("==")[0] for pin in entries(repository, "dev.txt")}
    assert wanted - pinned == set()


def test_what_is_fuzzed_stands_on_the_versions_that_are_tested(repository: Path) -> None:
    tested, fuzzed = (dict(pin.split("==") for pin in entries(repository, name)) for name in ("dev.txt", "fuzz.txt"))
    assert {name: tested.get(name) for name in fuzzed if name != "atheris"} == {
        name: version for name, version in fuzzed.items() if name != "atheris"
    }


def test_what_builds_source_packages_is_pinned_too(repository: Path) -> None:
    assert {pin.split("==")[0] for pin in entries(repository, "build.txt")} >= {"setuptools", "wheel"}


def test_debian_packages_are_plain_names(repository: Path) -> None:
    lines = (repository / "resources/requirements/apt.txt").read_text(encoding="utf-8").splitlines()
    packages = [line for line in lines if line and line[0] not in "#["]
    assert all(re.fullmatch(r"[a-z0-9][a-z0-9+.-]+", package) for package in packages)
    assert len(packages) == len(set(packages))
