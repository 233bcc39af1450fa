"""Which promise a storm of events broke; what the guests do of it is in the lab."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, cast

import pytest

from tests.lab.campaign import storm as storms
from tests.lab.campaign.storm import Blown, Storm

FULL = Blown(sent=100, there=50, seconds=1.0, behind=0.5, most=1 << 20, dropped=0)


@dataclass(slots=True)
class Lab:
    """A lab in which all goes well, but for what a test changes."""

    dropped: tuple[int, ...] = (0, 0, 0, 77)
    noticed: tuple[int, ...] = (0, 3)
    exact_after: tuple[bool, ...] = (True, True, True)
    memory: tuple[int, ...] = (30_000, 30_000 + storms.GROWN_KIB)
    narrowed: bool = False
    _turns: dict[str, Iterator[Any]] = field(default_factory=dict)

    def _next(self, name: str) -> Any:
        return next(self._turns.setdefault(name, iter(getattr(self, name))))

    def lend(self) -> None: ...

    def bind(self) -> None: ...

    def narrow(self) -> None:
        self.narrowed = True

    def blow(self, events: int, *, pace: int = 0, pull: bool = False) -> Blown:
        return replace(FULL, dropped=self._next("dropped"))

    def exact(self) -> bool:
        return bool(self._next("exact_after"))

    def overflows(self) -> int:
        return self.noticed[self.narrowed]

    def resident(self) -> int:
        return int(self._next("memory"))


def broken(**changed: object) -> list[str]:
    return storms.campaign(cast("Storm", Lab(**cast("dict[str, Any]", changed))), 60)[1]


def test_where_all_goes_well_nothing_is_broken_and_one_sentence_says_what_was_seen() -> None:
    said, found = storms.campaign(cast("Storm", Lab()), 60)
    assert found == []
    assert f"memory grew by {storms.GROWN_KIB} KiB; without room: 100 events" in said
    assert "77 had no room" in said
    assert said.endswith("noticed 3 times")


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"dropped": (0, 1, 0, 77)}, "events were lost"),
        ({"dropped": (0, 0, 1, 77)}, "events were lost"),
        ({"noticed": (1, 3)}, "events were lost: 1 overflows"),
        ({"memory": (30_000, 30_001 + storms.GROWN_KIB)}, "the agent grew"),
        ({"exact_after": (False, True, True)}, "not exact after 50000 events at once"),
        ({"exact_after": (True, False, True)}, "not exact after events were lost"),
        ({"exact_after": (True, True, False)}, "has no right"),
        ({"noticed": (0, 0)}, "noticed 0 times"),
        ({"dropped": (0, 0, 0, 0)}, "0 events were lost"),
    ],
)
def test_what_does_not_is_named(changed: dict[str, object], words: str) -> None:
    (found,) = broken(**changed)
    assert words in found
