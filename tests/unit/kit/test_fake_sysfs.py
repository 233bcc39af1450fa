"""The fake sysfs is laid out as the kernel lays out its own."""

import os
from pathlib import Path

import pytest

from qvd_usbip import vhci
from tests.kit.fake_sysfs import DEVICE_NAMES, describe, make_sysfs


@pytest.mark.parametrize("name", DEVICE_NAMES)
def test_links_go_both_ways(tmp_path: Path, name: str) -> None:
    tree = make_sysfs(tmp_path, [name])
    busid = describe(name)["busid"]
    folder = tree.usbroot / busid
    assert folder.is_symlink()
    assert not folder.readlink().is_absolute()
    assert (folder / "driver").resolve() == tree.sys / "bus/usb/drivers/usb"
    assert (tree.sys / f"bus/usb/drivers/usb/{busid}").resolve() == folder.resolve()
    for interface in folder.resolve().glob(f"{busid}:*"):
        assert (tree.usbroot / interface.name).resolve() == interface
        assert (interface / "subsystem").resolve() == tree.sys / "bus/usb"


def test_a_device_on_a_hub_lies_in_the_hub(tmp_path: Path) -> None:
    tree = make_sysfs(tmp_path, ["hub", "serial-adapter"])
    place = (tree.usbroot / "1-2.1").resolve()
    assert place == (tree.usbroot / "1-2").resolve() / "1-2.1"
    assert place.relative_to(tree.sys).parts[:4] == ("devices", "pci0000:00", "0000:00:14.0", "usb1")


def test_disks_and_terminals_have_their_numbers(tmp_path: Path) -> None:
    tree = make_sysfs(tmp_path, ["stick", "serial-adapter"])
    disk = next((tree.usbroot / "1-4").resolve().rglob("block/sdb"))
    assert (disk / "dev").read_text() == "8:16\n"
    assert (disk / "sdb1/dev").read_text() == "8:17\n"
    assert (disk / "subsystem").resolve().name == "block"
    terminal = next((tree.usbroot / "1-2.1").resolve().rglob("tty/ttyACM0"))
    assert (terminal / "dev").read_text() == "166:0\n"


def test_unplugging_leaves_nothing(tmp_path: Path) -> None:
    tree = make_sysfs(tmp_path, ["webcam"])
    tree.unplug("1-3")
    assert list(tree.usbroot.iterdir()) == []
    assert [path for path in tree.sys.rglob("1-3*") if path.name.startswith("1-3")] == []


@pytest.mark.parametrize(
    ("hubs", "per_hub", "layout"),
    [(8, False, vhci.GLOBAL_PORTS), (1, False, vhci.SINGLE_HUB), (8, True, vhci.PER_HUB), (0, False, vhci.NO_HUBS)],
)
def test_vhci(tmp_path: Path, hubs: int, per_hub: bool, layout: vhci.Layout) -> None:
    tree = make_sysfs(tmp_path)
    driver = tree.add_vhci(hubs=hubs, per_hub=per_hub)
    found = [int(link.name.removeprefix("vhci_hcd.")) for link in driver.glob("vhci_hcd.*")]
    platform = tree.sys / "devices/platform"
    observation = vhci.Observation(
        driver_dir_exists=driver.is_dir(),
        hubs=found,
        has_status1=(platform / "vhci_hcd.0/status.1").exists(),
        hub_attach=[hub for hub in found if os.access(platform / f"vhci_hcd.{hub}/attach", os.F_OK)],
    )
    assert vhci.recognise(observation) == layout
    for table in platform.glob("vhci_hcd.*/status*"):
        assert len(vhci.parse_status(table.read_text())) == 30


def test_changes_to_a_description() -> None:
    changed = describe("stick", busid="2-7", serial="other")
    assert (changed["busid"], changed["attributes"]["serial"]) == ("2-7", "other")
    assert describe("stick")["busid"] == "1-4"
