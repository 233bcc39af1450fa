"""PURE: one kernel or udev event as a value, and the place below a virtual hub that its DEVPATH names.

Light module. A device path is hostile until `place_of` has read it: strings of it come from another machine's devices.
"""

from qvd_usbip import errors, ids

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_MAX_PATH = 4096
_DEVICES = ("", "devices", "platform")


class Uevent:
    """One event about one device. `properties` holds every KEY=value of it, ACTION and DEVPATH included."""

    __slots__ = ("action", "devname", "devnum", "devpath", "properties")

    def __init__(self, action: str, devpath: str, properties: "Mapping[str, str]") -> None:
        """Take the event apart. Raises: QvdUsbError uevent-malformed for a path or number that cannot be one."""
        if not action.isascii() or not action.isalpha():
            raise _malformed(f"the action is '{action}'")
        if not _is_plain_path(devpath):
            raise _malformed(f"the device path is '{devpath}'")
        self.action = action
        self.devpath = devpath
        self.properties = properties
        self.devnum = _devnum(properties)
        self.devname = _devname(properties)

    @property
    def subsystem(self) -> str:
        """SUBSYSTEM: "usb", "block", "tty" …, empty if there is none."""
        return self.properties.get("SUBSYSTEM", "")

    @property
    def devtype(self) -> str:
        """DEVTYPE: "usb_device", "usb_interface", "disk", "partition" …, empty if there is none."""
        return self.properties.get("DEVTYPE", "")

    @property
    def is_block(self) -> bool:
        """Whether the node is a block device; every other device with a number is a character device."""
        return self.subsystem == "block"

    def __repr__(self) -> str:
        return f"Uevent({self.action!r}, {self.devpath!r}, {self.properties!r})"


def from_environment(environment: "Mapping[str, str]") -> Uevent:
    """The event udev describes in a program's environment. Raises: QvdUsbError uevent-malformed. Source: udev(7)."""
    for key in ("ACTION", "DEVPATH"):
        if key not in environment:
            raise _malformed(f"{key} is not set")
    return Uevent(environment["ACTION"], environment["DEVPATH"], environment)


class HubPlace(ids.Value):
    """Where on a virtual hub: the hub, its bus, the root-hub port (from 0), and the device there by bus id.

    `busid` is the deepest device of the path: below a hub that a peer made up, it is longer than the port's own.
    """

    __match_args__ = ("hub", "bus", "rhport", "busid")
    __slots__ = __match_args__
    hub: ids.HubId
    bus: int
    rhport: int
    busid: ids.BusId

    def __init__(self, hub: ids.HubId, bus: int, rhport: int, busid: ids.BusId) -> None:
        self._set(hub=hub, bus=bus, rhport=rhport, busid=busid)


def place_of(devpath: str) -> "HubPlace | None":
    """The place that /devices/platform/vhci_hcd.N/usbB/B-P/… is, None for every other path.

    None as well for a path that only looks like one: "..", empty parts, characters beyond ASCII, a bus or port that
    contradicts its parent. Never raises.
    """
    if not _is_plain_path(devpath):
        return None
    parts = devpath.split("/")
    if len(parts) < 6 or tuple(parts[:3]) != _DEVICES:
        return None
    try:
        hub, busid = ids.HubId.parse(parts[3]), ids.BusId.parse(parts[5])
    except errors.QvdUsbError:
        return None
    if parts[4] != f"usb{busid.bus}" or len(busid.ports) != 1 or busid.ports[0] > ids.MOST_PORTS:
        return None
    return HubPlace(hub, busid.bus, busid.ports[0] - 1, _deepest(busid, parts[6:]))


def _deepest(busid: ids.BusId, parts: list[str]) -> ids.BusId:
    for part in parts:
        if not part.startswith(f"{busid}."):
            break
        try:
            child = ids.BusId.parse(part)
        except errors.QvdUsbError:  # an interface: "3-1.2:1.0"
            break
        if len(child.ports) != len(busid.ports) + 1:
            break
        busid = child
    return busid


def _is_plain_path(path: str) -> bool:
    if not path.startswith("/") or len(path) > _MAX_PATH or not path.isascii() or not path.isprintable():
        return False
    return all(part not in ("", ".", "..") for part in path[1:].split("/"))


def _devnum(properties: "Mapping[str, str]") -> "ids.DevNum | None":
    major, minor = properties.get("MAJOR"), properties.get("MINOR")
    if major is None and minor is None:
        return None
    try:
        return ids.DevNum.parse(f"{major}:{minor}")
    except errors.QvdUsbError as error:
        raise _malformed(f"its device number is '{major}:{minor}'") from error


def _devname(properties: "Mapping[str, str]") -> "str | None":
    """The node relative to /dev: the kernel writes it so, udev puts /dev/ before it."""
    if "DEVNAME" not in properties:
        return None
    name = properties["DEVNAME"].removeprefix("/dev/")
    if not _is_plain_path(f"/{name}"):
        raise _malformed(f"its node is '{properties['DEVNAME']}'")
    return name


def _malformed(reason: str) -> errors.QvdUsbError:
    return errors.QvdUsbError(errors.UEVENT_MALFORMED, reason=reason)
