"""PURE: what a person names on the command line -> the device or the share list entry that is meant."""

from __future__ import annotations

from typing import TYPE_CHECKING

from client_gui import wishes
from qvd_usbip import share_list
from qvd_usbip.errors import DEVICE_AMBIGUOUS, DEVICE_UNKNOWN, VIDPID_MALFORMED, QvdUsbError
from qvd_usbip.ids import BusId, VidPid
from qvd_usbip.share_list import Entry

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from client_gui.wishes import Wishes
    from qvd_usbip.usb import UsbDevice


def parse_target(text: str) -> BusId | Entry:
    """Parses `BUSID`, `VID:PID` or `VID:PID@SERIAL`.

    Raises:
        QvdUsbError: busid-malformed, vidpid-malformed, share-list-malformed.
    """
    if ":" not in text:
        return BusId.parse(text)
    VidPid.parse(text.partition("@")[0].strip())
    entries = share_list.parse(text).entries
    if len(entries) != 1:
        raise QvdUsbError(VIDPID_MALFORMED, value=text)
    return entries[0]


def names(target: BusId | Entry, device: UsbDevice) -> bool:
    """Whether the target means this device."""
    return device.busid == target if isinstance(target, BusId) else target.matches(device)


def share(
    target: BusId | Entry, devices: Sequence[UsbDevice], locks: Mapping[BusId, QvdUsbError], now: Wishes
) -> Wishes:
    """Decides the wishes with the target ticked; an entry for a device that is not plugged in is remembered.

    Raises:
        QvdUsbError: device-unknown, device-ambiguous, device-locked.
    """
    if isinstance(target, BusId):
        device = _at(target, devices)
        _refuse_locked(device, locks)
        return wishes.tick(device, devices, now)
    matching = one_of(target, devices)
    if matching is not None:
        _refuse_locked(matching, locks)
    return wishes.add(target, now)


def unshare(target: BusId | Entry, devices: Sequence[UsbDevice], now: Wishes) -> Wishes:
    """Decides the wishes with the target unticked; unticking twice is no mistake, an unknown name is.

    Raises:
        QvdUsbError: device-unknown, device-ambiguous, share-all-on.
    """
    if isinstance(target, BusId):
        return wishes.untick(_at(target, devices), devices, now)
    listed = next((entry for entry in now.share_list.entries if _alike(entry, target)), None)
    if listed is not None:
        return wishes.forget(listed, now)
    matching = one_of(target, devices)
    if matching is None:
        raise QvdUsbError(DEVICE_UNKNOWN, device=target)
    return wishes.untick(matching, devices, now)


def _alike(one: Entry, other: Entry) -> bool:
    """Whether both name the same, however it is written."""
    return (one.vidpid, one.serial) == (other.vidpid, other.serial)


def _at(busid: BusId, devices: Sequence[UsbDevice]) -> UsbDevice:
    for device in devices:
        if device.busid == busid:
            return device
    raise QvdUsbError(DEVICE_UNKNOWN, device=busid)


def one_of(target: BusId | Entry, devices: Sequence[UsbDevice]) -> UsbDevice | None:
    """Decides which of these devices is meant; None where an entry names one that is not plugged in.

    Raises:
        QvdUsbError: device-unknown, where nothing is at that port; device-ambiguous.
    """
    if isinstance(target, BusId):
        return _at(target, devices)
    matching = [device for device in devices if target.matches(device)]
    if len(matching) > 1:
        ports = ", ".join(str(device.busid) for device in matching)
        raise QvdUsbError(DEVICE_AMBIGUOUS, device=target, candidates=ports)
    return matching[0] if matching else None


def _refuse_locked(device: UsbDevice, locks: Mapping[BusId, QvdUsbError]) -> None:
    if device.busid in locks:
        raise locks[device.busid]
