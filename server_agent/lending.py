"""PURE: what of the hubs one container may have: a hub to itself, or some ports of one that is shared."""

from collections.abc import Iterable
from dataclasses import dataclass

from qvd_usbip.ids import HubId, decimal
from qvd_usbip.port_range import ALL_PORTS, PortRange

MOST_HUBS, MOST_PORTS = 128, 255  # as many as a kernel can be built with, and as many as a USB hub can have
ALL_HUBS = "all"


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Lease:
    """The ports of a hub that are one container's; all of them where the hub is its own."""

    hub: HubId
    ports: PortRange = ALL_PORTS

    def covers(self, hub: HubId, rhport: int) -> bool:
        """Whether this root-hub port, counted from 0, is part of it."""
        return hub == self.hub and rhport in self.ports

    def meets(self, other: "Lease") -> bool:
        """Whether any port is part of both."""
        return self.hub == other.hub and self.ports.meets(other.ports)

    def __str__(self) -> str:
        return self.hub.name if self.ports == ALL_PORTS else f"{self.hub.name} ports {self.ports}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lending:
    """What the administrator decides about lending.

    Args:
        hubs: the hubs that may be lent; None for all that can be.
        shared: how many of them, from the highest number down, are lent by ports; 0 for none.
        ports: how many ports of each half of a shared hub one container gets.
    """

    hubs: frozenset[HubId] | None = None
    shared: int = 1
    ports: int = 4


USUAL = Lending()


def parse_hubs(text: str) -> frozenset[HubId] | None:
    """The hubs of "1-3,5"; None for "all".

    Raises:
        ValueError: it is neither.
    """
    if text == ALL_HUBS:
        return None
    found: set[HubId] = set()
    for part in text.split(","):
        first, dash, last = (word.strip() for word in part.partition("-"))
        begin = decimal(first, MOST_HUBS - 1)
        end = decimal(last, MOST_HUBS - 1) if dash else begin
        if begin is None or end is None or end < begin:
            raise ValueError(part)
        found.update(HubId(number) for number in range(begin, end + 1))
    return frozenset(found)


def possible_leases(hubs: Iterable[HubId], ports_per_half: int, lending: Lending) -> tuple[Lease, ...]:
    """Every lease there can be at one time, in the order in which they are given out: whole hubs first.

    Args:
        hubs: those this kernel has and that can be lent.
        ports_per_half: how many ports each half of a hub has.
        lending: what of them the administrator lends.
    """
    lent = sorted(hub for hub in hubs if lending.hubs is None or hub in lending.hubs)
    shared = lent[max(0, len(lent) - lending.shared) :]
    size = min(lending.ports, ports_per_half)
    parts = (PortRange(first, first + size - 1) for first in range(0, ports_per_half - size + 1, size)) if size else ()
    ranges = tuple(parts)
    whole = tuple(Lease(hub=hub) for hub in lent if hub not in shared)
    return whole + tuple(Lease(hub=hub, ports=ports) for hub in shared for ports in ranges)


def free_lease(possible: Iterable[Lease], taken: Iterable[Lease]) -> Lease | None:
    """The first lease that has no port in common with those that are taken or held back; None when there is none."""
    held = tuple(taken)
    return next((lease for lease in possible if not any(lease.meets(other) for other in held)), None)
