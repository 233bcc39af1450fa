"""PURE: a USB device as the kernel describes it in sysfs."""

from __future__ import annotations

import enum

from qvd_usbip import errors, ids, vhci
from qvd_usbip.errors import printable
from qvd_usbip.kinds import Kind, kind_of
from qvd_usbip.values import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = [
    "Interface",
    "Kind",
    "Speed",
    "UsbDevice",
    "device_from_attributes",
    "interface_from_attributes",
    "kind_of",
    "printable",
]


class Speed(enum.IntEnum):
    """A device's speed by the number that the kernel and USB/IP give it. Source: include/uapi/linux/usb/ch9.h."""

    LOW = vhci.LOW
    FULL = vhci.FULL
    HIGH = vhci.HIGH
    SUPER = vhci.SUPER
    SUPER_PLUS = vhci.SUPER_PLUS


@dataclass(frozen=True, slots=True, kw_only=True)
class Interface:
    """One interface of a device: its numbers from the descriptor, and the local driver that has it ("" if none)."""

    number: int
    alternate: int = 0
    cls: int
    subclass: int = 0
    protocol: int = 0
    driver: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class UsbDevice:
    """One plugged-in device. Its strings come from the device: opaque, hostile; show them through printable()."""

    busid: ids.BusId
    vidpid: ids.VidPid
    serial: str = ""
    product: str = ""
    manufacturer: str = ""
    cls: int = 0
    speed: Speed = Speed.FULL
    busnum: int
    devnum: int
    driver: str = ""
    interfaces: tuple[Interface, ...] = ()
    below_vhci: bool = False

    @property
    def fingerprint(self) -> str:
        """What the device says it is, as 64 hexadecimal digits: the same after a replug and on another port.

        Neither drivers nor alternate settings are part of it, as both change while the device is used.
        """
        import hashlib  # noqa: PLC0415  # a tenth of what a listing costs, which asks for no fingerprint

        shape = sorted({(each.number, each.cls, each.subclass, each.protocol) for each in self.interfaces})
        identity = repr((str(self.vidpid), self.serial, self.product, self.manufacturer, self.cls, shape))
        return hashlib.sha256(identity.encode("utf-8", "surrogatepass")).hexdigest()

    @property
    def devid(self) -> int:
        """How USB/IP names it."""
        return ids.devid(self.busnum, self.devnum)


def device_from_attributes(
    busid: ids.BusId,
    attributes: Mapping[str, str],
    *,
    interfaces: Iterable[Interface] = (),
    driver: str = "",
    below_vhci: bool = False,
) -> UsbDevice:
    """Read a device from its sysfs attributes: file name → content without the line end.

    Raises: QvdUsbError sysfs-unreadable if one that every device has is missing or no number.
    """
    return UsbDevice(
        busid=busid,
        vidpid=ids.VidPid(_number(busid, attributes, "idVendor", 16), _number(busid, attributes, "idProduct", 16)),
        serial=attributes.get("serial", ""),
        product=attributes.get("product", ""),
        manufacturer=attributes.get("manufacturer", ""),
        cls=_number(busid, attributes, "bDeviceClass", 16),
        speed=Speed(vhci.speed_of(attributes.get("speed", ""))),
        busnum=_number(busid, attributes, "busnum", 10),
        devnum=_number(busid, attributes, "devnum", 10),
        driver=driver,
        interfaces=tuple(sorted(interfaces, key=lambda each: (each.number, each.alternate))),
        below_vhci=below_vhci,
    )


def interface_from_attributes(busid: ids.BusId, attributes: Mapping[str, str], driver: str = "") -> Interface:
    """Read an interface from its sysfs attributes. Raises: QvdUsbError sysfs-unreadable, naming the device."""
    return Interface(
        number=_number(busid, attributes, "bInterfaceNumber", 16),
        alternate=_number(busid, attributes, "bAlternateSetting", 10),
        cls=_number(busid, attributes, "bInterfaceClass", 16),
        subclass=_number(busid, attributes, "bInterfaceSubClass", 16),
        protocol=_number(busid, attributes, "bInterfaceProtocol", 16),
        driver=driver,
    )


def _number(busid: ids.BusId, attributes: Mapping[str, str], name: str, base: int) -> int:
    text = attributes.get(name, "").strip(" ")  # bAlternateSetting is written with width 2
    digits = "0123456789abcdef"[:base]
    if not 0 < len(text) <= 4 or not all(char in digits for char in text):
        raise errors.QvdUsbError(errors.SYSFS_UNREADABLE, busid=busid, reason=f"{name} is '{text}'")
    return int(text, base)
