"""PURE: descriptors as bytes.

Source: USB 2.0 specification, chapter 9; tables 9-8 to 9-16.
"""

import struct
from dataclasses import dataclass

DEVICE, CONFIGURATION, STRING, INTERFACE, ENDPOINT, ASSOCIATION = 1, 2, 3, 4, 5, 11
CONTROL, ISOCHRONOUS, BULK, INTERRUPT = 0, 1, 2, 3
MISCELLANEOUS = (0xEF, 2, 1)  # a device whose interfaces belong together by association
LANGUAGE = 0x0409


def descriptor(kind: int, body: bytes) -> bytes:
    """Any descriptor: its length and kind in front."""
    return bytes([len(body) + 2, kind]) + body


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who a device says it is."""

    vendor: int = 0x1209
    product: int = 0x0001
    serial: str = ""
    name: str = "Software device"
    maker: str = "qvd-usbip tests"
    usb: int = 0x0200
    classes: tuple[int, int, int] = (0, 0, 0)

    @property
    def strings(self) -> tuple[str, str, str]:
        """The strings with the numbers 1, 2 and 3."""
        return self.maker, self.name, self.serial

    def descriptor(self, configurations: int = 1) -> bytes:
        """The device descriptor."""
        numbers = (number if text else 0 for number, text in enumerate(self.strings, 1))
        return descriptor(
            DEVICE,
            struct.pack(
                "<H4BHHH4B", self.usb, *self.classes, 64 if self.usb < 0x0300 else 9, self.vendor, self.product,
                0x0100, *numbers, configurations,
            ),
        )  # fmt: skip


def configuration(parts: bytes, interfaces: int, number: int = 1, total: int | None = None) -> bytes:
    """A configuration with all that belongs to it; `total` is what it says of its length, if that is a lie."""
    length = 9 + len(parts) if total is None else total
    return descriptor(CONFIGURATION, struct.pack("<H5B", length, interfaces, number, 0, 0x80, 50)) + parts


def interface(number: int, endpoints: int, classes: tuple[int, int, int], alternate: int = 0) -> bytes:
    """An interface, its endpoints not included."""
    return descriptor(INTERFACE, bytes([number, alternate, endpoints, *classes, 0]))


def endpoint(address: int, attributes: int, size: int, interval: int = 0) -> bytes:
    """An endpoint; the address of one towards the host has 0x80 set."""
    return descriptor(ENDPOINT, struct.pack("<BBHB", address, attributes, size, interval))


def association(first: int, count: int, classes: tuple[int, int, int]) -> bytes:
    """Interfaces that one driver takes together."""
    return descriptor(ASSOCIATION, bytes([first, count, *classes, 0]))


def string(text: str) -> bytes:
    """A string; 126 UTF-16 units are the most."""
    return descriptor(STRING, text.encode("utf-16-le", "surrogatepass")[:252])


def languages() -> bytes:
    """String number 0: which languages there are."""
    return descriptor(STRING, struct.pack("<H", LANGUAGE))
