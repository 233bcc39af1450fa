"""Devices for the client's tests, in one line each."""

from __future__ import annotations

from typing import Any

from client_gui import selection
from client_gui.judgement import DEFAULT_BOOK, Assessment, Circumstances, judge
from client_gui.selection import Situation
from client_gui.wishes import Wishes, is_ticked
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


def situation(*devices: UsbDevice, wishes: Wishes | None = None, **changes: Any) -> Situation:
    """What counts for these devices, each assessed by the built-in rules."""
    wished = wishes or Wishes()
    assessments = {
        each.busid: Assessment(
            judgement=judge(each, DEFAULT_BOOK, Circumstances(ticked=is_ticked(each, wished))),
        )
        for each in selection.listed(devices)
    }
    return Situation(wishes=wished, assessments=assessments, **changes)
