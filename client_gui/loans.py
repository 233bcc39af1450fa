"""EFFECT: the devices that are lent, on their way there or back: a `Lending` for each."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from client_gui.lending import Lending
from client_gui.steps import NOT_HOME, Phase, Reach, standing
from qvd_usbip.encryption import Way

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterator, Mapping

    from client_gui.exporter import Exporter
    from client_gui.lending import Means
    from client_gui.loop import Loop
    from client_gui.troubles import Fault, Standing
    from qvd_usbip.ids import BusId
    from qvd_usbip.usb import UsbDevice

LEAVE_LIMIT = 2.0
"""How long helpers that were let go of are waited for at the very end, in seconds."""


class Loans:
    """Belongs to the engine's thread.

    Args:
        loop: the engine's loop.
        on_change: called whenever a device moved.
    """

    def __init__(self, loop: Loop, on_change: Callable[[], None]) -> None:
        self._loop = loop
        self._on_change = on_change
        self._lendings: dict[BusId, Lending] = {}
        self._leaving: list[Exporter] = []

    def __contains__(self, busid: object) -> bool:
        return busid in self._lendings

    def __iter__(self) -> Iterator[Lending]:
        return iter(self._lendings.values())

    def bring_home(self, wanted: Container[BusId], present: Mapping[BusId, UsbDevice]) -> None:
        """Has every device come home that is not wanted, or that another one has taken the place of."""
        for busid, lending in list(self._lendings.items()):
            if busid not in wanted or not _same(lending.device, present.get(busid)):
                lending.want(None)
                if lending.machine.phase is Phase.IDLE:
                    del self._lendings[busid]

    def send_out(self, device: UsbDevice, means: Means | None) -> None:
        """Lends a device by these means, as soon as the one that was at its port before has come home."""
        if device.busid not in self._lendings:
            self._lendings[device.busid] = Lending(device, self._loop, self._on_change, self._leaving)
        lending = self._lendings[device.busid]
        if _same(lending.device, device):
            lending.want(means)

    def retry(self, busid: BusId) -> None:
        """Tries at once what failed for the device at this port."""
        if busid in self._lendings:
            self._lendings[busid].retry()

    def standings(self) -> dict[BusId, Standing]:
        """What the rows of these devices show now."""
        now = time.monotonic()
        found = {busid: standing(lending.machine, now) for busid, lending in self._lendings.items()}
        return {busid: each for busid, each in found.items() if each is not None}

    def faults(self) -> tuple[Fault, ...]:
        """Why devices are not lent, or why they were not at the last try."""
        return tuple(lending.machine.fault for lending in self if lending.machine.fault is not None)

    @property
    def way(self) -> Way | None:
        """Who does the TLS of what is shared: the relay, if it does any."""
        ways = {lending.way for lending in self if lending.machine.phase is Phase.SHARED}
        return next((way for way in (Way.RELAY, Way.KERNEL) if way in ways), None)

    def any_in(self, phase: Phase) -> bool:
        """Whether a device is in this phase."""
        return any(lending.machine.phase is phase for lending in self)

    def shared(self) -> frozenset[tuple[BusId, Reach]]:
        """The devices that are shared, each with how far that is confirmed."""
        found = ((busid, lending.machine) for busid, lending in self._lendings.items())
        return frozenset((busid, machine.reach) for busid, machine in found if machine.phase is Phase.SHARED)

    def stranded(self) -> list[tuple[Lending, int]]:
        """The devices that nobody wants and that may be on no local driver, each with how often that failed."""
        return [
            (lending, machine.failures)
            for lending in self
            if not (machine := lending.machine).wanted and machine.fault is not None and machine.fault.code in NOT_HOME
        ]

    def sweep(self) -> bool:
        """Forgets the helpers that have ended; whether others, let go of, are still at work."""
        self._leaving[:] = [exporter for exporter in self._leaving if not exporter.ended()]
        return bool(self._leaving)

    def all_home(self) -> bool:
        """Whether every device is back and every helper gone."""
        return not self.sweep() and all(lending.at_rest for lending in self)

    def abandon(self) -> None:
        """Lets go of every device at once; their helpers return them, which is waited for a little."""
        for lending in self:
            lending.abandon()
        deadline = time.monotonic() + LEAVE_LIMIT
        while any(not exporter.ended() for exporter in self._leaving) and time.monotonic() < deadline:
            time.sleep(0.01)


def _same(one: UsbDevice, other: UsbDevice | None) -> bool:
    """Whether this is the device that was plugged in then, not one that came to its port later."""
    return other is not None and (one.busnum, one.devnum, one.vidpid) == (other.busnum, other.devnum, other.vidpid)
