"""PURE: USB class codes by the names that rules, gate and picker use.

Light module. Source: the class codes usb.org defines, and the drivers in the kernel's drivers/net/usb.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Protocol

    class InterfaceLike(Protocol):
        """What is read of an interface: usb.Interface has it, and so may the helper's own light one."""

        @property
        def cls(self) -> int:
            """Class code."""

        @property
        def subclass(self) -> int:
            """Subclass code."""

        @property
        def protocol(self) -> int:
            """Protocol code."""

        @property
        def driver(self) -> str:
            """The local driver, "" if none."""


# Class, subclass, protocol; None fits any.
Pattern = tuple[int, "int | None", "int | None"]

AUDIO: tuple[Pattern, ...] = ((0x01, None, None),)
BLUETOOTH: tuple[Pattern, ...] = ((0xE0, 0x01, 0x01), (0xE0, 0x01, 0x04))
_HUB_CLASS = 0x09
HUB: tuple[Pattern, ...] = ((_HUB_CLASS, None, None),)
INPUT: tuple[Pattern, ...] = ((0x03, None, None),)
KEYBOARD: tuple[Pattern, ...] = ((0x03, 0x01, 0x01),)
MOUSE: tuple[Pattern, ...] = ((0x03, 0x01, 0x02),)
NETWORK: tuple[Pattern, ...] = (
    (0x02, 0x02, 0xFF),  # RNDIS as Linux gadgets and old phones say it
    (0x02, 0x06, None),  # Ethernet
    (0x02, 0x0C, None),  # Ethernet emulation
    (0x02, 0x0D, None),  # NCM
    (0x02, 0x0E, None),  # MBIM
    (0xE0, 0x01, 0x03),  # RNDIS
    (0xEF, 0x04, 0x01),  # RNDIS
)
PRINTER: tuple[Pattern, ...] = ((0x07, None, None),)
SERIAL: tuple[Pattern, ...] = ((0x02, 0x02, None),)
SMART_CARD: tuple[Pattern, ...] = ((0x0B, None, None),)
STILL_IMAGE: tuple[Pattern, ...] = ((0x06, None, None),)
STORAGE: tuple[Pattern, ...] = ((0x08, None, None),)
VENDOR: tuple[Pattern, ...] = ((0xFF, None, None),)
VIDEO: tuple[Pattern, ...] = ((0x0E, None, None),)

# fmt: off
# Network adapters without a class of their own are known by the driver that took them.
NETWORK_DRIVERS = frozenset((
    "asix", "ax88179_178a", "aqc111", "ath9k_htc", "carl9170", "catc", "cdc_ether", "cdc_mbim", "cdc_ncm", "dm9601",
    "hso", "huawei_cdc_ncm", "ipheth", "kaweth", "lan78xx", "mcs7830", "mt7601u", "mt76x0u", "mt76x2u", "mt7921u",
    "pegasus", "qmi_wwan", "r8152", "r8153_ecm", "rndis_host", "rt2800usb", "rtl8150", "rtl8192cu", "rtl8xxxu",
    "rtw_8821cu", "rtw_8822bu", "rtw_8822cu", "sierra_net", "smsc75xx", "smsc95xx", "sr9700", "zd1211rw",
))
SERIAL_DRIVERS = frozenset((
    "ark3116", "cdc_acm", "ch341", "cp210x", "cypress_m8", "f81232", "ftdi_sio", "io_ti", "keyspan", "mct_u232",
    "mos7720", "mos7840", "mxuport", "pl2303", "ti_usb_3410_5052", "usbserial", "usbserial_generic", "xr_serial",
))
# fmt: on


def has(interfaces: "Iterable[InterfaceLike]", patterns: tuple[Pattern, ...]) -> bool:
    """Whether one of the interfaces fits one of the patterns."""
    for each in interfaces:
        for cls, subclass, protocol in patterns:  # written out: a list of devices asks thousands of times
            if each.cls == cls and subclass in (None, each.subclass) and protocol in (None, each.protocol):
                return True
    return False


def is_hub(cls: int, interfaces: "Iterable[InterfaceLike]") -> bool:
    """Whether a device of this class with these interfaces is a hub."""
    return cls == _HUB_CLASS or has(interfaces, HUB)


def is_network(interfaces: "Iterable[InterfaceLike]") -> bool:
    """Whether one of the interfaces is a network adapter, by its codes or by the driver that took it."""
    each = tuple(interfaces)
    return has(each, NETWORK) or any(interface.driver in NETWORK_DRIVERS for interface in each)
