"""EFFECT: the key that a client of the slave channel has to know; read by root, before root is given up."""

from qvd_usbip.errors import SLAVE_KEY_MISSING, QvdUsbError
from qvd_usbip.system.files import read_text


def read_key(path: str) -> str:
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
