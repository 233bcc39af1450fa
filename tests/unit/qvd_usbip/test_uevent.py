"""Events are read as the kernel and udev write them; a path tells a place below a virtual hub, or nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qvd_usbip import errors, uevent
from qvd_usbip.errors import QvdUsbError
from qvd_usbip.ids import BusId, DevNum, HubId
from qvd_usbip.uevent import Uevent, from_environment, place_of
from tests.unit.qvd_usbip.strategies import hostile_text, only

PORT = "/devices/platform/vhci_hcd.3/usb7/7-1"
TTY = f"{PORT}/7-1:1.0/tty/ttyACM0"


def test_kernel_event_of_a_tty() -> None:
    event = from_environment(
        {"ACTION": "add", "DEVPATH": TTY, "SUBSYSTEM": "tty", "MAJOR": "166", "MINOR": "0", "DEVNAME": "ttyACM0"}
    )
    assert (event.action, event.devpath, event.subsystem, event.devtype) == ("add", TTY, "tty", "")
    assert (event.devname, event.devnum, event.is_block) == ("ttyACM0", DevNum(166, 0), False)


def test_udev_event_of_a_usb_device() -> None:
    event = from_environment(
        {"ACTION": "add", "DEVPATH": PORT, "SUBSYSTEM": "usb", "DEVTYPE": "usb_device", "MAJOR": "189", "MINOR": "772"}
        | {"DEVNAME": "/dev/bus/usb/007/005", "PATH": "/usr/bin"}
    )
    assert (event.devname, event.devtype, event.devnum) == ("bus/usb/007/005", "usb_device", DevNum(189, 772))


def test_only_block_devices_are_block() -> None:
    assert Uevent("add", "/devices/x", {"SUBSYSTEM": "block"}).is_block
    assert not Uevent("add", "/devices/x", {"SUBSYSTEM": "scsi_generic"}).is_block


def test_an_event_without_a_node() -> None:
    event = Uevent("bind", PORT, {"SUBSYSTEM": "usb"})
    assert event.devname is None
    assert event.devnum is None


@pytest.mark.parametrize(
    "words",
    [
        {"ACTION": ""},
        {"ACTION": "ädd"},
        {"ACTION": "add "},
        {"DEVPATH": ""},
        {"DEVPATH": "devices/a"},
        {"DEVPATH": "/devices/../a"},
        {"MAJOR": "1"},
        {"MAJOR": "-1", "MINOR": "1"},
        {"DEVNAME": ""},
        {"DEVNAME": "../sda"},
        {"DEVNAME": "/etc/passwd/../x"},
    ],
)
def test_an_event_that_none_can_be_is_refused(words: dict[str, str]) -> None:
    with pytest.raises(QvdUsbError) as caught:
        from_environment({"ACTION": "add", "DEVPATH": "/devices/a"} | words)
    assert caught.value.problem is errors.UEVENT_MALFORMED


@pytest.mark.parametrize("missing", ["ACTION", "DEVPATH"])
def test_environment_refused(missing: str) -> None:
    environment = {"ACTION": "add", "DEVPATH": PORT}
    del environment[missing]
    with pytest.raises(QvdUsbError, match=missing):
        from_environment(environment)


@given(st.dictionaries(st.sampled_from(["ACTION", "DEVPATH", "DEVNAME", "MAJOR", "MINOR"]), hostile_text))
def test_hostile_environments_raise_only_our_error(environment: dict[str, str]) -> None:
    event = only(errors.UEVENT_MALFORMED, from_environment, {"ACTION": "add", "DEVPATH": PORT} | environment)
    if event is not None and event.devname is not None:
        assert not {"", ".", ".."} & set(event.devname.split("/"))


@pytest.mark.parametrize(
    ("devpath", "rhport", "busid"),
    [
        (PORT, 0, "7-1"),
        (TTY, 0, "7-1"),
        ("/devices/platform/vhci_hcd.3/usb7/7-15", 14, "7-15"),
        ("/devices/platform/vhci_hcd.3/usb7/7-255", 254, "7-255"),
        ("/devices/platform/vhci_hcd.3/usb7/7-2/7-2.4/7-2.4:1.0/host6/block/sdb", 1, "7-2.4"),
        ("/devices/platform/vhci_hcd.3/usb7/7-2/7-2.4/7-2.4.1", 1, "7-2.4.1"),
        (f"{PORT}/7-1.2.3", 0, "7-1"),
        (f"{PORT}/7-11", 0, "7-1"),
        (f"{PORT}/7-1:1.0/7-1.2", 0, "7-1"),
    ],
)
def test_place_below_a_hub(devpath: str, rhport: int, busid: str) -> None:
    place = place_of(devpath)
    assert place == uevent.HubPlace(HubId(3), 7, rhport, BusId.parse(busid))


@pytest.mark.parametrize(
    "devpath",
    [
        "",
        "/",
        "7-1",
        "/devices/pci0000:00/0000:00:14.0/usb1/1-4",
        "/devices/platform/vhci_hcd.3",
        "/devices/platform/vhci_hcd.3/usb7",
        "/devices/platform/vhci_hcd.3/usb7/7-0:1.0",
        "/devices/platform/vhci_hcd.3/usb8/7-1",
        "/devices/platform/vhci_hcd.3/7-1",
        "/devices/platform/vhci_hcd.03/usb7/7-1",
        "/devices/platform/vhci_hcd.999/usb7/7-1",
        "/devices/platform/vhci_hcd.3/usb7/7-1.2",
        "/devices/platform/vhci_hcd.3/usb7/7-256",
        "/devices/platform/vhci_hcd.3/usb7/7-1/..",
        "/devices/platform/../platform/vhci_hcd.3/usb7/7-1",
        "/devices//platform/vhci_hcd.3/usb7/7-1",
        "/sys/devices/platform/vhci_hcd.3/usb7/7-1",
        "devices/platform/vhci_hcd.3/usb7/7-1",
        "/devices/platform/vhci_hcd.3/usb7/7-1/",
        "/devices/platform/vhci_hcd.3/usb7/7-1\n",
        "/devices/platform/vhci_hcd.\uff13/usb7/7-1",
        "/devices/platform/vhci_hcd.3/usb7/7-1/é",
        "/devices/virtual/vhci_hcd.3/usb7/7-1",
    ],
)
def test_no_place(devpath: str) -> None:
    assert place_of(devpath) is None


@given(hostile_text)
def test_place_of_never_raises_and_keeps_the_port(text: str) -> None:
    for path in (text, f"{PORT}/{text}", f"/devices/platform/vhci_hcd.3/{text}"):
        place = place_of(path)
        if place is not None:
            assert path.startswith(f"/devices/platform/{place.hub}/usb{place.bus}/{place.bus}-{place.rhport + 1}")
            assert place.busid.ports[0] == place.rhport + 1
