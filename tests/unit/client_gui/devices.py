"""Devices for the client's tests, in one line each."""

from __future__ import annotations

from qvd_usbip.ids import BusId, VidPid
from qvd_usbip.usb import Interface, Speed, UsbDevice

SERIAL = Interface(number=0, cls=2, subclass=2, protocol=1)
STORAGE = Interface(number=0, cls=8, subclass=6, protocol=80)
KEYBOARD = Interface(number=0, cls=3, subclass=1, protocol=1)
HUB = Interface(number=0, cls=9)


def device(
    busid: str = "1-4",
    vidpid: str = "0bda:58c2",
    serial: str = "1234",
    *,
    interfaces: tuple[Interface, ...] = (SERIAL,),
    product: str = "Adapter",
    devnum: int = 5,
    below_vhci: bool = False,
) -> UsbDevice:
    return UsbDevice(
        busid=BusId.parse(busid),
        vidpid=VidPid.parse(vidpid),
        serial=serial,
        product=product,
        manufacturer="ACME",
        speed=Speed.HIGH,
        busnum=BusId.parse(busid).bus,
        devnum=devnum,
        driver="usb",
        interfaces=interfaces,
        below_vhci=below_vhci,
    )
