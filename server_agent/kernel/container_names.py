"""EFFECT: the containers that have something by their name in a folder: a cgroup, a pin, a mount, nodes."""

from pathlib import Path

from qvd_usbip.errors import QvdUsbError
from qvd_usbip.ids import VmId


def container_names(folder: Path) -> frozenset[VmId]:
    """The containers with an entry here; what is called otherwise is a stranger's and left out.

    Raises:
        OSError: the folder is there and does not say what is in it.
    """
    try:
        entries = [entry.name for entry in folder.iterdir()]
    except FileNotFoundError:
        return frozenset()
    return frozenset(name for entry in entries if (name := _name(entry)) is not None)


def _name(entry: str) -> VmId | None:
    try:
        return VmId.parse(entry)
    except QvdUsbError:
        return None
