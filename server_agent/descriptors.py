"""PURE: the descriptors of a device that is not authorised: there are no interfaces in sysfs yet, only these bytes."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from qvd_usbip.errors import DEVICE_REFUSED, QvdUsbError
from qvd_usbip.ids import BusId
from qvd_usbip.usb import Interface, UsbDevice, device_from_attributes

# Source: USB 2.0 specification, tables 9-5, 9-8, 9-12; include/uapi/linux/usb/ch9.h
DEVICE, INTERFACE, ENDPOINT = 1, 4, 5
DEVICE_LENGTH, INTERFACE_LENGTH, ENDPOINT_LENGTH = 18, 9, 7
TRANSFER_TYPE, ISOCHRONOUS = 0x03, 0x01
# Source: drivers/usb/core/sysfs.c: the file ends here, however many configurations of 65535 bytes a device has.
LONGEST = DEVICE_LENGTH + 65535


@dataclass(frozen=True, slots=True, kw_only=True)
class Enumerated:
    """What a device turned out to be, before any driver had it.

    Args:
        isochronous: an alternate setting of any configuration has an isochronous endpoint.
        complete: all its descriptors were seen; else nothing can be said about the rest.
    """

    device: UsbDevice
    isochronous: bool
    complete: bool


def enumerated(busid: BusId, attributes: Mapping[str, str], blob: bytes) -> Enumerated:
    """The device as the kernel of this host enumerated it.

    Args:
        busid: its place here.
        attributes: sysfs attributes by name.
        blob: the content of `descriptors`: the device descriptor, then every configuration.

    Raises:
        QvdUsbError: device-refused when the bytes are no descriptors.
    """
    return Enumerated(
        device=device_from_attributes(busid, attributes, interfaces=interfaces(blob), below_vhci=True),
        isochronous=any(map(is_isochronous, descriptors(blob))),
        complete=is_complete(blob),
    )


def is_isochronous(descriptor: tuple[int, bytes]) -> bool:
    """Whether this is an endpoint of the isochronous kind, wherever it stands: the kernel would use fewer, never more.

    Source: drivers/usb/core/config.c, usb_parse_endpoint.
    """
    kind, body = descriptor
    return kind == ENDPOINT and len(body) >= ENDPOINT_LENGTH and body[3] & TRANSFER_TYPE == ISOCHRONOUS


def is_complete(blob: bytes) -> bool:
    """Whether the bytes are all there is, and every one of them belongs to a descriptor.

    The kernel cuts each configuration where it stopped understanding it, so a rest is none of its making.
    """
    return len(blob) < LONGEST and sum(len(body) for _, body in descriptors(blob)) == len(blob)


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
