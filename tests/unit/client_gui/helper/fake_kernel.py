"""A sysfs tree in a temporary folder that answers writes as usbip-host does (drivers/usb/usbip/stub_main.c of 6.1).

It keeps the driver's table of busids with its four states and its pointer to the device, so that a write that would
oops a real kernel is seen; and it can fail or end the program at any effect.
"""

import contextlib
import errno
import os
import shutil
import socket
import threading
from collections.abc import Callable
from pathlib import Path

FREE, ADDED, ALLOC, REMOVED = "other", "added", "alloc", "removed"
BOOT = "7f1c2d1e-0000-4000-8000-000000000001"
CAMERA = [(0x0E, 1, 0), (0x0E, 2, 0)]
SERIAL_ADAPTER = [(2, 2, 1), (10, 0, 0)]
STICK = [(8, 6, 0x50)]
KEYBOARD = [(3, 1, 1)]


class Killed(BaseException):
    """The helper was killed here; nothing of it runs any more."""


class Slot:
    """One place of the driver's table."""

    def __init__(self) -> None:
        self.name = ""
        self.status = FREE
        self.device: Path | None = None


class FakeKernel:
    """The tree below `root`, and what the kernel would know of it."""

    def __init__(self, root: Path, *, loaded: bool = True) -> None:
        self.root = root
        self.slots = [Slot() for _ in range(16)]
        self.oopses: list[str] = []
        self.writes: list[tuple[str, str]] = []
        self.faults: dict[int, int] = {}
        self.before_write: Callable[[str, str], None] = lambda name, text: None
        self._devnum = 4
        self._peers: list[threading.Thread] = []
        self._taken: list[socket.socket] = []
        for folder in ("devices/pci0000:00/usb1", "bus/usb/devices", "bus/usb/drivers/usb", "bus/block", "bus/net"):
            (root / "sys" / folder).mkdir(parents=True)
        for folder in ("etc", "run/systemd/sessions", "dev/bus/usb/001", "proc/sys/kernel/random", "proc/self"):
            (root / folder).mkdir(parents=True)
        (root / "proc/sys/kernel/random/boot_id").write_text(BOOT + "\n")
        (root / "proc/self/mountinfo").write_text("22 1 254:1 / / rw - ext4 /dev/vda1 rw\n")
        (root / "proc/self/cgroup").write_text("0::/user.slice/user-1000.slice/session-3.scope\n")
        (root / "proc/swaps").write_text("Filename Type Size Used Priority\n")
        (self.bus / "drivers_probe").touch()
        (self.bus / "drivers/usb/unbind").touch()
        if loaded:
            self.load()

    @property
    def bus(self) -> Path:
        return self.root / "sys/bus/usb"

    @property
    def driver(self) -> Path:
        return self.bus / "drivers/usbip-host"

    def load(self) -> None:
        """What `modprobe usbip-host` does."""
        self.driver.mkdir()
        for name in ("match_busid", "bind", "unbind", "rebind"):
            (self.driver / name).touch()

    def plug(
        self,
        busid: str,
        vidpid: str,
        serial: str = "",
        *,
        interfaces: list[tuple[int, int, int]],
        cls: int = 0,
        below: str = "devices/pci0000:00/usb1",
        speed: str = "480",
    ) -> Path:
        """Plugs a device in; the local driver has it at once."""
        self._devnum += 1
        folder = self.root / "sys" / below / busid
        folder.mkdir(parents=True)
        vendor, product = vidpid.split(":")
        values = {
            "idVendor": vendor,
            "idProduct": product,
            "busnum": "1",
            "devnum": str(self._devnum),
            "bDeviceClass": f"{cls:02x}",
            "speed": speed,
        }
        if serial:
            values["serial"] = serial
        for name, value in values.items():
            (folder / name).write_text(value + "\n")
        (folder / "descriptors").write_bytes(descriptors_of(interfaces))
        (folder / ".interfaces").write_text(repr(interfaces))
        (self.bus / "devices" / busid).symlink_to(os.path.relpath(folder, self.bus / "devices"))
        (self.root / f"dev/bus/usb/001/{self._devnum:03}").touch()
        self._attach(busid, "usb")
        return folder

    def unplug(self, busid: str) -> None:
        """Pulls the device out, whatever has it."""
        folder = self.folder(busid)
        if self.driver_of(busid) == "usbip-host":
            self._disconnect(busid)
        (self.root / f"dev/bus/usb/001/{int((folder / 'devnum').read_text()):03}").unlink()
        shutil.rmtree(folder)
        (self.bus / "devices" / busid).unlink()

    def folder(self, busid: str) -> Path:
        return (self.bus / "devices" / busid).resolve()

    def driver_of(self, busid: str) -> str:
        link = self.bus / "devices" / busid / "driver"
        return link.readlink().name if link.is_symlink() else ""

    def entry(self, busid: str) -> Slot | None:
        return next((slot for slot in self.slots if slot.name == busid), None)

    def add_disk(self, busid: str, name: str, number: str = "8:16") -> Path:
        """A disk with a partition, below the device's first interface."""
        disk = self.folder(busid) / f"{busid}:1.0" / "host0" / "block" / name
        (disk / "holders").mkdir(parents=True)
        (disk / "dev").write_text(number + "\n")
        partition = disk / f"{name}1"
        partition.mkdir()
        (partition / "partition").write_text("1\n")
        (partition / "dev").write_text(number.replace("16", "17") + "\n")
        for folder in (disk, partition):
            (folder / "subsystem").symlink_to(os.path.relpath(self.root / "sys/bus/block", folder))
        return disk

    def add_network(self, busid: str, name: str, flags: int) -> None:
        """A network interface below the device's first interface."""
        net = self.folder(busid) / f"{busid}:1.0" / "net" / name
        net.mkdir(parents=True)
        (net / "flags").write_text(f"{flags:#x}\n")
        (net / "subsystem").symlink_to(os.path.relpath(self.root / "sys/bus/net", net))

    # what the helper writes

    def write(self, folder: int, name: str, text: str) -> None:
        """Stands in for usbip_host.write."""
        path = Path(os.path.realpath(f"/proc/self/fd/{folder}")) / name
        number = len(self.writes)
        self.writes.append((name, text))
        self.before_write(name, text)
        if number in self.faults:
            raise OSError(self.faults[number], os.strerror(self.faults[number]), name)
        if not path.exists():
            raise OSError(errno.ENOENT, "no such attribute", name)
        # "driver/unbind" is reached over a link: the driver that has the device
        place = Path(os.path.realpath(path)).parent
        if name == "usbip_sockfd":
            self._export(place.name, int(text))
        elif place.name == "usb" and path.name == "drivers_probe":
            self._probe(text)
        elif path.name == "unbind":
            self._unbind(place.name, text)
        elif path.name == "bind":
            self._bind(text)
        elif path.name == "rebind":
            self._rebind(text)
        elif path.name == "match_busid":
            self._match(text)
        else:
            raise AssertionError(f"the helper wrote to {path}")

    def _match(self, text: str) -> None:
        verb, busid = text.split(" ")
        slot = self.entry(busid)
        if verb == "add":
            if slot is None:
                slot = next((slot for slot in self.slots if not slot.name), None)
                if slot is None:
                    raise OSError(errno.ENOMEM, "table full")
                slot.name = busid
                if slot.status not in {ALLOC, REMOVED}:
                    slot.status = ADDED
        elif slot is None:
            raise OSError(errno.ENODEV, "not in the table")
        elif slot.status == FREE:
            slot.name = ""
        elif slot.status != ADDED:
            slot.status = REMOVED
        self._show()

    def _bind(self, busid: str) -> None:
        slot = self.entry(busid)
        if not (self.bus / "devices" / busid).exists():
            raise OSError(errno.ENODEV, "no such device")
        if self.driver_of(busid):
            raise OSError(errno.EBUSY, "it has a driver")
        if slot is None or slot.status in {FREE, REMOVED}:
            raise OSError(errno.ENODEV, "not in match_busid table")
        slot.status = ALLOC
        slot.device = self.folder(busid)
        self._attach(busid, "usbip-host")

    def _unbind(self, driver: str, busid: str) -> None:
        if not (self.bus / "devices" / busid).exists() or self.driver_of(busid) != driver:
            raise OSError(errno.ENODEV, "not bound to it")
        if driver == "usbip-host":
            self._disconnect(busid)
        self._detach(busid)

    def _disconnect(self, busid: str) -> None:
        slot = self.entry(busid)
        assert slot is not None, "BUG() in stub_disconnect"
        if slot.status == ALLOC:
            slot.status = ADDED
        (self.folder(busid) / "usbip_status").unlink()
        (self.folder(busid) / "usbip_sockfd").unlink()

    def _rebind(self, busid: str) -> None:
        slot = self.entry(busid)
        if slot is None:
            raise OSError(errno.ENODEV, "not in the table")
        slot.status = FREE
        if slot.device is None or not slot.device.exists() or slot.device.name != busid:
            self.oopses.append(f"rebind {busid}")
            raise Killed
        if not self.driver_of(busid):
            self._attach(busid, "usb")
        slot.name = ""
        self._show()

    def _probe(self, busid: str) -> None:
        if not (self.bus / "devices" / busid).exists():
            raise OSError(errno.ENODEV, "no such device")
        if not self.driver_of(busid):
            self._attach(busid, "usb")

    def _export(self, busid: str, descriptor: int) -> None:
        status = self.folder(busid) / "usbip_status"
        if status.read_text() != "1\n":
            raise OSError(errno.EINVAL, "not ready")
        taken = socket.socket(fileno=os.dup(descriptor))
        if taken.type != socket.SOCK_STREAM:
            taken.close()
            raise OSError(errno.EINVAL, "not a stream socket")
        _replace(status, "2\n")
        self._taken.append(taken)
        thread = threading.Thread(target=self._receive, args=(taken, status))
        thread.start()
        self._peers.append(thread)

    def _receive(self, taken: socket.socket, status: Path) -> None:
        """The stub's receiver: the end of the stream makes the device available again."""
        try:
            while taken.recv(4096):
                pass
        except OSError:
            return
        if status.exists():
            _replace(status, "1\n")

    def stop(self) -> None:
        """Ends the receivers."""
        for taken in self._taken:
            with contextlib.suppress(OSError):
                taken.shutdown(socket.SHUT_RDWR)
        for thread in self._peers:
            thread.join(5)
        for taken in self._taken:
            taken.close()

    def _attach(self, busid: str, driver: str) -> None:
        folder = self.folder(busid)
        (folder / "driver").symlink_to(os.path.relpath(self.bus / "drivers" / driver, folder))
        if driver == "usbip-host":
            (folder / "usbip_status").write_text("1\n")
            (folder / "usbip_sockfd").touch()
            return
        # the generic driver chooses a configuration: the interfaces appear
        interfaces: list[tuple[int, int, int]] = eval((folder / ".interfaces").read_text())
        for number, values in enumerate(interfaces):
            interface = folder / f"{busid}:1.{number}"
            interface.mkdir()
            (interface / "bInterfaceNumber").write_text(f"{number:02x}\n")
            (interface / "bAlternateSetting").write_text(" 0\n")
            for name, value in zip(
                ("bInterfaceClass", "bInterfaceSubClass", "bInterfaceProtocol"), values, strict=True
            ):
                (interface / name).write_text(f"{value:02x}\n")

    def _detach(self, busid: str) -> None:
        folder = self.folder(busid)
        (folder / "driver").unlink()
        for interface in folder.glob(f"{busid}:*"):
            shutil.rmtree(interface)

    def _show(self) -> None:
        (self.driver / "match_busid").write_text(" ".join(slot.name for slot in self.slots if slot.name) + "\n")


def descriptors_of(interfaces: list[tuple[int, int, int]]) -> bytes:
    """The device's own description: itself, one configuration, its interfaces. Source: USB 2.0, 9.6."""
    device, configuration = bytes([18, 1, *range(16)]), bytes([9, 2, *range(7)])
    each = [bytes([9, 4, number, 0, 1, *codes, 0]) for number, codes in enumerate(interfaces)]
    return b"".join((device, configuration, *each))


def _replace(path: Path, text: str) -> None:
    """An attribute is never seen half written."""
    fresh = path.with_name("." + path.name)
    fresh.write_text(text)
    fresh.rename(path)
