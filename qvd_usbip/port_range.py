"""PURE: which ports of a virtual hub are one container's, where it does not have the hub to itself.

Light module. The agent writes it into the container's broker folder, the image's udev hook reads it there.
"""

from qvd_usbip import ids

PORTS_NAME = "ports"  # the file, beside the broker's socket


class PortRange(ids.Value):
    """The root-hub ports `first` to `last`, counted from 0, on both halves of a hub."""

    __match_args__ = ("first", "last")
    __slots__ = __match_args__
    first: int
    last: int

    def __init__(self, first: int, last: int) -> None:
        self._set(first=first, last=last)

    @classmethod
    def parse(cls, text: str) -> "PortRange | None":
        """Read "6-10", counted from 1 as in bus ids: 7-6 is the device on port 6 of bus 7. None for anything else."""
        first, _, last = text.partition("-")
        begin, end = ids.decimal(first, ids.MOST_PORTS), ids.decimal(last, ids.MOST_PORTS)
        return cls(begin - 1, end - 1) if begin and end and begin <= end else None

    def __str__(self) -> str:
        return f"{self.first + 1}-{self.last + 1}"

    def __contains__(self, rhport: int) -> bool:
        return self.first <= rhport <= self.last

    @property
    def count(self) -> int:
        """How many ports of each half it has."""
        return self.last - self.first + 1

    def meets(self, other: "PortRange") -> bool:
        """Whether any port is in both."""
        return self.first <= other.last and other.first <= self.last


ALL_PORTS = PortRange(0, ids.MOST_PORTS - 1)  # the hub as a whole
