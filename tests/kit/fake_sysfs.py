"""A folder that looks like sysfs to whoever reads USB devices, usbip-host or vhci_hcd there.

Devices are described in tests/data/devices/NAME.json: where they are plugged in, their attributes, interfaces, drivers
and the nodes their drivers made. Links, driver folders and paths are as the kernel lays them out.
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

DATA = Path(__file__).resolve().parents[1] / "data/devices"
DEVICE_NAMES = tuple(sorted(path.stem for path in DATA.glob("*.json")))
STATUS_HEADER = "hub port sta spd dev      sockfd local_busid\n"


def describe(name: str, **changes: str) -> dict[str, Any]:
    """A device's description from its file; `changes`: the bus id, or attributes by name."""
    description: dict[str, Any] = json.loads((DATA / f"{name}.json").read_text("utf-8"))
    description["busid"] = changes.pop("busid", description["busid"])
    description["attributes"].update(changes)
    return description


@dataclass(frozen=True, slots=True, kw_only=True)
class FakeSysfs:
    """The tree: `root` holds sys; devices come and go with plug and unplug."""

    root: Path

    @property
    def sys(self) -> Path:
        """What /sys is to the kernel."""
        return self.root / "sys"

    @property
    def usbroot(self) -> Path:
        """What /sys/bus/usb/devices is to the kernel."""
        return self.sys / "bus/usb/devices"

    def plug(self, description: dict[str, Any]) -> Path:
        """Add a device; the folder of its attributes."""
        busid: str = description["busid"]
        folder = self._controller(description) / "/".join(_chain(busid))
        folder.mkdir(parents=True, exist_ok=True)
        _write(folder, description["attributes"])
        (folder / "subsystem").symlink_to(_relative(self.sys / "bus/usb", folder))
        (self.usbroot / busid).symlink_to(_relative(folder, self.usbroot))
        self.bind(folder, description["driver"])
        for interface in description["interfaces"]:
            self._add_interface(folder, busid, interface)
        return folder

    def unplug(self, busid: str) -> None:
        """Remove a device with all that belongs to it."""
        link = self.usbroot / busid
        folder = link.resolve()
        for place in (*self.usbroot.glob(f"{busid}:*"), *self.sys.glob(f"bus/usb/drivers/*/{busid}*"), link):
            place.unlink()
        shutil.rmtree(folder)

    def bind(self, folder: Path, driver: str) -> None:
        """Give a device or an interface to a driver ("" for none), as the links say it."""
        link = folder / "driver"
        if link.is_symlink():
            (link.resolve() / folder.name).unlink()
            link.unlink()
        if driver:
            drivers = self.sys / "bus/usb/drivers" / driver
            drivers.mkdir(parents=True, exist_ok=True)
            link.symlink_to(_relative(drivers, folder))
            (drivers / folder.name).symlink_to(_relative(folder, drivers))

    def add_usbip_host(self) -> Path:
        """Load usbip-host: the driver's folder."""
        folder = self.sys / "bus/usb/drivers/usbip-host"
        folder.mkdir(parents=True, exist_ok=True)
        _write(folder, {"match_busid": "", "bind": "", "unbind": "", "rebind": ""})
        return folder

    def add_vhci(self, *, hubs: int = 8, ports_per_half: int = 15, per_hub: bool = False) -> Path:
        """Load vhci_hcd, stock or with QVD's own `attach` for each hub; the folder of its driver."""
        driver = self.sys / "bus/platform/drivers/vhci_hcd"
        driver.mkdir(parents=True, exist_ok=True)
        for hub in range(hubs):
            folder = self.sys / f"devices/platform/vhci_hcd.{hub}"
            for half in range(2):
                (folder / f"usb{2 * hub + half + 1}").mkdir(parents=True, exist_ok=True)
            (driver / folder.name).symlink_to(_relative(folder, driver))
            if per_hub or hub == 0:
                ports = ports_per_half * 2 * (1 if per_hub else hubs)
                _write(folder, {"attach": "", "detach": "", "nports": str(ports), "usbip_debug": "0"})
            owner = folder if per_hub else self.sys / "devices/platform/vhci_hcd.0"
            first = 0 if per_hub else 2 * hub * ports_per_half
            table = owner / ("status" if per_hub or hub == 0 else f"status.{hub}")
            table.write_text(free_status(first, ports_per_half))
        return driver

    def _controller(self, description: dict[str, Any]) -> Path:
        bus = description["busid"].split("-")[0]
        return self.sys / "devices" / str(description["controller"]) / f"usb{bus}"

    def _add_interface(self, device: Path, busid: str, interface: dict[str, Any]) -> None:
        number = int(interface["attributes"]["bInterfaceNumber"], 16)
        folder = device / f"{busid}:1.{number}"
        folder.mkdir()
        _write(folder, interface["attributes"])
        (folder / "subsystem").symlink_to(_relative(self.sys / "bus/usb", folder))
        (self.usbroot / folder.name).symlink_to(_relative(folder, self.usbroot))
        self.bind(folder, interface["driver"])
        for child in interface["children"]:
            place = folder / child["path"]
            place.mkdir(parents=True, exist_ok=True)
            subsystem = self.sys / "class" / child["subsystem"]
            subsystem.mkdir(parents=True, exist_ok=True)
            (place / "subsystem").symlink_to(_relative(subsystem, place))
            if child["subsystem"] == "block":
                (place / "holders").mkdir()
            if child["dev"] is not None:
                _write(place, {"dev": child["dev"]})


def make_sysfs(folder: Path, devices: Iterable[str | dict[str, Any]] = ()) -> FakeSysfs:
    """Build a tree below `folder` with these devices, by name of their file or described whole."""
    tree = FakeSysfs(root=folder)
    tree.usbroot.mkdir(parents=True)
    (tree.sys / "bus/usb/drivers/usb").mkdir(parents=True)
    for device in devices:
        tree.plug(describe(device) if isinstance(device, str) else device)
    return tree


def free_status(first: int, ports_per_half: int) -> str:
    """The port table of an empty hub."""
    rows = (f"hs  {first + port:04d} 004 000 00000000 000000 0-0\n" for port in range(ports_per_half))
    second = first + ports_per_half
    super_rows = (f"ss  {second + port:04d} 004 000 00000000 000000 0-0\n" for port in range(ports_per_half))
    return STATUS_HEADER + "".join(rows) + "".join(super_rows)


def _chain(busid: str) -> list[str]:
    """The folders from the root hub to a device: "1-2.1" lies in "1-2"."""
    bus, _, path = busid.partition("-")
    ports = path.split(".")
    return [f"{bus}-{'.'.join(ports[: count + 1])}" for count in range(len(ports))]


def _write(folder: Path, attributes: dict[str, str]) -> None:
    for name, content in attributes.items():
        (folder / name).write_bytes(f"{content}\n".encode("utf-8", "surrogateescape"))


def _relative(target: Path, start: Path) -> str:
    return os.path.relpath(target, start)
