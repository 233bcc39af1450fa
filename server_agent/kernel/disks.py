"""EFFECT: what the kernel asks of a lent disk at once: over a network each request costs a round trip.

Source: drivers/usb/storage/scsiglue.c (max_sectors), Documentation/ABI/stable/sysfs-block.
"""

import errno
import os
from dataclasses import dataclass
from pathlib import Path

from qvd_usbip.ids import DevNum
from qvd_usbip.uevent import place_of
from server_agent.state import Port

READ_AHEAD = 4  # requests that a program reading on and on has under way or in memory
_SECTORS = 2  # of 512 bytes in a KiB
_GONE = frozenset((errno.ENOENT, errno.ENODEV, errno.ENOTDIR, errno.ENXIO))


@dataclass(frozen=True, slots=True, kw_only=True)
class Disks:
    """The block devices below a sysfs root."""

    sysfs: Path

    def raise_limits(self, port: Port, number: DevNum, request_kib: int) -> bool:
        """Let requests to a disk be this large, and reading ahead four times that; what is larger already stays.

        Args:
            port: where the disk is believed to be; one that is elsewhere by now is left alone.
            number: its number; a partition's means nothing here, as it has its disk's limits.
            request_kib: in KiB; the kernel takes less where the driver or the controller can do less.

        Returns:
            Whether anything was written.

        Raises:
            OSError: the kernel would not.
        """
        try:
            fd = os.open(self.sysfs / "dev/block" / str(number), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            return self._is_at(fd, port) and _raised(Path(f"/proc/self/fd/{fd}"), request_kib)
        except OSError as error:
            if error.errno in _GONE:
                return False
            raise
        finally:
            os.close(fd)

    def _is_at(self, fd: int, port: Port) -> bool:
        """Whether the opened folder is a disk below this port; it stays this disk's, or every access to it fails."""
        path = Path(os.path.realpath(f"/proc/self/fd/{fd}"))
        sysfs = self.sysfs.resolve()
        if not path.is_relative_to(sysfs) or not (path / "queue").is_dir():
            return False
        place = place_of(f"/{path.relative_to(sysfs).as_posix()}")
        return place is not None and (place.hub, place.rhport) == (port.hub, port.rhport)


def _raised(disk: Path, request_kib: int) -> bool:
    """In this order: the driver's limit bounds the queue's, and a change of that one sets reading ahead anew."""
    driver = disk / "device/max_sectors"
    written = driver.exists() and _at_least(driver, request_kib * _SECTORS)
    most = int(_read(disk / "queue/max_hw_sectors_kb"))
    written |= _at_least(disk / "queue/max_sectors_kb", min(request_kib, most))
    return _at_least(disk / "queue/read_ahead_kb", request_kib * READ_AHEAD) or written


def _at_least(path: Path, value: int) -> bool:
    if int(_read(path)) >= value:
        return False
    path.write_text(f"{value}\n", encoding="ascii")
    return True


def _read(path: Path) -> str:
    return path.read_text(encoding="ascii").strip()
