"""PURE: the hubs of the model, and what enumerates on their ports."""

from dataclasses import dataclass, field

from qvd_usbip.ids import BusId, HubId, VidPid
from qvd_usbip.usb import Interface, UsbDevice
from server_agent.state import Half, HubBuses, Port, Right

BOOT = "boot"
HUBS = {HubId(number): HubBuses(hs=2 * number + 1, ss=2 * number + 2) for number in (1, 2, 3)}


@dataclass(slots=True)
class Plugged:
    """A device below a hub."""

    number: Right
    is_hub: bool = False
    exposed: bool = False  # it has a number that was open to another container when it got it
    isochronous: bool = False
    authorised: bool = False
    children: set[Right] = field(default_factory=set)


def busid_of(port: Port) -> BusId:
    half: Half = port.half
    return BusId(HUBS[port.hub].hs if half == "hs" else HUBS[port.hub].ss, (port.rhport + 1,))


def usb_device(port: Port, *, hub: bool = False) -> UsbDevice:
    busid = busid_of(port)
    return UsbDevice(
        busid=busid, vidpid=VidPid(0x0BDA, 0x58C2), cls=9 if hub else 0, busnum=busid.bus, devnum=2,
        interfaces=(Interface(number=0, cls=9 if hub else 2),), below_vhci=True,
    )  # fmt: skip
