"""What all tests share: where the repository is, no window that needs a screen, no test that depends on chance."""

import os
from pathlib import Path

import hypothesis
import pytest

# Before any test module imports Qt: the platform is chosen when the first application object is made.
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

# The same examples in every run, so that a change is judged by what it changes. No deadline: the lab keeps the machine
# busy beside the tests.
hypothesis.configuration.set_hypothesis_home_dir(Path(__file__).resolve().parents[1] / "build/hypothesis")
hypothesis.settings.register_profile("repository", deadline=None, derandomize=True)
hypothesis.settings.load_profile("repository")


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root folder of the repository."""
    return Path(__file__).resolve().parents[1]
