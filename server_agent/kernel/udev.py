"""EFFECT: the kernel's own device events, as events about ports of our hubs."""

import errno
import logging
import os
import socket
import struct
from collections.abc import Iterator

import pyudev

from qvd_usbip import uevent
from qvd_usbip.bitmaps import bits_of
from qvd_usbip.errors import QvdUsbError
from qvd_usbip.uevent import Uevent
from server_agent import events
from server_agent.kernel.vhci import HUB_PREFIX
from server_agent.state import Port, Right, State, Thing

LOG = logging.getLogger(__name__)
BUFFER_BYTES = 64 << 20  # room for a storm while one event is decided
LONGEST_COUNT = 20  # digits of an unsigned 64-bit number
LONGEST = 1 << 14  # bytes of an event; the kernel's own buffer holds 2 KiB of its words
_KERNEL_GROUP = 1
_CREDENTIALS = struct.Struct("=iII")  # struct ucred
_CREDENTIALS_SPACE = socket.CMSG_SPACE(_CREDENTIALS.size)
ADD, REMOVE = "add", "remove"
PASSED_ON = frozenset({ADD, REMOVE, "change", "bind", "unbind", "move", "online", "offline"})
# Source: include/uapi/linux/input-event-codes.h, BTN_MISC and KEY_OK: in between are buttons, which type nothing.
FIRST_BUTTON, FIRST_AFTER_BUTTONS = 0x100, 0x160
NOT_KEPT = frozenset({"ACTION", "DEVPATH", "SEQNUM", "SUBSYSTEM", "DEVNAME"})


class LostEventsError(Exception):
    """The socket overflowed: only a look around tells what there is now.

    It has to begin when all that waited was read: until then the kernel drops what comes, and does not say so again.
    Source: netlink_overrun, netlink_rcv_wake, net/netlink/af_netlink.c.
    """


class Monitor:
    """The kernel's uevent group. What arrives is read here: by libudev's accessors an event costs a hundred calls."""

    def __init__(self, opened: socket.socket | None = None) -> None:
        """Args: opened: instead of the group's own socket; must say who sends, as that one does."""
        self._socket = opened

    def start(self) -> int:
        """Listen from now on.

        Returns:
            The descriptor that becomes readable.
        """
        monitor = pyudev.Monitor.from_netlink(pyudev.Context(), "kernel")
        monitor.set_receive_buffer_size(BUFFER_BYTES)
        monitor.start()
        self._socket = socket.socket(fileno=os.dup(monitor.fileno()))
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        return self._socket.fileno()

    def read(self) -> Iterator[Uevent]:
        """What has arrived; what neither the kernel nor root sent and what cannot be an event of ours is left out.

        Raises:
            LostEventsError: some did not arrive.
        """
        while self._socket is not None:
            try:
                data, credentials, _, sender = self._socket.recvmsg(LONGEST, _CREDENTIALS_SPACE, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno == errno.ENOBUFS:
                    raise LostEventsError from error
                raise
            if not is_trusted(sender, credentials):
                LOG.debug("not the kernel's: %r from %s", data[:64], sender)
                continue
            try:
                yield uevent.from_environment(properties_of(data))
            except QvdUsbError as error:
                LOG.debug("event left out: %s", error)


def is_trusted(sender: object, credentials: list[tuple[int, int, bytes]]) -> bool:
    """PURE: whether a message of the group is the kernel's own.

    Source: netlink(7), nl_pid; sd_device_monitor_receive, src/libsystemd/sd-device, asks for the same two things.
    """
    uids = [
        _CREDENTIALS.unpack(data)[1]
        for level, kind, data in credentials
        if (level, kind, len(data)) == (socket.SOL_SOCKET, socket.SCM_CREDENTIALS, _CREDENTIALS.size)
    ]
    return sender == (0, _KERNEL_GROUP) and uids == [0]


def properties_of(data: bytes) -> dict[str, str]:
    """PURE: what a message says. Source: kobject_uevent_env, lib/kobject_uevent.c: "add@/devices/…", then KEY=value."""
    words = data.decode("utf-8", "surrogateescape").split("\0")[1:]
    return {key: value for key, is_word, value in (word.partition("=") for word in words) if is_word}


def is_hint(event: Uevent) -> bool:
    """True for an event somebody wrote into a `uevent` file: it proves nothing, but asks for a look."""
    return "SYNTH_UUID" in event.properties


def is_root_hub(event: Uevent) -> bool:
    """True for a half of a virtual hub itself: hubs have come or gone with the module, on whatever buses."""
    parts = event.devpath.split("/")
    of_vhci = len(parts) == 5 and parts[2] == "platform" and parts[3].startswith(HUB_PREFIX)
    return of_vhci and event.devtype == "usb_device"


class Beginnings:
    """Since when a node can be opened, as the kernel counts its events.

    A disk can be opened before its event comes: its partitions are read first, from far away. Its index is taken before
    the event of its SCSI disk. Source: sd_probe, drivers/scsi/sd.c; device_add_disk, block/genhd.c.
    """

    def __init__(self) -> None:
        self._disks: dict[str, int] = {}

    def of(self, event: Uevent) -> int | None:
        """The count; None where the kernel does not say. Every event has to be shown to it."""
        word = event.properties.get("SEQNUM", "")
        count = int(word) if word.isascii() and word.isdecimal() and len(word) <= LONGEST_COUNT else None
        if event.subsystem == "scsi_disk":
            place = event.devpath.partition("/scsi_disk/")[0]
            self._disks.pop(place, None)
            if event.action == ADD and count is not None:
                self._disks[place] = count
        return self._disks.get(event.devpath.partition("/block/")[0], count) if event.devtype == "disk" else count


def event_of(state: State, event: Uevent, at: float, since: int | None = None) -> events.Event | None:
    """What a kernel event means for the agent.

    Args:
        state: knows which bus belongs to which half of which hub.
        event: as the kernel sent it.
        at: seconds of the monotonic clock.
        since: when its node could be opened first, as Beginnings says.

    Returns:
        None for anything that is not a number coming or going below one of our hubs.
    """
    place = uevent.place_of(event.devpath) if event.action in {ADD, REMOVE} else None
    if place is None or event.devnum is None or is_hint(event):
        return None
    port = state.place(place.bus, place.rhport)
    if port is None or port.hub != place.hub:
        return None
    right = Right(kind="b" if event.is_block else "c", number=event.devnum)
    if event.subsystem == "usb" and event.devtype == "usb_device":
        if len(place.busid.ports) != 1:  # behind a hub a client made up; hubs are never authorised
            return None
        if event.action == REMOVE:
            return events.UsbRemoved(at=at, port=port, number=right)
        name = event.devname or ""
        return events.UsbAdded(at=at, port=port, busid=place.busid, number=right, name=name, since=since)
    return _node_event(event, port, right, at, since)


def _node_event(event: Uevent, port: Port, right: Right, at: float, since: int | None) -> events.Event:
    if event.action == ADD:
        return events.NodeAdded(at=at, port=port, right=right, name=event.devname or "", since=since)
    return events.NodeRemoved(at=at, port=port, right=right)


def keys_of(state: State, event: Uevent, at: float) -> events.KeysAdded | None:
    """An input device with keys that appears below one of our hubs; None for anything else.

    Source: input_dev_uevent, drivers/input/input.c.
    """
    place = uevent.place_of(event.devpath) if event.action == ADD and event.subsystem == "input" else None
    port = state.place(place.bus, place.rhport) if place is not None and not is_hint(event) else None
    if place is None or port is None or port.hub != place.hub or not has_keys(event.properties.get("KEY", "")):
        return None
    return events.KeysAdded(at=at, port=port, devpath=event.devpath)


def has_keys(bitmap: str) -> bool:
    """Whether a person could type with what has these keys and buttons; what cannot be read counts as if."""
    bits = bits_of(bitmap)
    if bits is None:
        return True
    buttons = (1 << FIRST_AFTER_BUTTONS) - (1 << FIRST_BUTTON)
    return bits & ~buttons > 1  # the lowest stands for no key at all


def heard_of(state: State, event: Uevent, at: float) -> events.Heard | None:
    """The same event for a container that the kernel does not tell; what is anywhere below its port counts.

    Returns:
        None unless the port is in use by a container whose nodes the host makes.
    """
    place = uevent.place_of(event.devpath) if event.action in PASSED_ON else None
    port = state.place(place.bus, place.rhport) if place is not None and not is_hint(event) else None
    device = state.devices.get(port) if port is not None else None
    container = state.containers.get(device.container) if device is not None else None
    if place is None or port is None or container is None or container.nodes is None or port.hub != place.hub:
        return None
    right = None
    if event.devnum is not None:
        right = Right(kind="b" if event.is_block else "c", number=event.devnum)
    words = [f"SUBSYSTEM={event.subsystem}"]
    words += [f"DEVNAME={event.devname}"] if event.devname else []
    words += [f"{key}={value}" for key, value in event.properties.items() if key not in NOT_KEPT]
    thing = Thing(devpath=event.devpath, properties=tuple(words), right=right)
    return events.Heard(at=at, port=port, event=event.action, thing=thing)
