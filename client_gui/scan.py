"""EFFECT: reads which USB devices are plugged in."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from qvd_usbip.system.sysfs import list_busids, read_device

if TYPE_CHECKING:
    from qvd_usbip.usb import Interface, UsbDevice

EXPORT_DRIVER = "usbip-host"


class Scanner:
    """Reads all devices anew each time, and remembers what a device was before it was lent.

    The kernel drops a device's interfaces while usbip-host has it; without them a webcam would turn into "a device".
    """

    def __init__(self, usbroot: Path) -> None:
        self.usbroot = usbroot
        self._interfaces: dict[object, tuple[Interface, ...]] = {}

    def scan(self) -> list[UsbDevice]:
        """Reads every device below the folder; one that goes away meanwhile is left out."""
        devices = []
        for busid in list_busids(self.usbroot):
            device = read_device(self.usbroot, busid)
            if device is not None:
                devices.append(self._with_interfaces(device))
        present = {_incarnation(device) for device in devices}
        self._interfaces = {name: known for name, known in self._interfaces.items() if name in present}
        return devices

    def _with_interfaces(self, device: UsbDevice) -> UsbDevice:
        name = _incarnation(device)
        if device.interfaces:
            self._interfaces[name] = device.interfaces
        elif device.driver == EXPORT_DRIVER:
            return replace(device, interfaces=self._interfaces.get(name, ()))
        return device


def _incarnation(device: UsbDevice) -> object:
    """What names a device from plugging to unplugging."""
    return device.busid, device.busnum, device.devnum
