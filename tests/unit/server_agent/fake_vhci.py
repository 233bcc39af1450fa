"""EFFECT: a folder that looks like the sysfs of a kernel with virtual hubs; its files take writes, nothing reacts."""

from dataclasses import dataclass
from pathlib import Path

from qvd_usbip.ids import HubId
from tests.kit.usbfs import number_of

HEADER = "hub port sta spd dev      sockfd local_busid"
DEVICE = bytes([18, 1, 0, 2, 0, 0, 0, 64, 0xDA, 0x0B, 0xC2, 0x58, 0, 1, 1, 2, 3, 1])
INTERFACE = bytes([9, 4, 0, 0, 2, 2, 2, 1, 0])


@dataclass(frozen=True, slots=True, kw_only=True)
class FakeVhci:
    """A sysfs root with `hubs` hubs of `ports` ports a half; bus 2n+3 and 2n+4 for hub n.

    `per_hub`: each hub has its own attach, detach and status, as on a patched kernel.
    """

    root: Path
    hubs: int = 3
    ports: int = 2
    per_hub: bool = False

    def make(self) -> "FakeVhci":
        driver = self.root / "bus/platform/drivers/vhci_hcd"
        driver.mkdir(parents=True)
        (self.root / "bus/usb/devices").mkdir(parents=True)
        (self.root / "kernel").mkdir(exist_ok=True)
        (self.root / "kernel/uevent_seqnum").write_text("1\n")
        for name in ("bind", "unbind", "module", "uevent"):
            (driver / name).touch()
        for number in range(self.hubs):
            folder = self.hub(number)
            folder.mkdir(parents=True)
            (driver / folder.name).symlink_to(folder)
            for bus, speed in ((2 * number + 3, "480"), (2 * number + 4, "5000")):
                root_hub = folder / f"usb{bus}"
                root_hub.mkdir()
                for name, text in (("speed", speed), ("busnum", str(bus)), ("authorized_default", "1")):
                    (root_hub / name).write_text(f"{text}\n")
            if self.per_hub or number == 0:
                for name in ("attach", "detach"):
                    (folder / name).touch()
            self.set_status(number, {})
        return self

    def hub(self, number: int) -> Path:
        return self.root / "devices/platform" / HubId(number).name

    def set_status(self, number: int, used: dict[tuple[str, int], int]) -> None:
        """Write a hub's port table; `used`: (half, port of the half) → state."""
        first = 0 if self.per_hub else 2 * self.ports * number
        rows = []
        for place, half in enumerate(("hs", "ss")):
            for port in range(self.ports):
                state = used.get((half, port), 4)
                rows.append(f"{half}  {first + place * self.ports + port:04d} {state:03d} 000 00000000 000000 0-0")
        name = "status" if self.per_hub or number == 0 else f"status.{number}"
        folder = self.hub(number) if self.per_hub else self.hub(0)
        (folder / name).write_text("\n".join([HEADER, *rows]) + "\n")

    def plug(self, hub: int, half: str, rhport: int, devnum: int = 2, *, authorised: bool = False) -> Path:
        """A device below a root hub."""
        bus = 2 * hub + (3 if half == "hs" else 4)
        busid = f"{bus}-{rhport + 1}"
        folder = self.hub(hub) / f"usb{bus}" / busid
        folder.mkdir()
        number = number_of(bus, devnum)
        attributes = {
            "busnum": bus, "devnum": devnum, "speed": 480, "idVendor": "0bda", "idProduct": "58c2",
            "bDeviceClass": "00", "serial": "1234", "authorized": int(authorised), "dev": str(number),
            "uevent": f"MAJOR={number.major}\nMINOR={number.minor}\n"
                      f"DEVNAME=bus/usb/{bus:03d}/{devnum:03d}\nDEVTYPE=usb_device",
        }  # fmt: skip
        for name, value in attributes.items():
            (folder / name).write_text(f"{value}\n")
        (folder / "descriptors").write_bytes(DEVICE + INTERFACE)
        (folder / "subsystem").symlink_to(self.root / "bus/usb")
        (self.root / "bus/usb/devices" / busid).symlink_to(folder)
        return folder

    def child(self, folder: Path, place: str, subsystem: str, number: str, name: str) -> None:
        """Something with a number below a device."""
        child = folder / place
        child.mkdir(parents=True)
        (child / "dev").write_text(f"{number}\n")
        (child / "uevent").write_text(f"DEVNAME={name}\n")
        (child / "subsystem").symlink_to(self.root / "class" / subsystem)
