"""EFFECT: whether the devices' nodes are there and a member of the group, which this process is, may open them."""

import errno
import os
import stat
from collections.abc import Iterable
from pathlib import Path

from vma_hooks.acl import READ, WRITE
from vma_hooks.plan import confine

_OPEN_FLAGS = {READ: os.O_RDONLY, WRITE: os.O_WRONLY, READ | WRITE: os.O_RDWR}
_ACCESS = {READ: os.R_OK, WRITE: os.W_OK, READ | WRITE: os.R_OK | os.W_OK}
_USBFS = "bus/usb/"


def find_obstacle(names: Iterable[str], bits: int, dev: Path) -> str | None:
    """Say what keeps the user from the first node that cannot be opened.

    Args:
        names: nodes as the kernel calls them, `bus/usb/007/005`.
        bits: the rights members of the group were promised (4 read, 2 write).
        dev: /dev.

    Returns:
        None when every node can be opened; else a sentence's end, `/dev/sda: Permission denied`.

    Raises:
        QvdUsbError: NODE_REFUSED for a name that is none.
    """
    for name in names:
        path = dev.joinpath(*confine(name))
        try:
            _try_open(path, name, bits & (READ | WRITE) or READ)
        except OSError as error:
            return f"/dev/{name}: {error.strerror}"
    return None


def _try_open(path: Path, name: str, bits: int) -> None:
    """Open the usbfs node for real; the others only by asking, for opening a serial port or a tape does something."""
    mode = path.lstat().st_mode
    if not stat.S_ISCHR(mode) and not stat.S_ISBLK(mode):
        raise OSError(errno.ENODEV, "it is no device node")
    if name.startswith(_USBFS):
        os.close(os.open(path, _OPEN_FLAGS[bits] | os.O_CLOEXEC | os.O_NOFOLLOW))
    elif not os.access(path, _ACCESS[bits]):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
