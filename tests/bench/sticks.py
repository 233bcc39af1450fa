"""PURE: the promises about a stick over a slow network, and what the rounds say of each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from tests.bench.goals import Finding, Goal
from tests.bench.report import Speeds

DELAYS = (0, 10, 50)
"""Milliseconds that the network takes there and back."""


class Way(StrEnum):
    """How a stick is read; a buffered read goes through the page cache, the others pass it."""

    HAND = "usbip by hand"
    HAND_BUFFERED = "usbip by hand, buffered"
    STOCK = "ours, stock limits"
    OURS = "ours"
    BUFFERED = "ours, buffered"
    KERNEL = "ours, TLS by the kernels"
    RELAY = "ours, TLS by relays"


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A promise about one way against another at one delay."""

    goal: Goal
    ours: Way
    reference: Way
    delay: int


#: name, ours, against what, how many times as much at least, from which delay on (AES is dear where it is emulated)
_PROMISED = (
    ("stock limits", Way.STOCK, Way.HAND, 0.95, 0),
    ("our limits", Way.OURS, Way.HAND, 1.7, 0),
    ("buffered", Way.BUFFERED, Way.HAND_BUFFERED, 2.2, 0),
    ("TLS", Way.KERNEL, Way.OURS, 0.9, 5),
    ("no relay", Way.KERNEL, Way.RELAY, 1.3, 5),
)


def _comparison(name: str, ours: Way, reference: Way, limit: float, delay: int) -> Comparison:
    goal = Goal(
        name=f"stick, {name}, {delay} ms", ours=f"what a stick gives: {ours}", reference=reference, limit=limit,
        unit="MB/s", at_least=True,
    )  # fmt: skip
    return Comparison(goal=goal, ours=ours, reference=reference, delay=delay)


STICKS: tuple[Comparison, ...] = tuple(
    _comparison(name, ours, reference, limit, delay)
    for name, ours, reference, limit, least in _PROMISED
    for delay in DELAYS
    if delay >= least
)


def findings_of(rounds: Mapping[int, Mapping[str, Sequence[float]]]) -> tuple[Finding, ...]:
    """What the rounds say of each promise.

    Args:
        rounds: by the delay, by the way, MB/s of each round.
    """
    return tuple(
        Finding(goal=each.goal, ours=rounds[each.delay][each.ours], reference=rounds[each.delay][each.reference])
        for each in STICKS
    )


def speeds_of(rounds: Mapping[int, Mapping[str, Sequence[float]]]) -> tuple[Speeds, ...]:
    """The same by way, for the picture."""
    return tuple(
        Speeds(way=str(way), rounds={delay: tuple(found[way]) for delay, found in rounds.items()}) for way in Way
    )
