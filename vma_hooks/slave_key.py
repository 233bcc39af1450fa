"""EFFECT: the key that a client of the slave channel has to know; read by root, before root is given up."""

import os
import stat

from qvd_usbip.errors import SLAVE_KEY_MISSING, SLAVE_KEY_UNSAFE, QvdUsbError
from qvd_usbip.system.files import read_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container


def read_key(path: str) -> str:
    """Read the slave key where nobody else can have read or written it.

    Raises:
        QvdUsbError: SLAVE_KEY_UNSAFE when others than root and this process's user may have; else as key_in.
    """
    key = key_in(path)
    if who_else(os.stat(path), (0, os.geteuid())):
        raise QvdUsbError(SLAVE_KEY_UNSAFE, path=path)
    return key


def key_in(path: str) -> str:
    """Read the slave key, the first line of its file.

    Raises:
        QvdUsbError: SLAVE_KEY_MISSING when the file or its first line is not there; CONFIG_* when it cannot be read.
    """
    try:
        lines = read_text(path).splitlines()
    except FileNotFoundError:
        lines = []
    if not lines or not lines[0].strip():
        raise QvdUsbError(SLAVE_KEY_MISSING, path=path)
    return lines[0].strip()


def who_else(found: os.stat_result, owners: "Container[int]") -> str:
    """Say who besides its owner may know the key in a file, or who else has written it; empty when nobody.

    Args:
        found: the file.
        owners: the users whose word counts.
    """
    if found.st_mode & 0o077:
        return f"others than its owner may read it (mode {stat.S_IMODE(found.st_mode):04o})"
    return "" if found.st_uid in owners else f"it belongs to user {found.st_uid}, not to root"
