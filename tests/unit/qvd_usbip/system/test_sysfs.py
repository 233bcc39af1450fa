"""What is read from sysfs is what is plugged in; devices that go while they are read are simply not there."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

import pytest

from qvd_usbip.ids import BusId
from qvd_usbip.system import sysfs
from qvd_usbip.system.sysfs import list_busids, read_attribute, read_device
from tests.kit.fake_sysfs import DEVICE_NAMES, describe, make_sysfs

if TYPE_CHECKING:
    from pathlib import Path

    from qvd_usbip.system.files import Location


def test_all_devices_of_the_kit(tmp_path: Path) -> None:
    tree = make_sysfs(tmp_path, DEVICE_NAMES)
    tree.add_vhci()
    busids = list_busids(tree.usbroot)
    assert [str(busid) for busid in busids] == sorted(
        (describe(name)["busid"] for name in DEVICE_NAMES), key=BusId.parse
    )
    devices = {name: read_device(tree.usbroot, BusId.parse(describe(name)["busid"])) for name in DEVICE_NAMES}
    for name, device in devices.items():
        assert device is not None
        assert (device.product, device.driver) == (describe(name)["attributes"]["product"], "usb")
        assert len(device.interfaces) == len(describe(name)["interfaces"])
        assert device.below_vhci == (name == "from-elsewhere")


def test_interfaces_with_their_drivers(tmp_path: Path) -> None:
    tree = make_sysfs(tmp_path, ["composite"])
    device = read_device(tree.usbroot, BusId.parse("2-1.4"))
    assert device is not None
    assert device.serial == ""
    assert [(each.number, each.cls, each.driver) for each in device.interfaces] == [
        (0, 0x02, "cdc_acm"),
        (1, 0x0A, "cdc_acm"),
        (2, 0x08, "usb-storage"),
    ]


def test_hostile_strings_come_as_they_are(tmp_path: Path) -> None:
    tree = make_sysfs(tmp_path, ["hostile"])
    device = read_device(tree.usbroot, BusId.parse("1-8"))
    assert device is not None
    assert device.serial == describe("hostile")["attributes"]["serial"]


def test_bytes_that_are_no_text_do_not_stop_the_list(tmp_path: Path) -> None:
    tree = make_sysfs(tmp_path, ["stick"])
    (tree.usbroot / "1-4/product").write_bytes(b"\xff\xfe stick\n")
    device = read_device(tree.usbroot, BusId.parse("1-4"))
    assert device is not None
    assert device.product == "\ufffd\ufffd stick"


def test_a_device_lent_out(tmp_path: Path) -> None:
    tree = make_sysfs(tmp_path, ["stick"])
    tree.add_usbip_host()
    tree.bind((tree.usbroot / "1-4").resolve(), "usbip-host")
    device = read_device(tree.usbroot, BusId.parse("1-4"))
    assert device is not None
    assert device.driver == "usbip-host"


def test_a_device_that_is_unplugged(tmp_path: Path) -> None:
    tree = make_sysfs(tmp_path, ["stick", "webcam"])
    tree.unplug("1-4")
    assert read_device(tree.usbroot, BusId.parse("1-4")) is None
    assert list_busids(tree.usbroot) == [BusId.parse("1-3")]


def test_no_usb_at_all(tmp_path: Path) -> None:
    assert list_busids(tmp_path / "none") == []
    assert read_device(tmp_path / "none", BusId.parse("1-4")) is None


def test_root_hubs_interfaces_and_strangers_are_no_devices(tmp_path: Path) -> None:
    tree = make_sysfs(tmp_path, ["stick"])
    for name in ("usb1", "1-0:1.0", "1-4:1.0x", "not-a-device", "01-1"):
        (tree.usbroot / name).mkdir()
    assert list_busids(tree.usbroot) == [BusId.parse("1-4")]


def test_a_device_that_goes_while_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree = make_sysfs(tmp_path, ["stick"])
    read, left = sysfs.read_attribute, 4

    def going(folder: Path | int, name: str) -> str | None:
        nonlocal left
        left -= 1
        return read(folder, name) if left >= 0 else None

    for start in range(14):
        left = start
        with monkeypatch.context() as patch:
            patch.setattr(sysfs, "read_attribute", going)
            device = read_device(tree.usbroot, BusId.parse("1-4"))
        assert device is None or device.product == ("Ultra" if start >= 8 else "")


def test_a_device_that_is_being_reset_is_read_when_it_has_its_number_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usbroot = make_sysfs(tmp_path, ["stick"]).usbroot
    before = read_device(usbroot, BusId.parse("1-4"))
    number, plain = (usbroot / "1-4/devnum").read_text(), sysfs.read_attribute
    (usbroot / "1-4/devnum").write_text("0\n")

    def read(folder: Location | int, name: str) -> str | None:
        if name == "bConfigurationValue":
            (usbroot / "1-4/devnum").write_text(number)
        return plain(folder, name)

    monkeypatch.setattr(sysfs, "read_attribute", read)
    assert read_device(usbroot, BusId.parse("1-4")) == before


def test_an_interface_that_goes_while_it_is_read_is_left_out(tmp_path: Path) -> None:
    tree = make_sysfs(tmp_path, ["webcam"])
    (tree.usbroot / "1-3/1-3:1.2/bInterfaceProtocol").unlink()
    device = read_device(tree.usbroot, BusId.parse("1-3"))
    assert device is not None
    assert [each.number for each in device.interfaces] == [0, 1, 3]


def test_a_device_not_authorised_has_no_interfaces(tmp_path: Path) -> None:
    tree = make_sysfs(tmp_path, [describe("stick") | {"interfaces": []}])
    device = read_device(tree.usbroot, BusId.parse("1-4"))
    assert device is not None
    assert device.interfaces == ()


@pytest.mark.parametrize("code", [errno.ENODEV, errno.ENOENT, errno.EIO])
def test_an_attribute_of_a_device_that_is_gone_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def gone(*_: object) -> bytes:
        raise OSError(code, os.strerror(code))

    (tmp_path / "serial").write_bytes(b"1\n")
    monkeypatch.setattr(os, "read", gone)
    assert read_attribute(tmp_path, "serial") is None


def test_other_failures_are_not_hidden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> int:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(os, "open", refused)
    with pytest.raises(PermissionError):
        read_attribute(tmp_path, "serial")


def test_attributes_by_directory_descriptor(tmp_path: Path) -> None:
    (tmp_path / "serial").write_bytes(b"1234\n\n")
    descriptor = os.open(tmp_path, os.O_RDONLY)
    try:
        assert read_attribute(descriptor, "serial") == "1234\n"
        assert read_attribute(descriptor, "none") is None
    finally:
        os.close(descriptor)


def test_the_driver_of_a_device_and_of_each_interface(tmp_path: Path) -> None:
    tree = make_sysfs(tmp_path, ["security-key"])
    device = read_device(tree.usbroot, BusId.parse("1-6"))
    assert device is not None
    assert (device.driver, device.interfaces[2].driver) == ("usb", "")
