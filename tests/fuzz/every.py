"""All targets, by name."""

from tests.fuzz.target import TARGETS
from tests.fuzz.targets import client, container, host, lent, names, peers, words

__all__ = ["TARGETS"]
MODULES = (names, words, peers, lent, client, host, container)
