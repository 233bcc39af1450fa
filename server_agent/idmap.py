"""PURE: the ranges of ids that a container in a user namespace has, from the lines of its configuration."""

from collections.abc import Iterable
from dataclasses import dataclass

from qvd_usbip.ids import LAST_ID

IDMAP = "lxc.idmap"
FIELDS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class IdRange:
    """Ids from `inside` on are those from `outside` on, as the host counts them."""

    kind: str  # "u" or "g"
    inside: int
    outside: int
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class IdMap:
    """The ranges of one container."""

    ranges: tuple[IdRange, ...]

    def uid(self, inside: int) -> int | None:
        """A user of the container as the host counts it; None for one that is not mapped."""
        return self._outside("u", inside)

    def gid(self, inside: int) -> int | None:
        """A group of the container as the host counts it; None for one that is not mapped."""
        return self._outside("g", inside)

    def _outside(self, kind: str, inside: int) -> int | None:
        for found in self.ranges:
            if found.kind == kind and found.inside <= inside < found.inside + found.count:
                return found.outside + inside - found.inside
        return None


def idmap_of(entries: Iterable[tuple[str, str]]) -> IdMap | None:
    """The map that a configuration says; None when the container shares the host's ids.

    Args:
        entries: key and value of each line, in order; an empty value takes back what was said before.

    Raises:
        ValueError: a line that LXC would refuse too.

    Source: lxc.container.conf(5), uid mappings.
    """
    ranges: list[IdRange] = []
    for key, value in entries:
        if key == IDMAP:
            ranges = [*ranges, parse_range(value)] if value else []
    return IdMap(ranges=tuple(ranges)) if ranges else None


def parse_range(text: str) -> IdRange:
    """One line: "u 0 100000 65536".

    Raises:
        ValueError: it is none.
    """
    words = text.split()
    if len(words) != FIELDS or words[0] not in {"u", "g"} or not all(w.isascii() and w.isdecimal() for w in words[1:]):
        raise ValueError(f"'{text}' is no range of ids")
    inside, outside, count = map(int, words[1:])
    if max(inside, outside) + count - 1 > LAST_ID:
        raise ValueError(f"'{text}' goes beyond the last id")
    return IdRange(kind=words[0], inside=inside, outside=outside, count=count)
