"""PURE: lists of device numbers as cgroup v1 and LXC write them, "c 189:5 rw", and the base list of every container."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from qvd_usbip.ids import DevNum
from server_agent.state import Right

Kind = Literal["a", "b", "c"]
# What the agent writes. A deny has to repeat it: LXC takes a line away only if it is the very same.
ACCESS = "rw"
_ROW = re.compile(r"([abc]) (\*|\d{1,10}):(\*|\d{1,10}) (r?w?m?)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line: kind "a" is both; no number stands for any.

    Source: Documentation/admin-guide/cgroup-v1/devices.rst
    """

    kind: Kind
    major: int | None = None
    minor: int | None = None
    access: str

    def __str__(self) -> str:
        numbers = ("*" if number is None else str(number) for number in (self.major, self.minor))
        return f"{self.kind} {':'.join(numbers)} {self.access}"

    def covers(self, right: Right) -> bool:
        """Whether it speaks of this number."""
        number = right.number
        return (
            self.kind in {"a", right.kind} and self.major in {None, number.major} and self.minor in {None, number.minor}
        )

    @property
    def opens(self) -> bool:
        """Whether it lets anything be opened; making a node is no opening."""
        return bool(set(self.access) & set("rw"))

    @property
    def right(self) -> Right | None:
        """The right it gives, if it is a line as the agent writes them."""
        if self.kind == "a" or self.major is None or self.minor is None or self.access != ACCESS:
            return None
        return Right(kind=self.kind, number=DevNum(self.major, self.minor))


EVERYTHING = Row(kind="a", access="rwm")

# What a system in a container cannot be without; nodes of any number may be made, opening them is another matter.
# Not 5:1: that is the host's console. A container's /dev/console is a pseudo-terminal.
BASE = (
    Row(kind="c", access="m"),
    Row(kind="b", access="m"),
    Row(kind="c", major=1, minor=3, access="rwm"),  # null
    Row(kind="c", major=1, minor=5, access="rwm"),  # zero
    Row(kind="c", major=1, minor=7, access="rwm"),  # full
    Row(kind="c", major=1, minor=8, access="rwm"),  # random
    Row(kind="c", major=1, minor=9, access="rwm"),  # urandom
    Row(kind="c", major=5, minor=0, access="rwm"),  # tty
    Row(kind="c", major=5, minor=2, access="rwm"),  # ptmx
    Row(kind="c", major=136, access="rwm"),  # pseudo-terminals
    Row(kind="c", major=10, minor=229, access="rwm"),  # fuse
)


def row_of(right: Right) -> Row:
    """The line for one right."""
    return Row(kind=right.kind, major=right.number.major, minor=right.number.minor, access=ACCESS)


def parse(text: str) -> tuple[Row, ...]:
    """The lines of a devices.list.

    Raises:
        ValueError: a line is none.
    """
    return tuple(_row(line) for line in text.splitlines())


def _row(line: str) -> Row:
    found = _ROW.fullmatch(line)
    if found is None or not line.isascii():
        raise ValueError(f"no line of a device list: {line!r}")
    kind, major, minor, access = found.groups()
    return Row(kind=_kind(kind), major=_number(major), minor=_number(minor), access=access)


def _kind(letter: str) -> Kind:
    if letter == "b":
        return "b"
    return "c" if letter == "c" else "a"


def _number(text: str) -> int | None:
    return None if text == "*" else int(text)


def opens(rows: Iterable[Row], right: Right) -> bool:
    """Whether any line lets this number be opened, for reading or for writing."""
    return any(row.covers(right) and row.opens for row in rows)


def allows(rows: Iterable[Row], right: Right) -> bool:
    """Whether one line lets this number be opened for reading and writing."""
    return any(row.covers(right) and set(ACCESS) <= set(row.access) for row in rows)


def rights_of(rows: Iterable[Row]) -> frozenset[Right]:
    """The rights among the lines; numbers that an administrator added with another access are not the agent's."""
    return frozenset(right for row in rows if row not in BASE and (right := row.right) is not None)


def too_wide(rows: Iterable[Row]) -> tuple[Row, ...]:
    """The lines that open more than one number and are not in the base list: with them nothing is kept apart."""
    exact = (row for row in rows if row.opens and row not in BASE)
    return tuple(row for row in exact if row.kind == "a" or row.major is None or row.minor is None)
