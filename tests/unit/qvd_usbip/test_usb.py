"""Devices are read from sysfs attributes, named as people name them, and told apart by what they say they are."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qvd_usbip import errors
from qvd_usbip.errors import QvdUsbError
from qvd_usbip.ids import BusId, VidPid
from qvd_usbip.kinds import faces_of
from qvd_usbip.usb import (
    Interface,
    Kind,
    Speed,
    UsbDevice,
    device_from_attributes,
    interface_from_attributes,
    kind_of,
)
from tests.kit.fake_sysfs import DEVICE_NAMES, describe
from tests.unit.qvd_usbip.strategies import hostile_text

BUSID = BusId.parse("1-4")


def device(*interfaces: str, vidpid: str = "1234:5678", driver: str = "", product: str = "", cls: int = 0) -> UsbDevice:
    """A device with interfaces written as "08/06/50"."""
    return UsbDevice(
        busid=BUSID,
        vidpid=VidPid.parse(vidpid),
        product=product,
        cls=cls,
        busnum=1,
        devnum=2,
        interfaces=tuple(
            Interface(number=number, cls=codes[0], subclass=codes[1], protocol=codes[2], driver=driver)
            for number, codes in enumerate([int(code, 16) for code in each.split("/")] for each in interfaces)
        ),
    )


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("webcam", Kind.CAMERA),
        ("stick", Kind.MEMORY_STICK),
        ("serial-adapter", Kind.SERIAL_ADAPTER),
        ("keyboard", Kind.KEYBOARD),
        ("security-key", Kind.SECURITY_KEY),
        ("headset", Kind.HEADSET),
        ("composite", Kind.MEMORY_STICK),
        ("hostile", Kind.DEVICE),
        ("hub", Kind.HUB),
        ("from-elsewhere", Kind.MEMORY_STICK),
    ],
)
def test_kind_of_each_device_of_the_kit(name: str, kind: Kind) -> None:
    assert kind_of(described(name)) is kind


def test_every_device_of_the_kit_is_tested() -> None:
    assert len(DEVICE_NAMES) == 10


def described(name: str) -> UsbDevice:
    description = describe(name)
    busid = BusId.parse(description["busid"])
    interfaces = [
        interface_from_attributes(busid, each["attributes"], each["driver"]) for each in description["interfaces"]
    ]
    return device_from_attributes(busid, description["attributes"], interfaces=interfaces, driver="usb")


@pytest.mark.parametrize(
    ("sample", "kind"),
    [
        (device("01/01/00", "01/02/00"), Kind.MICROPHONE),
        (device("01/01/00", "01/02/00", "03/00/00"), Kind.HEADSET),
        (device("03/01/02"), Kind.MOUSE),
        (device("03/01/01", "03/01/02"), Kind.KEYBOARD),
        (device("07/01/02"), Kind.PRINTER),
        (device("07/01/02", "ff/ff/ff", product="Scanner and printer"), Kind.PRINTER),
        (device("ff/ff/ff", product="CanoScan LiDE"), Kind.SCANNER),
        (device("06/01/01"), Kind.PHONE),
        (device("e0/01/01"), Kind.BLUETOOTH_ADAPTER),
        (device("02/06/00", "0a/00/00"), Kind.NETWORK_ADAPTER),
        (device("ff/ff/00", driver="r8152"), Kind.NETWORK_ADAPTER),
        (device("ff/00/00", vidpid="0403:6001"), Kind.SERIAL_ADAPTER),
        (device("ff/00/00", driver="ch341"), Kind.SERIAL_ADAPTER),
        (device("0b/00/00"), Kind.SECURITY_KEY),
        (device("03/00/00", vidpid="18d1:5026"), Kind.SECURITY_KEY),
        (device("03/01/02", vidpid="1050:0001"), Kind.MOUSE),
        (device("03/00/00"), Kind.DEVICE),
        (device(), Kind.DEVICE),
        (device(cls=0x09), Kind.HUB),
    ],
)
def test_kind(sample: UsbDevice, kind: Kind) -> None:
    assert kind_of(sample) is kind


def test_attributes_of_a_webcam() -> None:
    webcam = described("webcam")
    assert (str(webcam.busid), str(webcam.vidpid), webcam.serial) == ("1-3", "046d:0825", "8D2B41E0")
    assert (webcam.product, webcam.manufacturer, webcam.cls) == ("HD Webcam C270", "Logitech", 0xEF)
    assert (webcam.speed, webcam.busnum, webcam.devnum, webcam.devid) == (Speed.HIGH, 1, 4, 65540)
    assert [each.driver for each in webcam.interfaces] == ["uvcvideo", "uvcvideo", "snd-usb-audio", "snd-usb-audio"]


def test_a_device_without_strings_has_empty_ones() -> None:
    keyboard = described("keyboard")
    assert keyboard.serial == ""
    assert keyboard.speed is Speed.LOW


@pytest.mark.parametrize("missing", ["idVendor", "idProduct", "bDeviceClass", "busnum", "devnum"])
@pytest.mark.parametrize("content", [None, "", "xyz", "12345", "-1", "0x1"])
def test_a_description_that_cannot_be_is_refused(missing: str, content: str | None) -> None:
    attributes = dict(describe("stick")["attributes"])
    del attributes[missing]
    if content is not None:
        attributes[missing] = content
    with pytest.raises(QvdUsbError, match=missing) as caught:
        device_from_attributes(BUSID, attributes)
    assert caught.value.problem is errors.SYSFS_UNREADABLE


@given(st.dictionaries(st.sampled_from(sorted(describe("stick")["attributes"])), hostile_text))
def test_hostile_attributes_raise_only_our_error(attributes: dict[str, str]) -> None:
    try:
        read = device_from_attributes(BUSID, describe("stick")["attributes"] | attributes)
    except QvdUsbError:
        return
    assert len(read.fingerprint) == 64
    assert kind_of(read)


def test_fingerprint_stays_on_another_port_with_another_driver_and_setting() -> None:
    webcam = described("webcam")
    moved = replace(webcam, busid=BusId.parse("2-1"), busnum=2, devnum=9, driver="usbip-host", speed=Speed.FULL)
    used = replace(moved, interfaces=tuple(replace(each, alternate=1, driver="") for each in webcam.interfaces))
    assert moved.fingerprint == used.fingerprint == webcam.fingerprint


@pytest.mark.parametrize(
    "changes",
    [
        {"vidpid": VidPid(1, 2)},
        {"serial": "other"},
        {"product": "other"},
        {"manufacturer": "other"},
        {"cls": 3},
        {"interfaces": ()},
        {"interfaces": (Interface(number=0, cls=3, subclass=1, protocol=1),)},
    ],
)
def test_fingerprint_tells_devices_apart(changes: dict[str, object]) -> None:
    webcam = described("webcam")
    assert replace(webcam, **changes).fingerprint != webcam.fingerprint  # type: ignore[arg-type]  # one field each


def test_fingerprint_is_stable_between_versions() -> None:
    assert described("stick").fingerprint == "e7fc10bbcc925333ebc9b4f55986457af7a4aa1f12d76478b79b8944bffe59b5"


def test_a_headset_has_no_microphone_beside_it() -> None:
    assert faces_of(device("01/01/00", "01/02/00", "01/02/00")) == (Kind.HEADSET,)
    assert faces_of(device("01/01/00", "01/02/00")) == (Kind.MICROPHONE,)
    assert faces_of(device()) == (Kind.DEVICE,)
