"""EFFECT: a plugin of pytest for runs that are made a thousand times: few examples."""

import hypothesis
import pytest
from hypothesis import HealthCheck, Phase

EXAMPLES = 10


def pytest_addoption(parser: pytest.Parser) -> None:
    """Accepts the setting of the windows' tests, which do not run here."""
    parser.addini("qt_api", "read by another plugin")


@pytest.hookimpl(trylast=True)
def pytest_configure() -> None:
    """After tests/conftest.py: the same examples each time, fewer of them, and a failure as it was found.

    On a busy machine drawing is slow: that says nothing about a mutant and must not count as its end.
    """
    hypothesis.settings.register_profile(
        "mutation",
        deadline=None,
        derandomize=True,
        max_examples=EXAMPLES,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=[HealthCheck.too_slow],
    )
    hypothesis.settings.load_profile("mutation")
