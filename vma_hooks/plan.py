"""PURE: one udev event and what the kernel shows now, to the one thing that must be done to /dev."""

from qvd_usbip.errors import NODE_REFUSED, QvdUsbError
from qvd_usbip.ids import DevNum
from qvd_usbip.port_range import ALL_PORTS, PortRange
from qvd_usbip.uevent import Uevent, place_of

CHARACTER, BLOCK = "c", "b"
_DEPTH, _NAME = 8, 255


class NodePlan:
    """What one event asks for: `make` or `drop` the node `kind``number` at the path beneath /dev."""

    __slots__ = ("kind", "number", "path", "verb")

    def __init__(self, verb: str, kind: str, number: DevNum, path: tuple[str, ...]) -> None:
        self.verb = verb
        self.kind = kind
        self.number = number
        self.path = path


def plan(event: Uevent, there: str, ports: PortRange = ALL_PORTS) -> NodePlan | None:
    """Decide what an event means for /dev.

    Args:
        event: action, devpath and properties, as udevd passes them.
        there: the devpath at which the container sees the event's number right now; empty when nowhere, which is also
            how it sees a device on another container's hub.
        ports: the ports that are this container's, where it shares its hub with others.

    Returns:
        None when there is nothing to do: not below a vhci hub or on another's port of it, no node, another action, or
        the kernel has already moved on (an `add` of what is gone, a `remove` after which the number is in use again
        here, whoever's it was: the other event is on its way).

    Raises:
        QvdUsbError: NODE_REFUSED when the kernel's name would not stay beneath /dev.

    Source: guide §3.2.
    """
    number = event.devnum
    if event.action not in {"add", "remove"} or number is None or not event.devname:
        return None
    if not _is_own(event.devpath, ports):
        return None
    kind = BLOCK if event.is_block else CHARACTER
    path = confine(event.devname)
    if event.action == "add":
        return NodePlan("make", kind, number, path) if there == event.devpath else None
    return None if _is_own(there, ports) else NodePlan("drop", kind, number, path)


def _is_own(devpath: str, ports: PortRange) -> bool:
    place = place_of(devpath)
    return place is not None and place.rhport in ports


def confine(devname: str) -> tuple[str, ...]:
    """Split a device name into the folders beneath /dev and the node's name.

    Args:
        devname: `/dev/bus/usb/007/005` or, as the kernel says it, `bus/usb/007/005`.

    Raises:
        QvdUsbError: NODE_REFUSED for a name that could leave /dev or that no kernel would give.
    """
    path = tuple(devname.removeprefix("/dev/").split("/"))
    if len(path) > _DEPTH or not all(map(_is_plain, path)):
        raise QvdUsbError(NODE_REFUSED, node=devname, reason="the name does not stay beneath /dev")
    return path


def _is_plain(name: str) -> bool:
    return name not in {"", ".", ".."} and len(name) <= _NAME and name.isascii() and name.isprintable()
