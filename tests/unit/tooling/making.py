"""Runs make on the repository as a person would, even when make runs the tests."""

import os
import subprocess
from pathlib import Path

# What an outer make hands down would turn the inner one's words into its own.
_OUTER = {"MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "ROLE", "DESTDIR", "ENABLE", "CC", "PYTHON", "TRY"}


def run_make(repository: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Returns the finished make, its output as text and its status unchecked."""
    env = {name: value for name, value in os.environ.items() if name not in _OUTER}
    argv = ["make", "--no-print-directory", "-C", str(repository), *words]
    return subprocess.run(argv, capture_output=True, text=True, check=False, env=env)
