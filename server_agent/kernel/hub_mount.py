"""EFFECT: the folder a container gets as its sys/devices/platform: empty, but for the one hub mounted in it.

Of a hub that is shared only the two buses are mounted: its `attach` and `detach` rule the other tenants' ports too.
"""

import ctypes
import errno
import os
import re
from dataclasses import dataclass
from pathlib import Path

from qvd_usbip.errors import QvdUsbError
from qvd_usbip.ids import HubId, VmId
from qvd_usbip.port_range import ALL_PORTS, PortRange
from server_agent.kernel.container_names import container_names

# Flags of mount(2) and umount(2). Source: include/uapi/linux/mount.h
MS_NOSUID, MS_NOEXEC, MS_BIND, MNT_DETACH, UMOUNT_NOFOLLOW = 2, 8, 4096, 2, 8
MOUNTINFO = Path("/proc/self/mountinfo")
POINT_FIELD = 4
_QVDS_OWN = re.compile("QVD-[0-9]+")  # of QVD 4.2, for its container qvd-N; a removed folder takes a mount on it along


@dataclass(frozen=True, slots=True, kw_only=True)
class HubMounts:
    """The folders of all containers.

    Args:
        devicefs: path.storage.devicefs.
        sysfs: "/sys".
    """

    devicefs: Path
    sysfs: Path

    def make(self, name: VmId, hub: HubId | None, ports: PortRange = ALL_PORTS) -> None:
        """The container's folder, with this hub, or the buses of one that it shares, mounted in it and nothing else.

        Raises:
            OSError: it could not be made; what was begun is undone by `remove`.
        """
        self.remove(name)
        folder = self._folder(name)
        folder.mkdir(mode=0o755, parents=True)
        if hub is not None:
            source, point = self.sysfs / "devices/platform" / hub.name, folder / hub.name
            point.mkdir(mode=0o755)
            if ports == ALL_PORTS:
                mount_bind(source, point)
                return
            for bus in sorted(source.glob("usb[0-9]*")):
                (point / bus.name).mkdir(mode=0o755)
                mount_bind(bus, point / bus.name)

    def remove(self, name: VmId) -> None:
        """Unmount the hub and remove the folder; one that is not there is fine.

        Raises:
            OSError: something of another kind is in it.
        """
        folder = self._folder(name)
        for point in reversed(mounts_below(folder)):
            unmount(point)
        for parent, _, _ in os.walk(folder, topdown=False):
            Path(parent).rmdir()

    def mounted(self, name: VmId) -> HubId | None:
        """The hub that is mounted for a container."""
        folder = self._folder(name)
        tops = (point.relative_to(folder).parts[0] for point in mounts_below(folder))
        return next((hub for top in tops if (hub := _hub(top)) is not None), None)

    def known(self) -> frozenset[VmId]:
        """Every container with a folder; QVD's own are not ours to remove: its containers have their hubs there."""
        return frozenset(name for name in container_names(self.devicefs) if _QVDS_OWN.fullmatch(str(name)) is None)

    def _folder(self, name: VmId) -> Path:
        """The container's folder as the kernel names it in its list of mounts, which knows no links."""
        return self.devicefs.resolve() / str(name)


def mounts_below(folder: Path) -> list[Path]:
    """The mount points strictly below a folder, outermost first.

    Source: proc_pid_mountinfo(5): blanks and backslashes are written as octal escapes.
    """
    prefix = f"{folder}/"
    points = []
    for line in MOUNTINFO.read_text(encoding="utf-8", errors="surrogateescape").splitlines():
        point = _unescaped(line.split(" ")[POINT_FIELD])
        if point.startswith(prefix):
            points.append(Path(point))
    return points


def _unescaped(text: str) -> str:
    for code in ("\\040", "\\011", "\\012", "\\134"):
        text = text.replace(code, chr(int(code[1:], 8)))
    return text


def mount_bind(source: Path, point: Path) -> None:
    """Show a folder at another place too.

    Raises:
        OSError: the kernel would not.
    """
    _checked("mount", os.fsencode(source), os.fsencode(point), None, MS_BIND, None)


def mount_tmpfs(point: Path, name: str, options: str) -> None:
    """Mount a tmpfs in which device nodes work, programs do not.

    Raises:
        OSError: the kernel would not.
    """
    flags = MS_NOSUID | MS_NOEXEC
    _checked("mount", name.encode(), os.fsencode(point), b"tmpfs", flags, options.encode())


def unmount(point: Path) -> None:
    """Take a mount away, at once for new users and when the last one is done for the others.

    Raises:
        OSError: the kernel would not; EINVAL, no mount there, is fine.
    """
    try:
        _checked("umount2", os.fsencode(point), MNT_DETACH | UMOUNT_NOFOLLOW)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise


def _checked(call: str, *arguments: bytes | int | None) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, call)(*arguments) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{call}: {os.strerror(code)}")


def _hub(name: str) -> HubId | None:
    try:
        return HubId.parse(name)
    except QvdUsbError:
        return None
