"""EFFECT: the kernel's usbip-host driver: the only sysfs files the helper ever writes are named here.

What the driver's table of busids does (read in drivers/usb/usbip/stub_main.c of 6.1): an entry is *added* by "add" and
turned *bound* by a successful bind; unbind turns it *added* again; "del" forgets nothing while it is added and spoils
the busid while it is bound; only "rebind" forgets it. But "rebind" follows a pointer that only a successful bind sets
and that dangles once the device is unplugged: writing it at any other time oopses the kernel.
"""

import errno
import os

from client_gui.helper.device import Device, driver_of, read_text
from qvd_usbip.errors import USBIP_HOST_UNAVAILABLE, QvdUsbError
from qvd_usbip.ids import BusId

NAME = "usbip-host"
AVAILABLE, USED, UNUSABLE = 1, 2, 3
SLOTS = 16
_DRIVER = "sys/bus/usb/drivers/" + NAME
_BUS = "sys/bus/usb"
_REFUSALS = {
    errno.ENODEV,
    errno.EBUSY,
    errno.EINVAL,
    errno.ENOENT,
    errno.ENXIO,
    errno.EIO,
    errno.EPERM,
    errno.ENOMEM,
}
MODPROBE = ("/usr/sbin/modprobe", "/sbin/modprobe")


def write(folder: int, name: str, text: str) -> None:
    """Writes one sysfs attribute, in one system call.

    Raises:
        OSError: what the kernel answered.
    """
    fd = os.open(name, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW, dir_fd=folder)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


def tried(folder: int, name: str, text: str) -> bool:
    """Returns whether the kernel took one write."""
    try:
        write(folder, name, text)
    except OSError as error:
        if error.errno in _REFUSALS:
            return False
        raise
    return True


def opened(root: int) -> int:
    """Returns a descriptor of the driver's folder, -1 where the module is not loaded."""
    try:
        return os.open(_DRIVER, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=root)
    except OSError as error:
        if error.errno != errno.ENOENT:
            raise
        return -1


def load(root: int) -> int:
    """Returns a descriptor of the driver's folder, after loading the module where it is missing.

    Raises:
        QvdUsbError: usbip-host-unavailable.
    """
    driver = opened(root)
    if driver < 0:
        _modprobe()
        driver = opened(root)
    if driver < 0:
        raise QvdUsbError(USBIP_HOST_UNAVAILABLE, reason="modprobe usbip-host did not bring it")
    return driver


def _modprobe() -> None:
    """Runs modprobe by its fixed path with an empty environment; whether it helped is seen in sysfs."""
    null = [(os.POSIX_SPAWN_OPEN, fd, "/dev/null", os.O_RDWR, 0) for fd in range(3)]
    for program in MODPROBE:
        try:
            child = os.posix_spawn(program, [program, "-q", NAME], {}, file_actions=null)
        except OSError as error:
            if error.errno != errno.ENOENT:
                raise
            continue
        os.waitpid(child, 0)
        return


def entries(driver: int) -> list[str]:
    """Returns the busids in the driver's table."""
    return (read_text(driver, "match_busid") or "").split()


def take_off(device: Device) -> None:
    """Takes the device from the local driver it has.

    Raises:
        OSError: what the kernel answered.
    """
    if driver_of(device.folder):
        write(device.folder, "driver/unbind", str(device.busid))


def bind(driver: int, busid: BusId) -> None:
    """Binds a device without a driver to usbip-host.

    The entry is added only once the device has no driver: so an entry always belongs to a device on which the bind can
    be completed, which is the only way to get rid of it again.

    Raises:
        OSError: what the kernel answered to the first write it refused.
    """
    write(driver, "match_busid", f"add {busid}")
    write(driver, "bind", str(busid))


def release(root: int, driver: int, device: Device) -> None:
    """Unbinds a device from usbip-host, forgets its busid and lets its local driver have it."""
    busid = str(device.busid)
    pins = _pin(root, device)
    try:
        unbound = tried(driver, "unbind", busid)
        tried(driver, "match_busid", f"del {busid}")
        if unbound and pins and read_text(device.folder, "devnum") == str(device.devnum):
            tried(driver, "rebind", busid)
    finally:
        for pin in pins:
            os.close(pin)


def forget(driver: int, busid: BusId) -> None:
    """Asks the table to forget a busid that is not bound; only some states of an entry can be forgotten this way."""
    if str(busid) in entries(driver):
        tried(driver, "match_busid", f"del {busid}")


def probe(root: int, busid: BusId) -> None:
    """Lets the local drivers look at a device that has none; the kernel's answer "nobody wants it" is no failure."""
    bus = os.open(_BUS, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=root)
    try:
        tried(bus, "drivers_probe", str(busid))
    finally:
        os.close(bus)


def status(device: Device) -> int | None:
    """Returns AVAILABLE, USED or UNUSABLE; None when the driver does not hold the device (any more)."""
    text = read_text(device.folder, "usbip_status")
    return int(text) if text is not None and text.isdigit() else None


def export(device: Device, socket: int) -> None:
    """Hands a connected stream socket to the driver, which takes its own reference.

    Raises:
        OSError: EINVAL whatever the reason was.

    Source: drivers/usb/usbip/stub_dev.c usbip_sockfd_store().
    """
    write(device.folder, "usbip_sockfd", str(socket))


def _pin(root: int, device: Device) -> list[int]:
    """Opens the device's own usbfs node, which keeps the kernel's device in memory while "rebind" looks at it.

    Without it the device comes back by a probe, and its place in the table comes free with the next loan.
    """
    try:
        node = os.open(
            f"dev/bus/usb/{device.busnum:03}/{device.devnum:03}",
            os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW,
            dir_fd=root,
        )
    except OSError as error:
        if error.errno in {errno.ENOENT, errno.ENODEV, errno.ENXIO, errno.EACCES, errno.EPERM}:
            return []
        raise
    return [node]
