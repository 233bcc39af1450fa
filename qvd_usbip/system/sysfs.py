"""EFFECT: reads USB devices from sysfs. `usbroot` is /sys/bus/usb/devices, or a folder that looks like it."""

from __future__ import annotations

import errno
import os

from qvd_usbip import errors, ids
from qvd_usbip.reset import NO_NUMBER, RESETS, UNDER_ITS_LOCK
from qvd_usbip.usb import Interface, UsbDevice, device_from_attributes, interface_from_attributes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from qvd_usbip.system.files import Location

_LIMIT = 4096  # a sysfs attribute is one page at most
_MAX_DEVICES = 4096
_GONE = frozenset((errno.ENOENT, errno.ENODEV, errno.ENXIO, errno.ENOTDIR, errno.EIO, errno.EPIPE))
_DEVICE_ATTRIBUTES = (
    "idVendor", "idProduct", "bDeviceClass", "speed", "busnum", "devnum", "serial", "product", "manufacturer",
)  # fmt: skip
_INTERFACE_ATTRIBUTES = (
    "bInterfaceNumber", "bAlternateSetting", "bInterfaceClass", "bInterfaceSubClass", "bInterfaceProtocol",
)  # fmt: skip


def read_attribute(folder: Location | int, name: str) -> str | None:
    """One attribute's content without the line end, bytes that are no UTF-8 replaced; None if it is not there.

    Args: folder: path or directory descriptor of the device.
    Raises: OSError for anything but a device or attribute that is gone.
    """
    path, folder_descriptor = (name, folder) if isinstance(folder, int) else (os.path.join(folder, name), None)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK, dir_fd=folder_descriptor)
        try:
            return os.read(descriptor, _LIMIT).decode("utf-8", "replace").removesuffix("\n")
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno in _GONE:
            return None
        raise


def list_busids(usbroot: Location) -> list[ids.BusId]:
    """The devices that are plugged in, sorted, without root hubs and interfaces; none where there is no USB at all."""
    try:
        names = os.listdir(usbroot)[:_MAX_DEVICES]
    except OSError as error:
        if error.errno in _GONE:
            return []
        raise
    return sorted(busid for name in names if (busid := _busid(name)) is not None)


def read_device(usbroot: Location, busid: ids.BusId) -> UsbDevice | None:
    """One device as it is now; None if it is not there, or goes while it is read."""
    place = os.path.join(usbroot, str(busid))
    try:
        folder = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in _GONE:
            return None
        raise
    try:
        return _read_device(folder, busid, below_vhci="/vhci_hcd." in _link(place))
    finally:
        os.close(folder)


def _read_device(folder: int, busid: ids.BusId, *, below_vhci: bool) -> UsbDevice | None:
    """By the folder's descriptor: that is quicker than by a path, and what is read is of one device, whatever comes.

    The end of a reset is waited for.
    """
    attributes = _attributes(folder, "", _DEVICE_ATTRIBUTES)
    if "idVendor" not in attributes:
        return None
    for _ in range(RESETS):
        if attributes.get("devnum") != NO_NUMBER:
            break
        read_attribute(folder, UNDER_ITS_LOCK)
        attributes["devnum"] = read_attribute(folder, "devnum") or ""
    try:
        return device_from_attributes(
            busid,
            attributes,
            interfaces=_interfaces(folder, busid),
            driver=_driver(folder, "driver"),
            below_vhci=below_vhci,
        )
    except errors.QvdUsbError:
        if read_attribute(folder, "idVendor") is None:  # it went between two attributes
            return None
        raise


def _link(place: str) -> str:
    """Where a link leads, by its own word; "" for what is none, or is gone."""
    try:
        return os.readlink(place)
    except OSError:
        return ""


def _driver(folder: int, link: str) -> str:
    """The name of the driver that this link says, "" if none has the device or interface."""
    try:
        return os.readlink(link, dir_fd=folder).rpartition("/")[2]
    except OSError as error:
        if error.errno in _GONE:
            return ""
        raise


def _interfaces(folder: int, busid: ids.BusId) -> list[Interface]:
    """The interfaces of the chosen configuration; a device that is not authorised has none."""
    beginning = f"{busid}:"
    try:
        names = sorted(name for name in os.listdir(folder) if name.startswith(beginning))
    except OSError as error:
        if error.errno in _GONE:
            return []
        raise
    found: list[Interface] = []
    for name in names:
        attributes = _attributes(folder, f"{name}/", _INTERFACE_ATTRIBUTES)
        if len(attributes) == len(_INTERFACE_ATTRIBUTES):  # else it goes while it is read
            found.append(interface_from_attributes(busid, attributes, _driver(folder, f"{name}/driver")))
    return found


def _attributes(folder: int, inside: str, names: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for name in names:
        value = read_attribute(folder, inside + name)
        if value is not None:
            found[name] = value
    return found


def _busid(name: str) -> ids.BusId | None:
    try:
        return ids.BusId.parse(name)
    except errors.QvdUsbError:
        return None
