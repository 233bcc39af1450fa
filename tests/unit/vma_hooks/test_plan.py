"""One event and what the kernel shows, to one plan."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qvd_usbip.errors import QvdUsbError
from qvd_usbip.ids import DevNum
from qvd_usbip.uevent import Uevent, from_environment
from vma_hooks.plan import confine, plan

USB = "/devices/platform/vhci_hcd.3/usb7/7-1"
TTY = f"{USB}/7-1:1.0/tty/ttyACM0"
DISK = f"{USB}/7-1:1.0/host0/target0:0:0/0:0:0:0/block/sda"
NUMBER = DevNum.parse("189:772")


def event(action: str = "add", devpath: str = USB, name: str = "/dev/bus/usb/007/005", **more: str) -> Uevent:
    fields = {"ACTION": action, "DEVPATH": devpath, "DEVNAME": name, "MAJOR": "189", "MINOR": "772"}
    return from_environment(fields | {"SUBSYSTEM": "usb", "DEVTYPE": "usb_device"} | more)


def test_a_new_device_gets_a_character_node() -> None:
    made = plan(event(), USB)
    assert made is not None
    assert (made.verb, made.kind, made.number) == ("make", "c", NUMBER)
    assert made.path == ("bus", "usb", "007", "005")


def test_a_disk_gets_a_block_node() -> None:
    made = plan(
        event(devpath=DISK, name="/dev/sda", SUBSYSTEM="block", DEVTYPE="disk", MAJOR="8", MINOR="0"),
        DISK,
    )
    assert made is not None
    assert (made.kind, made.path) == ("b", ("sda",))


def test_a_removed_device_loses_its_node() -> None:
    dropped = plan(event("remove"), "")
    assert dropped is not None
    assert (dropped.verb, dropped.number) == ("drop", NUMBER)


@pytest.mark.parametrize("action", ["change", "bind", "unbind", "move", "online", "ADD"])
def test_other_actions_change_nothing(action: str) -> None:
    assert plan(event(action), USB) is None


@pytest.mark.parametrize(
    "devpath",
    [
        "/devices/pci0000:00/0000:00:14.0/usb1/1-1",
        "/devices/platform/dummy_hcd.0/usb3/3-1",
        "/devices/platform/vhci_hcd.3",
        "/devices/platform/vhci_hcd.3/usb7",
        "/devices/platform/vhci_hcd.3x/usb7/7-1",
        "/devices/virtual/tty/tty1",
    ],
)
def test_what_is_not_below_a_vhci_hub_is_left_alone(devpath: str) -> None:
    assert plan(event(devpath=devpath), devpath) is None


def test_a_device_on_another_containers_hub_is_left_alone() -> None:
    assert plan(event(), "") is None


def test_an_add_that_comes_after_the_number_went_to_another_device_is_left_alone() -> None:
    assert plan(event(), TTY) is None


def test_a_remove_that_comes_after_the_next_add_keeps_the_node() -> None:
    assert plan(event("remove"), USB) is None


def test_an_interface_has_no_node() -> None:
    fields = {"ACTION": "add", "DEVPATH": f"{USB}/7-1:1.0", "SUBSYSTEM": "usb", "DEVTYPE": "usb_interface"}
    assert plan(from_environment(fields), "") is None


@pytest.mark.parametrize(
    "name",
    [
        "/dev/../etc/passwd",
        "../etc/passwd",
        "/dev/bus/../../etc/passwd",
        "/etc/passwd",
        "/dev/",
        "/dev//sda",
        "/dev/./sda",
        "/dev/bus/usb/",
        "/dev/a\nb",
        "/dev/a\0b",
        "/dev/\u202esda",
        "/dev/" + "x" * 256,
        "/dev/" + "a/" * 8 + "b",
        "/dev/..",
    ],
)
def test_a_name_that_could_leave_dev_is_refused(name: str) -> None:
    with pytest.raises(QvdUsbError) as refused:
        confine(name)
    assert refused.value.problem.code == "node-refused"


@given(st.text(max_size=60))
def test_whatever_the_name_the_parts_are_plain(name: str) -> None:
    try:
        path = confine(name)
    except QvdUsbError:
        return
    assert path
    assert all(part not in {"", ".", ".."} and "/" not in part and "\0" not in part for part in path)
    assert "/".join(path) == name.removeprefix("/dev/")


@given(
    st.dictionaries(
        st.sampled_from(["ACTION", "DEVPATH", "DEVNAME", "MAJOR", "MINOR", "SUBSYSTEM", "DEVTYPE"]),
        st.one_of(
            st.sampled_from(["add", "remove", USB, TTY, "/dev/sda", "189", "772", "block"]), st.text(max_size=40)
        ),
    )
)
def test_a_hostile_event_gets_a_plan_below_dev_or_our_refusal(fields: dict[str, str]) -> None:
    try:
        decided = plan(from_environment(fields), USB)
    except QvdUsbError:
        return
    assert decided is None or ".." not in decided.path
