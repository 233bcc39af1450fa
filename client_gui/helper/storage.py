"""EFFECT: whether a disk of the device is in use, asked so that the answer holds until the local driver is off."""

import errno
import os

from client_gui.helper.device import Block, Device
from qvd_usbip.errors import STORAGE_IN_USE, QvdUsbError


def hold(root: int, device: Device) -> list[int]:
    """Claims every disk and partition of the device exclusively, so that nobody can mount it any more.

    An exclusive open fails while the disk is mounted in whatever namespace, is swap, or is held by device mapper, md or
    a program that claimed it; while ours is open, all of that fails for others.

    Args:
        root: descriptor of the folder that holds `dev` and `proc`.
        device: the device to be taken.

    Returns:
        Open descriptors; close them once the local driver is off.

    Raises:
        QvdUsbError: storage-in-use, naming the disk and what uses it.

    Source: open(2) O_EXCL on block devices.
    """
    held: list[int] = []
    try:
        for block in device.blocks:
            if block.holders:
                raise _in_use(device, block, "held by " + ", ".join(block.holders))
            if (use := _mounted(root, block)) or (use := _swap(root, block)):
                raise _in_use(device, block, use)
            # the claim on a disk holds its partitions too, against ourselves as well
            if block.whole and (fd := _claim(root, device, block)) >= 0:
                held.append(fd)
    except BaseException:
        let_go(held)
        raise
    return held


def let_go(held: list[int]) -> None:
    """Closes what `hold` returned."""
    while held:
        os.close(held.pop())


def _in_use(device: Device, block: Block, use: str) -> QvdUsbError:
    return QvdUsbError(STORAGE_IN_USE, busid=str(device.busid), use=f"{block.name} {use}")


def _claim(root: int, device: Device, block: Block) -> int:
    name = block.name.replace("!", "/")
    try:
        fd = os.open(f"dev/{name}", os.O_RDONLY | os.O_EXCL | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=root)
    except OSError as error:
        if error.errno == errno.EBUSY:
            raise _in_use(device, block, "in use by another program") from None
        # no node, or no medium in the reader: nothing that could be mounted
        if error.errno in {errno.ENOENT, errno.ENODEV, errno.ENXIO, errno.ENOMEDIUM, errno.EIO}:
            return -1
        raise
    number = os.fstat(fd).st_rdev
    if f"{os.major(number)}:{os.minor(number)}" != block.number:
        os.close(fd)
        raise _in_use(device, block, "its node in /dev is another device's")
    return fd


def _lines(root: int, name: str) -> list[str]:
    try:
        fd = os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=root)
    except FileNotFoundError:
        return []
    with open(fd, encoding="utf-8", errors="surrogateescape") as lines:
        return lines.read().splitlines()


def _mounted(root: int, block: Block) -> str:
    """Where it is mounted, as far as this namespace sees. Source: proc(5), mountinfo field 3."""
    for line in _lines(root, "proc/self/mountinfo"):
        fields = line.split(" ")
        if len(fields) > 4 and fields[2] == block.number:
            return "mounted on " + fields[4].replace("\\040", " ")
    return ""


def _swap(root: int, block: Block) -> str:
    """Source: proc(5), /proc/swaps."""
    names = [line.split(" ")[0] for line in _lines(root, "proc/swaps")[1:]]
    return "used as swap" if f"/dev/{block.name}" in names else ""
