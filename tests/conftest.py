"""What all tests share: where the repository is, and that no window needs a screen."""

import os
from pathlib import Path

import pytest

# Before any test module imports Qt: the platform is chosen when the first application object is made.
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root folder of the repository."""
    return Path(__file__).resolve().parents[1]
