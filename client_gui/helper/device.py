"""EFFECT: looks at one USB device through directory descriptors; every name is opened beneath its own folder."""

import errno
import os

from client_gui.helper.descriptors import Interface, interfaces_of
from qvd_usbip.bitmaps import bits_of
from qvd_usbip.ids import BusId
from qvd_usbip.reset import NO_NUMBER, RESETS, UNDER_ITS_LOCK
from qvd_usbip.vhci import speed_of

DEVICES = "sys/bus/usb/devices"
_GONE = (errno.ENOENT, errno.ENODEV, errno.ENXIO, errno.ENOTDIR, errno.EIO, errno.EINVAL)
_ATTRIBUTE_BYTES = 65536
_DEPTH = 12
_ENTRIES = 2048
_EV_KEY, _EV_REL = 1, 2
_KEY_A, _BTN_LEFT = 30, 0x110


class Identity:
    """Which device it is, as the kernel read it from the device: vid:pid and serial (empty where it has none)."""

    __slots__ = ("serial", "vidpid")

    def __init__(self, vidpid: str, serial: str) -> None:
        self.vidpid = vidpid
        self.serial = serial

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Identity):
            return NotImplemented
        return (self.vidpid, self.serial) == (other.vidpid, other.serial)

    def __hash__(self) -> int:
        return hash((self.vidpid, self.serial))

    def __str__(self) -> str:
        return self.vidpid + ("@" + self.serial if self.serial else "")


class Device:
    """What was seen of a device at one moment; `folder` is an open descriptor of its sysfs folder."""

    __slots__ = (
        "authorized",
        "below_vhci",
        "blocks",
        "busid",
        "busnum",
        "cls",
        "descriptors",
        "devnum",
        "driver",
        "folder",
        "identity",
        "inputs",
        "interfaces",
        "networks",
        "speed",
    )

    def __init__(
        self,
        *,
        folder: int,
        busid: BusId,
        identity: Identity,
        busnum: int,
        devnum: int,
        speed: int,
        cls: int,
        driver: str,
        below_vhci: bool,
        authorized: bool,
        descriptors: bytes,
    ) -> None:
        self.folder = folder
        self.busid = busid
        self.identity = identity
        self.busnum = busnum
        self.devnum = devnum
        self.speed = speed
        self.cls = cls
        self.driver = driver
        self.below_vhci = below_vhci
        self.authorized = authorized
        self.descriptors = descriptors
        self.interfaces: list[Interface] = []
        self.blocks: list[Block] = []
        self.networks: list[Network] = []
        self.inputs: set[str] = set()

    @property
    def devid(self) -> int:
        """The number the other side's kernel is told: busnum << 16 | devnum."""
        return self.busnum << 16 | self.devnum

    def same(self, other: "Device") -> bool:
        """Whether the other observation is of the very same plugged-in device."""
        mine = self.identity, self.busnum, self.devnum, self.descriptors
        return mine == (other.identity, other.busnum, other.devnum, other.descriptors)

    def close(self) -> None:
        """Closes the folder; the observation itself stays valid."""
        if self.folder >= 0:
            os.close(self.folder)
            self.folder = -1


class Block:
    """A disk or partition below the device: kernel name, numbers, and who holds it (device mapper, md …)."""

    __slots__ = ("holders", "name", "number", "whole")

    def __init__(self, name: str, number: str, holders: list[str], *, whole: bool) -> None:
        self.whole = whole
        self.name = name
        self.number = number
        self.holders = holders


class Network:
    """A network interface below the device."""

    __slots__ = ("name", "up")

    def __init__(self, name: str, *, up: bool) -> None:
        self.name = name
        self.up = up


def read_text(folder: int, name: str) -> str | None:
    """Returns a sysfs attribute without its trailing newline, None where it is not there (any more)."""
    data = _read(folder, name)
    return None if data is None else data.decode("utf-8", "replace").removesuffix("\n")


def _read(folder: int, name: str) -> bytes | None:
    try:
        fd = os.open(name, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW, dir_fd=folder)
    except OSError as error:
        if error.errno in _GONE:
            return None
        raise
    try:
        return os.read(fd, _ATTRIBUTE_BYTES)
    except OSError as error:
        if error.errno in _GONE:
            return None
        raise
    finally:
        os.close(fd)


def driver_of(folder: int) -> str:
    """Returns the name of the driver that holds the device, empty when none does."""
    try:
        return os.readlink("driver", dir_fd=folder).rsplit("/", 1)[-1]
    except OSError as error:
        if error.errno in _GONE:
            return ""
        raise


def observe(root: int, busid: BusId) -> Device | None:
    """Reads everything the helper decides on.

    Args:
        root: descriptor of the folder that holds `sys` (the root folder; a fake tree in tests).
        busid: the port the device is plugged into.

    Returns:
        The device with its folder open, or None when there is no complete device.

    A device that is being reset, as usbip-host does it where a loan ends, has no number in between; that is waited for.

    Source: Documentation/ABI/testing/sysfs-bus-usb.
    """
    try:
        folder = os.open(f"{DEVICES}/{busid}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=root)
    except OSError as error:
        if error.errno in _GONE:
            return None
        raise
    try:
        for _ in range(RESETS):
            device = _whole(folder, root, busid)
            if device is not None:
                folder = -1
                return device
            if read_text(folder, UNDER_ITS_LOCK) is None:
                break
        return None
    finally:
        if folder >= 0:
            os.close(folder)


def _whole(folder: int, root: int, busid: BusId) -> Device | None:
    """Returns what one look at it says, or None where that is not of one device."""
    device = _device(folder, root, busid)
    if device is None:
        return None
    _walk(device, folder, 0, [_ENTRIES])
    if not device.interfaces:
        # no configuration is chosen yet, or no driver has the device: it is what it is all the same
        device.interfaces = interfaces_of(device.descriptors)
    # gone or reset while it was read: then nothing read above is worth anything
    return device if read_text(folder, "devnum") == str(device.devnum) else None


def _device(folder: int, root: int, busid: BusId) -> Device | None:
    texts = [read_text(folder, name) for name in ("idVendor", "idProduct", "busnum", "devnum", "bDeviceClass", "speed")]
    vendor, product, busnum, devnum, cls, speed = [text or "" for text in texts]
    try:
        numbers = int(busnum), int(devnum), int(cls, 16)
    except ValueError:
        return None
    if len(vendor) != 4 or len(product) != 4 or devnum == NO_NUMBER:
        return None
    place = os.readlink(f"{DEVICES}/{busid}", dir_fd=root)
    return Device(
        folder=folder,
        busid=busid,
        identity=Identity(f"{vendor}:{product}", read_text(folder, "serial") or ""),
        busnum=numbers[0],
        devnum=numbers[1],
        cls=numbers[2],
        speed=speed_of(speed),
        driver=driver_of(folder),
        below_vhci="/vhci_hcd." in place,
        authorized=read_text(folder, "authorized") != "0",
        descriptors=_read(folder, "descriptors") or b"",
    )


def _walk(device: Device, folder: int, depth: int, budget: list[int]) -> None:
    """Adds interfaces and what the local drivers made of them; links are not followed, the size is bounded."""
    with os.scandir(folder) as entries:
        names = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    for name in names:
        budget[0] -= 1
        if depth > _DEPTH or budget[0] < 0:
            raise OSError(errno.E2BIG, "the device's sysfs folder is larger than any device's")
        try:
            child = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
        except OSError as error:
            if error.errno in _GONE:
                continue
            raise
        try:
            if depth == 0 and name.startswith(f"{device.busid}:"):
                _add_interface(device, child)
            elif not _add_child(device, name, child):
                continue
            _walk(device, child, depth + 1, budget)
        finally:
            os.close(child)


def _add_interface(device: Device, folder: int) -> None:
    texts = [read_text(folder, name) for name in ("bInterfaceClass", "bInterfaceSubClass", "bInterfaceProtocol")]
    try:
        cls, subclass, protocol = [int(text or "", 16) for text in texts]
    except ValueError:
        return
    device.interfaces.append(Interface(cls, subclass, protocol, driver_of(folder)))


def _add_child(device: Device, name: str, folder: int) -> bool:
    """Notes what the folder is; returns whether it is worth looking below it."""
    subsystem = _subsystem(folder)
    if subsystem == "usb" and read_text(folder, "bDeviceClass") is not None:
        return False
    if subsystem == "block":
        whole = read_text(folder, "partition") is None
        device.blocks.append(Block(name, read_text(folder, "dev") or "", _holders(folder), whole=whole))
    elif subsystem == "net":
        flags = read_text(folder, "flags") or "0x0"
        device.networks.append(Network(name, up=bool(int(flags, 16) & 1)))
    elif subsystem == "input" and name.startswith("input"):
        device.inputs |= _input_kinds(folder)
    elif subsystem == "bluetooth":
        device.inputs.add("bluetooth")
    return name != "power"


def _subsystem(folder: int) -> str:
    try:
        return os.readlink("subsystem", dir_fd=folder).rsplit("/", 1)[-1]
    except OSError as error:
        if error.errno in _GONE:
            return ""
        raise


def _holders(folder: int) -> list[str]:
    try:
        fd = os.open("holders", os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    except OSError as error:
        if error.errno in _GONE:
            return []
        raise
    try:
        return sorted(os.listdir(fd))
    finally:
        os.close(fd)


def _input_kinds(folder: int) -> set[str]:
    """What a person would call the input device, whatever its interface descriptor claims."""
    events = bits_of(read_text(folder, "capabilities/ev") or "")
    keys = bits_of(read_text(folder, "capabilities/key") or "")
    if events is None or keys is None:  # what cannot be read counts as if
        return {"keyboard", "mouse"}
    kinds = set()
    if events >> _EV_KEY & 1 and keys >> _KEY_A & 1:
        kinds.add("keyboard")
    if events >> _EV_REL & 1 and keys >> _BTN_LEFT & 1:
        kinds.add("mouse")
    return kinds
