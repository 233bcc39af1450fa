"""EFFECT: reads which USB devices are plugged in."""

from __future__ import annotations

import os

from client_gui.selection import EXPORT_DRIVER
from qvd_usbip.errors import SYSFS_UNREADABLE, QvdUsbError
from qvd_usbip.system.sysfs import list_busids, read_device
from qvd_usbip.values import replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from qvd_usbip.ids import BusId
    from qvd_usbip.system.files import Location
    from qvd_usbip.usb import Interface, UsbDevice


class Scanner:
    """Reads all devices anew each time, and remembers what a device was before it was lent.

    The kernel drops a device's interfaces while usbip-host has it; without them a webcam would turn into "a device".
    """

    def __init__(self, usbroot: Location) -> None:
        self.usbroot = usbroot
        self._interfaces: dict[object, tuple[Interface, ...]] = {}
        self.left_out: dict[BusId, QvdUsbError] = {}

    def scan(self) -> list[UsbDevice]:
        """Reads every device below the folder; one that cannot be read is `left_out`.

        Raises:
            QvdUsbError: sysfs-unreadable, where the folder itself cannot be read.
        """
        try:
            busids = list_busids(self.usbroot)
        except OSError as error:
            reason = os.strerror(error.errno or 0)
            raise QvdUsbError(SYSFS_UNREADABLE, busid=self.usbroot, reason=reason) from error
        self.left_out = {}
        devices = [self._with_interfaces(device) for busid in busids if (device := self._read(busid)) is not None]
        present = {_incarnation(device) for device in devices}
        self._interfaces = {name: known for name, known in self._interfaces.items() if name in present}
        return devices

    def _read(self, busid: BusId) -> UsbDevice | None:
        try:
            return read_device(self.usbroot, busid)
        except QvdUsbError as error:
            self.left_out[busid] = error
        except OSError as error:
            self.left_out[busid] = QvdUsbError(SYSFS_UNREADABLE, busid=busid, reason=os.strerror(error.errno or 0))
        return None

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
