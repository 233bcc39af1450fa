"""PURE: the hubs of the model, and what enumerates on their ports."""

from dataclasses import dataclass, field

from qvd_usbip.ids import BusId, HubId, VidPid, VmId
from qvd_usbip.usb import Interface, UsbDevice
from server_agent.state import Half, HubBuses, Port, Right

BOOT = "boot"
HUBS = {HubId(number): HubBuses(hs=2 * number + 1, ss=2 * number + 2) for number in (1, 2, 3)}


@dataclass(slots=True)
class Plugged:
    """A device below a hub."""

    number: Right
    is_hub: bool = False
    isochronous: bool = False
    authorised: bool = False
    children: set[Right] = field(default_factory=set)
    exposed: set[tuple[VmId, Right]] = field(default_factory=set)  # who else could open which of its numbers once
    ever_exposed: set[Right] = field(default_factory=set)  # numbers that it has lost since, too

    @property
    def numbers(self) -> frozenset[Right]:
        """All that can be opened of it."""
        return frozenset({self.number, *self.children})

    def expose(self, name: VmId, right: Right) -> None:
        """That container may have it open for as long as both are there."""
        self.exposed.add((name, right))
        self.ever_exposed.add(right)

    def lose(self, right: Right) -> None:
        """What was open of a child that goes is dead."""
        self.children.remove(right)
        self.exposed = {pair for pair in self.exposed if pair[1] != right}


def busid_of(port: Port) -> BusId:
    half: Half = port.half
    return BusId(HUBS[port.hub].hs if half == "hs" else HUBS[port.hub].ss, (port.rhport + 1,))


def usb_device(port: Port, *, hub: bool = False) -> UsbDevice:
    busid = busid_of(port)
    return UsbDevice(
        busid=busid, vidpid=VidPid(0x0BDA, 0x58C2), cls=9 if hub else 0, busnum=busid.bus, devnum=2,
        interfaces=(Interface(number=0, cls=9 if hub else 2),), below_vhci=True,
    )  # fmt: skip
