"""PURE: the numbers that the kernel gives device nodes of USB."""

from qvd_usbip.ids import DevNum


def number_of(bus: int, device: int) -> DevNum:
    """The number of /dev/bus/usb/BUS/DEVICE, both from 1. Source: usb_alloc_dev, usb_new_device, drivers/usb/core."""
    return DevNum(189, (bus - 1) * 128 + device - 1)
