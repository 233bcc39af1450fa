"""EFFECT: a host without our agent: attaches to the hub that is mounted here, and answers as the agent would.

Such a host lends a hub by mounting it, and the container writes the hub's own `attach`. Nothing there keeps others'
devices apart but the mount, so a hub whose `attach` reaches other hubs' ports is left alone.
"""

import errno
import os
import socket
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from qvd_usbip import broker, vhci
from qvd_usbip.ack import Ack, AckState
from qvd_usbip.errors import ATTACH_FAILED, BROKER_PROTOCOL, DEVICE_GONE, NO_FREE_PORT, QvdUsbError
from qvd_usbip.system.files import read_text
from qvd_usbip.uevent import place_of
from vma_hooks.beneath import open_folder
from vma_hooks.broker_client import Agent, BrokerClient
from vma_hooks.own_hub import event_of, list_devices

SYSFS = Path("/sys")
_NOT_WRITABLE = frozenset((errno.ENOENT, errno.EACCES, errno.EPERM, errno.EROFS))
_REMEMBERED = 64
_LOOK_EVERY = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Attached:
    """An attach that the kernel took: the port's number, its place in its half, and what was told of it so far."""

    port: int
    devid: int
    half: str
    rhport: int
    started: float
    at: Mapping[AckState, int] = field(default_factory=dict)
    ready: bool = False


def way_to_host(agent: BrokerClient, sysfs: Path = SYSFS) -> Agent:
    """Decide whom to hand devices to: the agent, or, where the host has none, the hub that is mounted here.

    The hub's `attach` is opened now: whoever gives root up afterwards can still write it.
    """
    if agent.is_there():
        return agent
    return find_hub(sysfs) or agent


def find_hub(sysfs: Path) -> "MountedHub | None":
    """The one hub that is mounted here, if its `attach` may be written and takes devices for this hub alone."""
    hubs = sorted((sysfs / "devices/platform").glob("vhci_hcd.*"))
    if len(hubs) != 1 or (hubs[0] / "status.1").exists():
        return None
    try:
        descriptor = os.open(hubs[0] / "attach", os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError as error:
        if error.errno in _NOT_WRITABLE:
            return None
        raise
    return MountedHub(sysfs, hubs[0], descriptor)


class MountedHub:
    """Answers what the agent is asked, from what the hub shows; may be used by several threads at once."""

    def __init__(
        self, sysfs: Path, hub: Path, attach: int, write: Callable[[int, bytes], int] = os.write
    ) -> None:  # fmt: skip
        self._sysfs = sysfs
        self._hub = hub
        self._attach = attach
        self._write = write
        self._lock = threading.Lock()
        self._known: OrderedDict[str, Attached] = OrderedDict()

    def close(self) -> None:
        """Let go of the hub."""
        os.close(self._attach)

    def ask(self, request: broker.Request, connection: socket.socket | None = None) -> broker.Answer:
        """Do it, or say how far it is.

        Raises:
            QvdUsbError: NO_FREE_PORT, ATTACH_FAILED; DEVICE_GONE for an attach that is not (any more); BROKER_PROTOCOL
                for what only the agent can do.
        """
        match request:
            case broker.Attach() if connection is not None:
                self._take(request, connection)
            case broker.Status():
                return self._status(request)
            case broker.Ready(attach_id=attach_id):
                self._change(attach_id, ready=True)
            case broker.Ping():
                pass
            case _:
                raise QvdUsbError(BROKER_PROTOCOL, reason="this host has no agent")
        return broker.Answer(ok=True)

    def _take(self, request: broker.Attach, connection: socket.socket) -> None:
        half = vhci.half_of(request.speed)
        with self._lock:
            for rhport, row in enumerate(self._rows(half)):
                if row.state == vhci.STATE_FREE and self._attached(row.port, request, connection):
                    self._note(request, row.port, half, rhport)
                    return
        raise QvdUsbError(NO_FREE_PORT, hub=self._hub.name)

    def _note(self, request: broker.Attach, port: int, half: str, rhport: int) -> None:
        """Remember an attach; whatever had its port before is gone, though nobody may have asked since."""
        for other in [each for each, known in self._known.items() if known.port == port]:
            del self._known[other]
        self._known[request.attach_id] = Attached(
            port=port, devid=request.devid, half=half, rhport=rhport, started=time.monotonic()
        )
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)

    def _attached(self, port: int, request: broker.Attach, connection: socket.socket) -> bool:
        """Hand the connection to the kernel; False when somebody else took the port.

        Source: attach_store, drivers/usb/usbip/vhci_sysfs.c.
        """
        for speed in vhci.speeds_to_try(request.speed):
            line = vhci.Ports.attach_line(port, connection.fileno(), request.devid, speed)
            try:
                self._write(self._attach, line.encode("ascii"))
            except OSError as error:
                if error.errno == errno.EBUSY:
                    return False
                if error.errno != errno.EINVAL or speed != vhci.SUPER_PLUS:
                    raise QvdUsbError(ATTACH_FAILED, hub=self._hub.name, reason=error.strerror) from error
            else:
                return True
        raise QvdUsbError(ATTACH_FAILED, hub=self._hub.name, reason=os.strerror(errno.EINVAL))

    def _status(self, request: broker.Status) -> broker.Answer:
        end = time.monotonic() + request.wait
        while True:
            state, nodes = self._look(request.attach_id)
            if state is not request.seen or time.monotonic() >= end:
                known = self._reach(request.attach_id, state)
                return broker.Answer(ok=True, ack=Ack(state=state, at=dict(known.at)), nodes=nodes)
            time.sleep(_LOOK_EVERY)

    def _look(self, attach_id: str) -> tuple[AckState, tuple[str, ...]]:
        """How far an attach is, and its nodes. Without the agent's gate, what has enumerated is authorised."""
        known = self._remembered(attach_id)
        if not self._is_there(known):
            raise QvdUsbError(DEVICE_GONE, busid=attach_id)
        nodes = tuple(self._nodes(known))
        if known.ready:
            return AckState.READY, nodes
        return (AckState.AUTHORISED if nodes else AckState.ATTACHED), nodes

    def _is_there(self, known: Attached) -> bool:
        """Whether its port still has the device: another program may have attached another one since."""
        rows = self._rows(known.half)
        row = rows[known.rhport] if known.rhport < len(rows) else None
        return row is not None and row.state != vhci.STATE_FREE and row.devid == known.devid

    def _reach(self, attach_id: str, state: AckState) -> Attached:
        known = self._remembered(attach_id)
        if state in known.at:
            return known
        passed = round((time.monotonic() - known.started) * 1000)
        return self._change(attach_id, at={**known.at, state: passed})

    def _change(self, attach_id: str, **changes: object) -> Attached:
        with self._lock:
            known = self._remembered(attach_id)
            self._known[attach_id] = replace(known, **changes)  # type: ignore[arg-type]  # two callers, both above
            return self._known[attach_id]

    def _remembered(self, attach_id: str) -> Attached:
        """An attach, unless another thread has given its port to the next one meanwhile."""
        known = self._known.get(attach_id)
        if known is None:
            raise QvdUsbError(DEVICE_GONE, busid=attach_id)
        return known

    def _rows(self, half: str) -> list[vhci.PortStatus]:
        """The ports of a half; a table without a bus below its hub is never read (old kernels oops)."""
        if not any(self._hub.glob("usb[0-9]*")):
            return []
        return [row for row in vhci.parse_status(read_text(self._hub / "status")) if row.hub == half]

    def _nodes(self, known: Attached) -> Iterator[str]:
        """The names of the device's nodes, as the kernel calls them."""
        sys = open_folder(str(self._sysfs))
        try:
            for devpath in list_devices(sys):
                place = place_of(devpath)
                if place is not None and place.rhport == known.rhport and self._half(place.bus) == known.half:
                    name = event_of(sys, devpath).devname
                    if name:
                        yield name
        finally:
            os.close(sys)

    def _half(self, bus: int) -> str:
        """The half that a bus of this hub is: its root hub says of itself how fast it is."""
        try:
            return vhci.half_of(vhci.speed_of(read_text(self._hub / f"usb{bus}/speed").strip()))
        except FileNotFoundError:
            return ""
