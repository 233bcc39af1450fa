"""EFFECT: the file systems of a memory stick, and where they are mounted."""

from __future__ import annotations

import os

from client_gui.state import Volume
from qvd_usbip import classes
from qvd_usbip.errors import printable
from qvd_usbip.system.sysfs import read_attribute
from qvd_usbip.values import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from qvd_usbip.system.files import Location
    from qvd_usbip.usb import UsbDevice

_MOST_DISKS = 64
_SECTOR = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Filesystem:
    """One disk, partition, or what device mapper made of it: its node, kernel name, and every place of its mounts.

    `crypt` is the node of the partition that this is the opened form of, "" if it is none.
    """

    node: str
    volume: Volume
    places: tuple[str, ...] = ()
    crypt: str = ""


def is_storage(device: UsbDevice) -> bool:
    """Whether the device can have volumes at all."""
    return classes.has(device.interfaces, classes.STORAGE)


class Mounts:
    """Every mount point by the number of its device: read once, when the first one is asked for.

    Source: proc(5), mountinfo fields 3 and 5.
    """

    def __init__(self, root: Location = "/") -> None:
        self._root = root
        self._known: dict[str, tuple[str, ...]] | None = None

    def of(self, number: str) -> tuple[str, ...]:
        """Where the device with this number is mounted."""
        if self._known is None:
            self._known = _mounts(self._root)
        return self._known.get(number, ())


def filesystems_of(
    device: UsbDevice, usbroot: Location, mounts: Mounts, root: Location = "/"
) -> tuple[Filesystem, ...]:
    """Reads what is on the device: everything that is mounted or has a file system, as far as udev knows.

    Args:
        device: one that `is_storage`.
        usbroot: /sys/bus/usb/devices, or a folder that looks like it.
        mounts: what is mounted now.
        root: the folder that holds `run` and `sys`.
    """
    if not is_storage(device):
        return ()
    found = []
    for block, crypt in _blocks(os.path.join(usbroot, str(device.busid)), device, root):
        name, number = os.path.basename(block), read_attribute(block, "dev") or ""
        known = _udev(root, number)
        places = mounts.of(number)
        if not places and known.get("ID_FS_USAGE") != "filesystem" and not crypt:
            continue
        volume = Volume(
            name=printable(known.get("ID_FS_LABEL", "")) or name,
            path=printable(places[0]) if places else "",
            size=_size(block),
        )
        found.append(Filesystem(node=f"/dev/{name.replace('!', '/')}", volume=volume, places=places, crypt=crypt))
    return tuple(found)


def _blocks(folder: str, device: UsbDevice, root: Location) -> Iterator[tuple[str, str]]:
    """The sysfs folders of its disks, partitions, and opened encrypted partitions (with the node of the closed one)."""
    for disk in _below(folder, f"{device.busid}:", "host", "target", "", "block", ""):
        for block in (disk, *_below(disk, os.path.basename(disk))):
            yield block, ""
            for holder in _below(block, "holders", ""):
                yield os.path.join(root, "sys/class/block", os.path.basename(holder)), f"/dev/{os.path.basename(block)}"


def _below(folder: str, *beginnings: str) -> list[str]:
    """The first paths below the folder whose names, one after the other, begin so."""
    found = [folder]
    for beginning in beginnings:
        found = [os.path.join(each, name) for each in found for name in _names(each) if name.startswith(beginning)]
    return sorted(found)[:_MOST_DISKS]


def _names(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []  # no folder, or it went meanwhile


def _size(block: str) -> int:
    sectors = read_attribute(block, "size") or ""
    return int(sectors) * _SECTOR if sectors.isdecimal() and len(sectors) < 20 else 0


def _mounts(root: Location) -> dict[str, tuple[str, ...]]:
    mounts: dict[str, tuple[str, ...]] = {}
    try:
        with open(os.path.join(root, "proc/self/mountinfo"), "rb") as file:
            lines = file.read().split(b"\n")
    except OSError:
        return {}  # nobody can tell; the helper looks again, as root
    for line in lines:
        fields = os.fsdecode(line).split(" ")
        if len(fields) > 4:
            mounts[fields[2]] = (*mounts.get(fields[2], ()), _unescaped(fields[4]))
    return mounts


def _unescaped(text: str) -> str:
    for code, char in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        text = text.replace(code, char)
    return text


def _udev(root: Location, number: str) -> dict[str, str]:
    """What udev found out about a block device. Source: the lines `E:key=value` of udev's database."""
    try:
        with open(os.path.join(root, "run/udev/data", f"b{number}"), encoding="utf-8", errors="replace") as file:
            text = file.read()
    except OSError:
        return {}
    pairs = (line[2:].partition("=") for line in text.splitlines() if line.startswith("E:"))
    return {key: value for key, _, value in pairs}
