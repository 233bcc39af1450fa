"""PURE: what a person would call a device, judged by its interfaces and, where those say nothing, by its maker."""

from __future__ import annotations

import enum

from qvd_usbip import classes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from qvd_usbip.usb import UsbDevice


class Kind(enum.StrEnum):
    """What a person would call the device."""

    CAMERA = "camera"
    MICROPHONE = "microphone"
    MEMORY_STICK = "memory-stick"
    SECURITY_KEY = "security-key"
    SERIAL_ADAPTER = "serial-adapter"
    HEADSET = "headset"
    KEYBOARD = "keyboard"
    MOUSE = "mouse"
    PRINTER = "printer"
    SCANNER = "scanner"
    PHONE = "phone"
    NETWORK_ADAPTER = "network-adapter"
    BLUETOOTH_ADAPTER = "bluetooth-adapter"
    HUB = "hub"
    DEVICE = "device"


# FIDO keys are plain HID devices to the class codes: Yubico, Feitian, Nitrokey, Token2, GoTrust.
_KEY_MAKERS = frozenset((0x1050, 0x096E, 0x20A0, 0x349E, 0x32A3))
_KEY_PRODUCTS = frozenset(((0x0483, 0xA2CA), (0x1209, 0xBEEE), (0x18D1, 0x5026), (0x18D1, 0x9470)))  # SoloKeys, Titan
# Serial converters have vendor-specific classes: FTDI, Prolific, Silicon Labs, WCH.
_SERIAL_MAKERS = frozenset((0x0403, 0x067B, 0x10C4, 0x1A86))
_KEEPING = frozenset((Kind.MEMORY_STICK, Kind.PHONE))  # a phone or photo camera gives its files by PTP or MTP


def kind_of(device: UsbDevice) -> Kind:
    """The first name that fits; a device that has several faces gets the one that says most about its use."""
    return next((kind for kind, fits in _NAMES if fits(device)), Kind.DEVICE)


def faces_of(device: UsbDevice) -> tuple[Kind, ...]:
    """Every name that fits, the one that `kind_of` gives first: a webcam is a camera and a microphone."""
    faces = tuple(kind for kind, fits in _NAMES if fits(device))
    if Kind.HEADSET in faces:
        faces = tuple(kind for kind in faces if kind is not Kind.MICROPHONE)
    return faces or (Kind.DEVICE,)


def keeps_data(faces: Iterable[Kind]) -> bool:
    """Whether whoever has a device with these faces can read, change and delete what is stored on it."""
    return not _KEEPING.isdisjoint(faces)


def _having(*patterns: classes.Pattern) -> Callable[[UsbDevice], bool]:
    return lambda device: classes.has(device.interfaces, patterns)


def _is_hub(device: UsbDevice) -> bool:
    return classes.is_hub(device.cls, device.interfaces)


def _is_network(device: UsbDevice) -> bool:
    return classes.is_network(device.interfaces)


def _is_serial(device: UsbDevice) -> bool:
    if classes.has(device.interfaces, classes.SERIAL):
        return True
    if any(each.driver in classes.SERIAL_DRIVERS for each in device.interfaces):
        return True
    return device.vidpid.vendor in _SERIAL_MAKERS and classes.has(device.interfaces, classes.VENDOR)


def _is_security_key(device: UsbDevice) -> bool:
    if classes.has(device.interfaces, classes.SMART_CARD):
        return True
    maker, product = device.vidpid.vendor, device.vidpid.product
    known = maker in _KEY_MAKERS or (maker, product) in _KEY_PRODUCTS
    return known and classes.has(device.interfaces, classes.INPUT) and not _has_pointer(device)


def _has_pointer(device: UsbDevice) -> bool:
    return classes.has(device.interfaces, classes.MOUSE)


def _is_headset(device: UsbDevice) -> bool:
    streams = sum(each.cls == 0x01 and each.subclass == 0x02 for each in device.interfaces)
    return streams >= 2 or (streams == 1 and classes.has(device.interfaces, classes.INPUT))


def _is_scanner(device: UsbDevice) -> bool:
    return "scan" in device.product.lower() and classes.has(device.interfaces, classes.VENDOR)


_NAMES: tuple[tuple[Kind, Callable[[UsbDevice], bool]], ...] = (
    (Kind.HUB, _is_hub),
    (Kind.BLUETOOTH_ADAPTER, _having(*classes.BLUETOOTH)),
    (Kind.NETWORK_ADAPTER, _is_network),
    (Kind.CAMERA, _having(*classes.VIDEO)),
    (Kind.PRINTER, _having(*classes.PRINTER)),
    (Kind.PHONE, _having(*classes.STILL_IMAGE)),
    (Kind.MEMORY_STICK, _having(*classes.STORAGE)),
    (Kind.SERIAL_ADAPTER, _is_serial),
    (Kind.SECURITY_KEY, _is_security_key),
    (Kind.HEADSET, _is_headset),
    (Kind.MICROPHONE, _having(*classes.AUDIO)),
    (Kind.KEYBOARD, _having(*classes.KEYBOARD)),
    (Kind.MOUSE, _having(*classes.MOUSE)),
    (Kind.SCANNER, _is_scanner),
)
