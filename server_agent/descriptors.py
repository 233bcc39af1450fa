"""PURE: the descriptors of a device that is not authorised: there are no interfaces in sysfs yet, only these bytes."""

from collections.abc import Iterator, Mapping

from qvd_usbip.errors import DEVICE_REFUSED, QvdUsbError
from qvd_usbip.ids import BusId
from qvd_usbip.usb import Interface, UsbDevice, device_from_attributes

# Source: USB 2.0 specification, tables 9-5, 9-8, 9-12; include/uapi/linux/usb/ch9.h
DEVICE, INTERFACE = 1, 4
DEVICE_LENGTH, INTERFACE_LENGTH = 18, 9


def device_of(busid: BusId, attributes: Mapping[str, str], blob: bytes) -> UsbDevice:
    """The device as the kernel of this host enumerated it.

    Args:
        busid: its place here.
        attributes: sysfs attributes by name.
        blob: the content of `descriptors`: the device descriptor, then every configuration.

    Raises:
        QvdUsbError: device-refused when the bytes are no descriptors.
    """
    return device_from_attributes(busid, attributes, interfaces=interfaces(blob), below_vhci=True)


def interfaces(blob: bytes) -> Iterator[Interface]:
    """Every alternate setting of every interface of every configuration, in their order.

    Raises:
        QvdUsbError: device-refused when a length leads nowhere or out of the bytes.
    """
    for kind, body in descriptors(blob):
        if kind == INTERFACE and len(body) >= INTERFACE_LENGTH:
            yield Interface(
                number=body[2], alternate=body[3], cls=body[5], subclass=body[6], protocol=body[7], driver=""
            )


def descriptors(blob: bytes) -> Iterator[tuple[int, bytes]]:
    """Each descriptor's type and bytes, its two-byte head included."""
    if len(blob) < DEVICE_LENGTH or blob[1] != DEVICE:
        raise QvdUsbError(DEVICE_REFUSED, rule="it has no device descriptor")
    place = 0
    while place < len(blob):
        length = blob[place]
        if length < 2 or place + length > len(blob):
            # The kernel keeps what the device sent, cut at a configuration's own length; from here nothing counts.
            return
        yield blob[place + 1], blob[place : place + length]
        place += length
