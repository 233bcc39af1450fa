"""What must not stand anywhere in the tree, and where things must not be put."""

import re
import subprocess
from pathlib import Path

import pytest

# Put together here, so that this file is not what it looks for.
REGISTRIES = ("py" + "pi.org", "python" + "hosted", "deb.deb" + "ian.org", "security.deb" + "ian.org", "npm" + "js.org")
MACHINE_PATHS = ("/wo" + "rk/", "/fa" + "rm/", ".pye" + "nv/", "../sha" + "red")
# A longer file holds two things.
LONGEST = 400
JUNK_DRAWERS = {"utils", "util", "common", "helpers", "misc", "lib"}


def tracked(repository: Path, *patterns: str) -> list[Path]:
    listed = subprocess.run(
        ["git", "-C", str(repository), "ls-files", "-z", "--", *patterns], capture_output=True, text=True, check=True
    )
    # A file that is deleted but not yet committed is still listed.
    return [path for name in listed.stdout.split("\0") if name and (path := repository / name).is_file()]


@pytest.mark.parametrize("words", [REGISTRIES, MACHINE_PATHS], ids=["registry hosts", "machine paths"])
def test_no_file_names(repository: Path, words: tuple[str, ...]) -> None:
    pattern = re.compile("|".join(map(re.escape, words)).encode())
    found = [str(path) for path in tracked(repository) if pattern.search(path.read_bytes())]
    assert found == []


def test_no_module_is_a_junk_drawer(repository: Path) -> None:
    names = {
        part for path in tracked(repository, "*.py") for part in path.relative_to(repository).with_suffix("").parts
    }
    assert names & JUNK_DRAWERS == set()


def test_no_file_is_long(repository: Path) -> None:
    too_long = {}
    for path in tracked(repository, "*.py", "*.c", "*.sh"):
        lines = len(path.read_bytes().splitlines())
        if lines > LONGEST:
            too_long[str(path)] = lines
    assert too_long == {}


def test_no_test_is_skipped(repository: Path) -> None:
    pattern = re.compile(
        r"pytest\.(ski" + r"p|xfai" + r"l)\(|mark\.(ski" + r"p|skipi" + r"f|xfai" + r"l)|importorski" + "p"
    )
    found = [
        str(path) for path in tracked(repository, "tests/*.py") if pattern.search(path.read_text(encoding="utf-8"))
    ]
    assert found == []
