"""PURE: the names of things: bus id, vendor and product, device number, hub, container. Strict to parse.

Light module: plain slotted classes, no imports but errors.
"""

from qvd_usbip import errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Self

_MAX_BUSID_BYTES = 31  # BUSID_SIZE - 1 in the kernel's usbip_common.h
_MAX_PORTS = 7  # a root port and six hubs: MAX_TOPO_LEVEL + 1
_MAX_MAJOR = 0xFFF
_MAX_MINOR = 0xFFFFF
MOST_PORTS = 255  # of a hub: bNbrPorts is a byte; kernels stop sooner, at 31 (USB_MAXCHILDREN), vhci_hcd at 15
_MAX_HUB = 127  # CONFIG_USBIP_VHCI_NR_HCS goes to 128
_MAX_VM_NAME = 63
LAST_ID = 0xFFFF_FFFE  # of users and groups; the kernel takes the one behind it for "none"
_HEX = "0123456789abcdefABCDEF"
_VM_NAME_PUNCTUATION = "_.-"


def decimal(text: str, most: int) -> "int | None":
    """The number these ASCII digits write, without sign, space or leading zero, if it is at most `most` (< 10**10)."""
    if not (0 < len(text) <= 10 and text.isascii() and text.isdigit()):
        return None
    number = int(text)
    return number if number <= most and str(number) == text else None


class Value:
    """Immutable, hashable, ordered within its own class: by its fields, in the order of __match_args__."""

    __slots__: tuple[str, ...] = ("_hash",)
    __match_args__: tuple[str, ...] = ()
    _hash: int

    def _set(self, **slots: object) -> None:
        for name, value in slots.items():
            object.__setattr__(self, name, value)

    def _key(self) -> "tuple[Any, ...]":
        return tuple(getattr(self, name) for name in self.__match_args__)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__} cannot be changed")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{type(self).__name__} cannot be changed")

    def __reduce__(self) -> "tuple[Any, ...]":
        return _restored, (type(self), *self._key())

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if not isinstance(other, type(self)):
            return NotImplemented
        return hash(self) == hash(other) and self._key() == other._key()

    def __hash__(self) -> int:
        try:
            return self._hash
        except AttributeError:  # kept: the agent asks for it a thousand times an event
            object.__setattr__(self, "_hash", hash(self._key()))
            return self._hash

    def __lt__(self, other: "Self") -> bool:
        return self._key() < other._key() if isinstance(other, type(self)) else NotImplemented

    def __le__(self, other: "Self") -> bool:
        return self._key() <= other._key() if isinstance(other, type(self)) else NotImplemented

    def __gt__(self, other: "Self") -> bool:
        return self._key() > other._key() if isinstance(other, type(self)) else NotImplemented

    def __ge__(self, other: "Self") -> bool:
        return self._key() >= other._key() if isinstance(other, type(self)) else NotImplemented

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.__match_args__)
        return f"{type(self).__name__}({shown})"


def _restored(kind: type[Value], *fields: object) -> Value:
    value = kind.__new__(kind)
    for name, field in zip(kind.__match_args__, fields, strict=True):
        object.__setattr__(value, name, field)
    return value


class BusId(Value):
    """Where a USB device is plugged in: bus 1, port 4, port 2 of the hub there is "1-4.2".

    `bus` and each of the one to seven `ports` (from the root hub on) count from 1.
    Source: Documentation/ABI/stable/sysfs-bus-usb; at most 31 bytes as usbip_common.h has it.
    """

    __match_args__ = ("bus", "ports")
    __slots__ = __match_args__
    bus: int
    ports: tuple[int, ...]

    def __init__(self, bus: int, ports: tuple[int, ...]) -> None:
        self._set(bus=bus, ports=ports)

    @classmethod
    def parse(cls, text: str) -> "Self":
        """Read "1-4.2". Raises: QvdUsbError busid-malformed for anything else, a root hub ("usb1") included."""
        bus, dash, path = text.partition("-")
        ports = path.split(".")
        fits = dash and len(text) <= _MAX_BUSID_BYTES and len(ports) <= _MAX_PORTS
        if not fits or not _counts(bus) or not all(_counts(port) for port in ports):
            raise errors.QvdUsbError(errors.BUSID_MALFORMED, value=text)
        return cls(int(bus), tuple(int(port) for port in ports))

    def __str__(self) -> str:
        return f"{self.bus}-{'.'.join(str(port) for port in self.ports)}"


def _counts(text: str) -> bool:
    return text.isascii() and text.isdigit() and text[0] != "0"


class VidPid(Value):
    """A device's vendor and product, 16 bits each; "0bda:58c2", always printed in lower case."""

    __match_args__ = ("vendor", "product")
    __slots__ = __match_args__
    vendor: int
    product: int

    def __init__(self, vendor: int, product: int) -> None:
        self._set(vendor=vendor, product=product)

    @classmethod
    def parse(cls, text: str) -> "Self":
        """Read "0bda:58c2", upper case too. Raises: QvdUsbError vidpid-malformed."""
        if len(text) != 9 or text[4] != ":" or not all(char in _HEX for char in text[:4] + text[5:]):
            raise errors.QvdUsbError(errors.VIDPID_MALFORMED, value=text)
        return cls(int(text[:4], 16), int(text[5:], 16))

    def __str__(self) -> str:
        return f"{self.vendor:04x}:{self.product:04x}"


class DevNum(Value):
    """A device node's number: major (12 bits) and minor (20 bits); "189:5". Block or char is not part of it."""

    __match_args__ = ("major", "minor")
    __slots__ = __match_args__
    major: int
    minor: int

    def __init__(self, major: int, minor: int) -> None:
        self._set(major=major, minor=minor)

    @classmethod
    def parse(cls, text: str) -> "Self":
        """Read "189:5" as in a sysfs `dev` file. Raises: QvdUsbError device-number-malformed."""
        major, _, minor = text.partition(":")
        majors, minors = decimal(major, _MAX_MAJOR), decimal(minor, _MAX_MINOR)
        if majors is None or minors is None:
            raise errors.QvdUsbError(errors.DEVICE_NUMBER_MALFORMED, value=text)
        return cls(majors, minors)

    def __str__(self) -> str:
        return f"{self.major}:{self.minor}"


class HubId(Value):
    """One virtual hub of vhci_hcd, by the number of its platform device."""

    __match_args__ = ("number",)
    __slots__ = __match_args__
    number: int

    def __init__(self, number: int) -> None:
        self._set(number=number)

    @classmethod
    def parse(cls, text: str) -> "Self":
        """Read "vhci_hcd.3". Raises: QvdUsbError hub-name-malformed."""
        stem, _, digits = text.partition(".")
        number = decimal(digits, _MAX_HUB)
        if stem != "vhci_hcd" or number is None:
            raise errors.QvdUsbError(errors.HUB_NAME_MALFORMED, value=text)
        return cls(number)

    @property
    def name(self) -> str:
        """The platform device: "vhci_hcd.3"."""
        return f"vhci_hcd.{self.number}"

    def __str__(self) -> str:
        return self.name


class VmId(Value):
    """An LXC container by name; safe as one component of a path."""

    __match_args__ = ("name",)
    __slots__ = __match_args__
    name: str

    def __init__(self, name: str) -> None:
        self._set(name=name)

    @classmethod
    def parse(cls, text: str) -> "Self":
        """Read a name of 1 to 63 ASCII letters, digits, `_.-`, the first a letter or digit.

        Raises: QvdUsbError container-name-malformed.
        """
        plain = text.isascii() and all(char.isalnum() or char in _VM_NAME_PUNCTUATION for char in text)
        if not plain or not 0 < len(text) <= _MAX_VM_NAME or not text[0].isalnum():
            raise errors.QvdUsbError(errors.CONTAINER_NAME_MALFORMED, value=text)
        return cls(text)

    def __str__(self) -> str:
        return self.name


def devid(busnum: int, devnum: int) -> int:
    """How USB/IP names a device on its own machine. Source: stub_probe, drivers/usb/usbip/stub_dev.c."""
    return busnum << 16 | devnum


def devid_is_sane(number: int) -> bool:
    """Whether a peer's devid can name a device at all: a bus from 1, an address from 1 to 127."""
    return 0x1_0000 <= number <= 0xFFFF_FFFF and 1 <= number & 0xFFFF <= 127
