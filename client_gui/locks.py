"""PURE: devices -> what the policy of this computer says against sharing them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qvd_usbip.errors import DEVICE_LOCKED, QvdUsbError
from qvd_usbip.policy import judge

if TYPE_CHECKING:
    from collections.abc import Iterable

    from qvd_usbip.ids import BusId
    from qvd_usbip.usb import UsbDevice


def locks_of(devices: Iterable[UsbDevice]) -> dict[BusId, QvdUsbError]:
    """Decides which devices may not be shared, and by which rule: here keyboards, mice, network, Bluetooth.

    Returns:
        For each locked device the error (device-locked) that using it would be.
    """
    locks = {}
    for device in devices:
        verdict = judge(device)
        if not verdict.allowed:
            locks[device.busid] = QvdUsbError(DEVICE_LOCKED, busid=device.busid, rule=verdict.rule)
    return locks
