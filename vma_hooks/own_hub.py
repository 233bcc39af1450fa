"""EFFECT: what the container's /sys shows of a device, and which of them are its own.

Only its own vhci hub is mounted there. Where it shares that hub with others, the agent says which ports are its own.
"""

import errno
import os

from qvd_usbip.errors import NODE_REFUSED, QvdUsbError
from qvd_usbip.ids import DevNum
from qvd_usbip.port_range import ALL_PORTS, PortRange
from qvd_usbip.uevent import Uevent, from_environment
from vma_hooks.beneath import NOT_THERE, descend

TYPE_CHECKING = False  # importing typing or collections.abc would cost more than an event's work
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TypeVar

    Seen = TypeVar("Seen")

_ATTRIBUTE_LIMIT = 4096
_DEVICE_LIMIT = 4096  # a hub holds 30 devices; a bound all the same
_DEPTH_LIMIT = 24
_GONE = NOT_THERE | {errno.ENODEV}  # ENODEV: the device went while its attribute was read


def own_ports(path: str) -> PortRange:
    """Read which ports of the hub are this container's: all of them where the agent says nothing.

    Args:
        path: the agent's file, `6-10` and a newline.

    Raises:
        QvdUsbError: NODE_REFUSED when it is there and does not say: then no port is known to be ours.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in {errno.ENOENT, errno.ENOTDIR}:
            return ALL_PORTS
        raise QvdUsbError(NODE_REFUSED, node=path, reason=error.strerror) from error
    try:
        text = os.read(descriptor, _ATTRIBUTE_LIMIT).decode("ascii", "replace")
    except OSError as error:
        raise QvdUsbError(NODE_REFUSED, node=path, reason=error.strerror) from error
    finally:
        os.close(descriptor)
    ports = PortRange.parse(text.strip())
    if ports is None:
        raise QvdUsbError(NODE_REFUSED, node=path, reason="it does not say which ports are this container's")
    return ports


def seen_at(sys: int, event: Uevent) -> str:
    """Look where the container sees the device that has the event's number now.

    Args:
        sys: directory descriptor of /sys.
        event: one that is no `remove` is about the device at its own devpath. At a `remove` the number may be another
            device's already, and the kernel says whose: that event may have come late, or from another hub.

    Returns:
        A devpath, empty when no such device is visible here.

    Source: Documentation/ABI/stable/sysfs-devices (dev), Documentation/ABI/testing/sysfs-dev.
    """
    devpath = _holder(sys, event) if event.action == "remove" else event.devpath
    try:
        shown = DevNum.parse(read_attribute(sys, devpath, "dev").strip())
    except QvdUsbError:
        return ""
    return devpath if shown == event.devnum else ""


def _holder(sys: int, event: Uevent) -> str:
    """The devpath that the kernel's list of numbers has for the event's, whoever may see it; empty when it has none."""
    folders = ("dev", "block" if event.is_block else "char")
    link = _inside(sys, folders, lambda folder: os.readlink(str(event.devnum), dir_fd=folder)) or ""
    return link.removeprefix("../..")


def read_attribute(sys: int, devpath: str, name: str) -> str:
    """Return the text of one attribute, empty when it or its device is not there."""
    return _inside(sys, devpath.strip("/").split("/"), lambda folder: _read(folder, name)) or ""


def _read(folder: int, name: str) -> str:
    descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    try:
        return os.read(descriptor, _ATTRIBUTE_LIMIT).decode("utf-8", "replace")
    finally:
        os.close(descriptor)


def _inside(sys: int, folders: "Sequence[str]", look: "Callable[[int], Seen]") -> "Seen | None":
    """Call `look` with the folder's descriptor; None when the folder or what it looks for is not there (any more)."""
    try:
        folder = descend(sys, folders)
        try:
            return look(folder)
        finally:
            os.close(folder)
    except OSError as error:
        if error.errno in _GONE:
            return None
        raise


def event_of(sys: int, devpath: str, devname: str = "") -> Uevent:
    """Build the `add` event of a device that is there already.

    Args:
        sys: directory descriptor of /sys.
        devpath: as the kernel says it, from `/devices/` on.
        devname: the node's name; empty takes the kernel's.

    Raises:
        QvdUsbError: UEVENT_MALFORMED for a name or path that cannot be one.

    Source: Documentation/ABI/testing/sysfs-uevent.
    """
    folders = devpath.strip("/").split("/")
    fields = dict(line.split("=", 1) for line in read_attribute(sys, devpath, "uevent").splitlines() if "=" in line)
    fields |= {"ACTION": "add", "DEVPATH": devpath, "SUBSYSTEM": _inside(sys, folders, _subsystem) or ""}
    if devname:
        fields["DEVNAME"] = devname
    return from_environment(fields)


def list_devices(sys: int, below: str = "") -> list[str]:
    """List the devpath of every device with a number, parents first.

    Args:
        sys: directory descriptor of /sys.
        below: a devpath: it and what is below it; empty: what is below the vhci hubs that are visible here.
    """
    waiting = [tuple(below.strip("/").split("/"))] if below else _hubs(sys)
    found: list[str] = []
    while waiting and len(found) < _DEVICE_LIMIT:
        path = waiting.pop(0)
        names = _inside(sys, path, _folders_and_number) or []
        if "dev" in names:
            found.append("/" + "/".join(path))
        waiting += [(*path, name) for name in names if _may_lead_on(name) and len(path) < _DEPTH_LIMIT]
    return found


def _may_lead_on(name: str) -> bool:
    """Whether something with a number may be below; most folders are of power management and of endpoints."""
    return name not in {"dev", "power"} and not name.startswith("ep_")


def _hubs(sys: int) -> list[tuple[str, ...]]:
    platform = ("devices", "platform")
    return [(*platform, name) for name in _inside(sys, platform, os.listdir) or () if name.startswith("vhci_hcd.")]


def _folders_and_number(folder: int) -> list[str]:
    with os.scandir(folder) as entries:
        return sorted(entry.name for entry in entries if entry.name == "dev" or entry.is_dir(follow_symlinks=False))


def _subsystem(folder: int) -> str:
    return os.readlink("subsystem", dir_fd=folder).rsplit("/", 1)[-1]
