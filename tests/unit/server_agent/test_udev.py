"""Kernel events become events about ports of our hubs, or nothing."""

import errno
import socket
import struct
from typing import cast

import pytest

from qvd_usbip.ids import BusId, DevNum, HubId, VmId
from qvd_usbip.uevent import from_environment
from server_agent import events
from server_agent.kernel.udev import (
    Beginnings,
    LostEventsError,
    Monitor,
    event_of,
    has_keys,
    heard_of,
    is_hint,
    keys_of,
)
from server_agent.state import Container, Device, HostNodes, HubBuses, Phase, Port, Right, State, Thing

STATE = State(hubs={HubId(3): HubBuses(hs=9, ss=10)}, ports_per_half=15)
BELOW = "/devices/platform/vhci_hcd.3/usb9/9-2"
PORT = Port(hub=HubId(3), half="hs", rhport=1)


def event(action: str, devpath: str, **more: str) -> events.Event | None:
    properties = {"ACTION": action, "DEVPATH": devpath, "SUBSYSTEM": "usb", "DEVTYPE": "usb_device", **more}
    return event_of(STATE, from_environment(properties), 5.0)


def usb(action: str, devpath: str = BELOW) -> events.Event | None:
    return event(action, devpath, MAJOR="189", MINOR="1025", DEVNAME="bus/usb/009/002")


def test_a_device_comes_and_goes() -> None:
    number = Right(kind="c", number=DevNum(189, 1025))
    assert usb("add") == events.UsbAdded(
        at=5.0, port=PORT, busid=BusId.parse("9-2"), number=number, name="bus/usb/009/002"
    )
    assert usb("remove") == events.UsbRemoved(at=5.0, port=PORT, number=number)


def shown(beginnings: Beginnings, action: str, place: str, count: str, **more: str) -> int | None:
    properties = {"ACTION": action, "DEVPATH": f"{BELOW}/9-2:1.0/host0/target0:0:0/{place}", "SEQNUM": count, **more}
    return beginnings.of(from_environment(properties))


def test_a_disk_can_be_opened_since_its_scsi_disk_was_there_and_all_else_since_its_event() -> None:
    beginnings = Beginnings()
    first, second = "0:0:0:0/", "0:0:0:1/"
    assert shown(beginnings, "add", f"{first}scsi_disk/0:0:0:0", "70", SUBSYSTEM="scsi_disk") == 70
    assert shown(beginnings, "add", f"{second}block/sdb", "75", SUBSYSTEM="block", DEVTYPE="disk") == 75
    assert shown(beginnings, "add", f"{first}block/sda", "80", SUBSYSTEM="block", DEVTYPE="disk") == 70
    assert shown(beginnings, "add", f"{first}block/sda/sda1", "81", SUBSYSTEM="block", DEVTYPE="partition") == 81
    assert shown(beginnings, "add", f"{first}scsi_generic/sg0", "82", SUBSYSTEM="scsi_generic") == 82
    shown(beginnings, "remove", f"{first}scsi_disk/0:0:0:0", "90", SUBSYSTEM="scsi_disk")
    assert shown(beginnings, "add", f"{first}block/sda", "95", SUBSYSTEM="block", DEVTYPE="disk") == 95


@pytest.mark.parametrize("count", ["", "x", "-1", "9" * 21, "\u0663"])
def test_a_count_that_is_none_is_not_known(count: str) -> None:
    assert shown(Beginnings(), "add", "tty/ttyACM0", count, SUBSYSTEM="tty") is None


def test_what_it_can_be_opened_since_goes_with_the_event() -> None:
    found = from_environment(
        {"ACTION": "add", "DEVPATH": f"{BELOW}/9-2:1.0/tty/ttyACM0", "SUBSYSTEM": "tty", "MAJOR": "166", "MINOR": "0"}
    )
    event = event_of(STATE, found, 5.0, 17)
    assert isinstance(event, events.NodeAdded)
    assert event.since == 17


def test_a_fast_device_is_on_the_other_half_of_its_hub() -> None:
    found = usb("add", "/devices/platform/vhci_hcd.3/usb10/10-2")
    assert isinstance(found, events.UsbAdded)
    assert found.port == Port(hub=HubId(3), half="ss", rhport=1)


@pytest.mark.parametrize(("subsystem", "kind"), [
    ("block", "b"), ("tty", "c"), ("scsi_generic", "c"), ("hidraw", "c"), ("input", "c"), ("sound", "c"),
    ("video4linux", "c"), ("media", "c"), ("usbmisc", "c"),
])  # fmt: skip
def test_a_child_with_a_number_is_block_only_in_the_block_subsystem(subsystem: str, kind: str) -> None:
    found = event(
        "add", f"{BELOW}/9-2:1.0/x/y", SUBSYSTEM=subsystem, DEVTYPE="disk", MAJOR="8", MINOR="0", DEVNAME="sda"
    )
    assert isinstance(found, events.NodeAdded)
    assert found.right == Right(kind="b" if kind == "b" else "c", number=DevNum(8, 0))
    assert found.port == PORT


@pytest.mark.parametrize(
    "devpath",
    [
        "/devices/platform/vhci_hcd.4/usb9/9-2",  # the bus of another hub
        "/devices/platform/vhci_hcd.3/usb11/11-2",  # a bus nobody knows
        "/devices/pci0000:00/0000:00:14.0/usb9/9-2",
        "/devices/platform/vhci_hcd.3/usb9",  # the root hub itself
        f"{BELOW}/9-2.1",  # behind a hub of a client's
    ],
)
def test_what_is_not_on_a_port_of_ours_is_nothing(devpath: str) -> None:
    assert usb("add", devpath) is None


@pytest.mark.parametrize("action", ["change", "bind", "unbind", "move", "online"])
def test_other_actions_are_nothing(action: str) -> None:
    assert usb(action) is None


def test_an_interface_has_no_number() -> None:
    assert event("add", f"{BELOW}/9-2:1.0", DEVTYPE="usb_interface") is None


def test_an_event_somebody_wrote_is_a_hint_and_no_proof() -> None:
    properties = {
        "ACTION": "add",
        "DEVPATH": BELOW,
        "SUBSYSTEM": "usb",
        "SYNTH_UUID": "0",
        "MAJOR": "189",
        "MINOR": "9",
    }
    written = from_environment({**properties, "DEVTYPE": "usb_device"})
    assert event_of(STATE, written, 1.0) is None
    assert is_hint(written)


KEYBOARD = "1000000000007 ff9f207ac14057ff febeffdfffefffff fffffffffffffffe"
INPUT = f"{BELOW}/9-2:1.0/0003:0627:0001.0001/input/input5"


@pytest.mark.parametrize(
    ("bitmap", "typed"),
    [
        (KEYBOARD, True),
        ("1f0000 0 0 0 0", False),  # a mouse
        ("7cdb000000000000 0 0 0 0", False),  # a game pad
        ("1000000000000 c000000000000 0", True),  # a headset
        ("1 0 0 0 0 0", False),  # the last button
        ("100000000 0 0 0 0 0", True),  # the first key after them
        ("1", False),  # KEY_RESERVED
        ("", False),
        ("what", True),
        ("-1", True),
        ("1_0", True),
    ],
)
def test_keys_are_told_from_buttons(bitmap: str, typed: bool) -> None:
    assert has_keys(bitmap) == typed


def keys(action: str = "add", devpath: str = INPUT, **more: str) -> events.KeysAdded | None:
    words = {"ACTION": action, "DEVPATH": devpath, "SUBSYSTEM": "input", "KEY": KEYBOARD, **more}
    return keys_of(STATE, from_environment(words), 5.0)


def test_a_keyboard_of_a_strangers_is_noticed_wherever_it_is_below_a_port() -> None:
    assert keys() == events.KeysAdded(at=5.0, port=PORT, devpath=INPUT)
    behind = f"{BELOW}/9-2:1.2/0003:046D:C52B.0003/0003:046D:4024.0004/input/input9"
    assert keys(devpath=behind) == events.KeysAdded(at=5.0, port=PORT, devpath=behind)


@pytest.mark.parametrize(
    ("action", "devpath", "more"),
    [
        ("remove", INPUT, {}),
        ("add", INPUT.replace("vhci_hcd.3", "vhci_hcd.4"), {}),
        ("add", "/devices/pci0000:00/0000:00:14.0/usb9/9-2/9-2:1.0/input/input5", {}),
        ("add", INPUT, {"SUBSYSTEM": "hid"}),
        ("add", INPUT, {"KEY": "1f0000 0 0 0 0"}),
        ("add", INPUT, {"SYNTH_UUID": "0"}),
    ],
)
def test_the_hosts_own_keyboards_and_what_has_no_keys_are_left_alone(
    action: str, devpath: str, more: dict[str, str]
) -> None:
    assert keys(action, devpath, **more) is None


KERNEL = ((0, 1), (0, 0, 0))
GOOD = f"add@{BELOW}\0ACTION=add\0DEVPATH={BELOW}\0NAME=a=b\0SEQNUM=7\0".encode()


class FakeSocket:
    """Plays what the group's socket gives: an event, the kernel's if nothing else is said, or trouble."""

    def __init__(self, *played: object) -> None:
        self._played = list(played)

    def recvmsg(self, most: int, space: int, flags: int) -> object:
        assert flags == socket.MSG_DONTWAIT
        assert space >= socket.CMSG_SPACE(12)
        found = self._played.pop(0) if self._played else BlockingIOError(errno.EAGAIN, "nothing")
        if isinstance(found, Exception):
            raise found
        data, (sender, credentials) = found if isinstance(found, tuple) else (found, KERNEL)
        said = [(socket.SOL_SOCKET, socket.SCM_CREDENTIALS, struct.pack("=iII", *credentials))] if credentials else []
        return data[:most], said, 0, sender


def monitor(*played: object) -> Monitor:
    return Monitor(cast("socket.socket", FakeSocket(*played)))


def test_what_arrived_is_read_and_nonsense_left_out() -> None:
    nonsense = b"add@/../x\0ACTION=add\0DEVPATH=/../x\0", b"libudev\0\xfe\xed", b"", b"\xff\0=\0==\0"
    (found, other) = monitor(*nonsense, GOOD, GOOD.replace(b"a=b", b"\xff")).read()
    assert (found.devpath, found.properties["NAME"]) == (BELOW, "a=b")
    assert other.properties["NAME"] == "\udcff", "as it is said again to a container"


@pytest.mark.parametrize(
    "whose",
    [
        ((4711, 1), (4711, 0, 0)),  # root's, by a socket of its own
        ((0, 1), (4711, 1000, 1000)),
        ((0, 0), (0, 0, 0)),  # to us alone, and not to the group
        ((0, 1), None),
    ],
)
def test_what_the_kernel_did_not_send_is_nothing(whose: object) -> None:
    assert [found.devpath for found in monitor((GOOD, whose), GOOD).read()] == [BELOW]


def test_an_overflow_is_a_loss() -> None:
    read = monitor(GOOD, OSError(errno.ENOBUFS, "No buffer space")).read()
    assert next(read).devpath == BELOW
    with pytest.raises(LostEventsError):
        next(read)


def test_other_trouble_is_not_hidden() -> None:
    with pytest.raises(PermissionError, match="no"):
        list(monitor(PermissionError(errno.EPERM, "no")).read())


# what a container on its own is told ---------------------------------------------------------------------------------
def told(nodes: HostNodes | None, action: str, devpath: str, **more: str) -> events.Heard | None:
    container = Container(name=VmId("three"), hub=HubId(3), phase=Phase.IN_FORCE, nodes=nodes)
    state = State(
        hubs=STATE.hubs, ports_per_half=15, containers={container.name: container},
        devices={PORT: Device(port=PORT, container=container.name)},
    )  # fmt: skip
    properties = {"ACTION": action, "DEVPATH": devpath, "SEQNUM": "7", "SUBSYSTEM": "usb", **more}
    return heard_of(state, from_environment(properties), 5.0)


NODES = HostNodes(root=100000, group=100997)


def test_everything_below_its_port_is_passed_on_in_the_kernels_words() -> None:
    interface = told(NODES, "bind", f"{BELOW}/9-2:1.0", DEVTYPE="usb_interface", MODALIAS="usb:v1")
    thing = Thing(devpath=f"{BELOW}/9-2:1.0", properties=("SUBSYSTEM=usb", "DEVTYPE=usb_interface", "MODALIAS=usb:v1"))
    assert interface == events.Heard(at=5.0, port=PORT, event="bind", thing=thing)
    disk = told(NODES, "add", f"{BELOW}/9-2:1.0/block/sda", SUBSYSTEM="block", DEVNAME="/dev/sda", MAJOR="8", MINOR="0")
    assert disk is not None
    assert disk.thing.right == Right(kind="b", number=DevNum(8, 0))
    assert disk.thing.properties == ("SUBSYSTEM=block", "DEVNAME=sda", "MAJOR=8", "MINOR=0")


@pytest.mark.parametrize(
    ("nodes", "action", "devpath", "more"),
    [
        (None, "add", BELOW, {}),
        (NODES, "add", "/devices/platform/vhci_hcd.3/usb9/9-3", {}),
        (NODES, "add", "/devices/platform/vhci_hcd.4/usb9/9-2", {}),
        (NODES, "add", BELOW, {"SYNTH_UUID": "0"}),
        (NODES, "invented", BELOW, {}),
    ],
)
def test_what_is_not_its_own_or_not_the_kernels_word_is_not_passed_on(
    nodes: HostNodes | None, action: str, devpath: str, more: dict[str, str]
) -> None:
    assert told(nodes, action, devpath, **more) is None
