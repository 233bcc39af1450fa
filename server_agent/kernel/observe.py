"""EFFECT: one look at everything: hubs, ports, devices and their children, rights, mounts."""

import errno
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from qvd_usbip.broker import SOCKET_NAME
from qvd_usbip.errors import QvdUsbError
from qvd_usbip.ids import BusId, DevNum, HubId, VmId
from qvd_usbip.port_range import ALL_PORTS, PORTS_NAME, PortRange
from qvd_usbip.system.files import read_text
from server_agent.events import DeviceSeen, HubSeen, Left, Observed
from server_agent.kernel.container_names import container_names
from server_agent.kernel.gate import Gate
from server_agent.kernel.hub_mount import HubMounts
from server_agent.kernel.nodes import NodeFolders
from server_agent.kernel.rights import ByContainer
from server_agent.kernel.told import Told
from server_agent.kernel.vhci import Vhci
from server_agent.state import Half, HostNodes, HubBuses, Port, Right, Thing

GONE = frozenset({errno.ENOENT, errno.ENODEV, errno.ENOTDIR})
DEPTH = 16  # folders below a device; its tree is as deep as the device's functions make it


@dataclass(frozen=True, slots=True, kw_only=True)
class Observer:
    """Looks through the effects the agent uses, so that it sees exactly what they would change."""

    vhci: Vhci
    gate: Gate
    rights: ByContainer
    mounts: HubMounts
    brokers: Path
    nodes: NodeFolders
    told: Told

    def look(self, at: float) -> Observed:
        """Everything as it is now.

        Args:
            at: when this look begins, seconds of the monotonic clock.

        Raises:
            OSError, QvdUsbError: the kernel does not say.
        """
        hubs = dict(self._hubs())
        devices = {seen.port: seen for hub, found in hubs.items() for seen in self._devices(hub, found.buses)}
        names = self.rights.known() | self.mounts.known() | container_names(self.brokers)
        host_nodes = self.nodes.known() | self.told.known()
        return Observed(
            at=at,
            hubs=hubs,
            ports_per_half=self.vhci.ports_per_half(),
            devices=devices,
            rights={name: self.rights.held(name) for name in names},
            running=self.rights.running(),
            leftovers={name: self._left(name) for name in names | host_nodes},
            nodes={name: self.nodes.held(name) for name in host_nodes},
            told={name: self.told.of(name) for name in host_nodes},
        )

    def _hubs(self) -> Iterator[tuple[HubId, HubSeen]]:
        for hub in self.vhci.lendable():
            found = self.vhci.seen(hub, gate_closed=self.gate.closed(hub))
            if found is not None:
                yield hub, found

    def _devices(self, hub: HubId, buses: HubBuses) -> Iterator[DeviceSeen]:
        halves: tuple[tuple[Half, int], ...] = (("hs", buses.hs), ("ss", buses.ss))
        with_things = bool(self.nodes.known())
        for half, bus in halves:
            root = self.vhci.hub_path(hub) / f"usb{bus}"
            for entry in _list(root):
                busid = _busid(entry)
                if busid is not None and busid.bus == bus and len(busid.ports) == 1:
                    port = Port(hub=hub, half=half, rhport=busid.ports[0] - 1)
                    seen = device_seen(root / entry, port, busid)
                    if seen is not None:
                        yield replace(seen, things=self._things(root / entry)) if with_things else seen

    def _things(self, folder: Path) -> tuple[Thing, ...]:
        """Whatever the kernel has made an event of below a device, in the words that it would say again."""
        below = [folder, *(path for path, _ in _folders_below(folder, DEPTH))]
        return tuple(thing for path in below if (thing := _thing(path, self.vhci.sysfs)) is not None)

    def _left(self, name: VmId) -> Left:
        try:
            found = (self.brokers / str(name) / SOCKET_NAME).lstat()
            uid, gid = found.st_uid, found.st_gid
        except FileNotFoundError:
            uid = gid = 0
        return Left(
            hub=self.mounts.mounted(name), running=self.rights.has_processes(name), broker_gid=gid,
            backend=self.rights.backend(name), ports=self._ports(name),
            nodes=HostNodes(root=uid, group=gid) if name in self.nodes.known() else None,
        )  # fmt: skip

    def _ports(self, name: VmId) -> PortRange:
        """The ports a container was told; one that was told nothing, or nothing that can be read, may have any."""
        try:
            text = read_text(self.brokers / str(name) / PORTS_NAME)
        except (FileNotFoundError, QvdUsbError):
            return ALL_PORTS
        return PortRange.parse(text.strip()) or ALL_PORTS


def device_seen(folder: Path, port: Port, busid: BusId) -> DeviceSeen | None:
    """A device with every number below it; None when it goes while one looks."""
    try:
        number = _right(folder)
        if number is None:
            return None
        authorised = (folder / "authorized").read_text(encoding="ascii").strip() == "1"
        numbered = {right: _name(path) for path, right in _numbers_below(folder, DEPTH)}
        return DeviceSeen(
            port=port, busid=busid, number=number, name=_name(folder), authorised=authorised, children=numbered
        )
    except OSError as error:
        if error.errno in GONE:
            return None
        raise


def _numbers_below(folder: Path, depth: int) -> Iterator[tuple[Path, Right]]:
    return ((path, right) for path, right in _folders_below(folder, depth) if right is not None)


def _folders_below(folder: Path, depth: int) -> Iterator[tuple[Path, Right | None]]:
    """The folders below one, parents first, with the number of each that has one."""
    for child in _folders(folder) if depth else ():
        yield child, _right(child)
        yield from _folders_below(child, depth - 1)


def _thing(folder: Path, sysfs: Path) -> Thing | None:
    """A sysfs device as the kernel's event about it would put it; None for a folder that is none.

    Source: dev_uevent_filter, drivers/base/core.c: without a bus or class there are no events.
    """
    try:
        subsystem = (folder / "subsystem").readlink().name
        words = (folder / "uevent").read_text(encoding="utf-8", errors="surrogateescape").split("\n")
    except OSError as error:
        if error.errno in GONE or error.errno == errno.EINVAL:
            return None
        raise
    devpath = f"/{folder.relative_to(sysfs).as_posix()}"
    properties = (f"SUBSYSTEM={subsystem}", *(word for word in words if "=" in word))
    return Thing(devpath=devpath, properties=properties, right=_right(folder))


def _right(folder: Path) -> Right | None:
    """The number of a sysfs device; `dev` and `subsystem` are read without waiting for a busy driver."""
    try:
        number = DevNum.parse((folder / "dev").read_text(encoding="ascii").strip())
        subsystem = (folder / "subsystem").readlink().name
    except OSError as error:
        if error.errno in GONE or error.errno == errno.EINVAL:
            return None
        raise
    return Right(kind="b" if subsystem == "block" else "c", number=number)


def _name(folder: Path) -> str:
    """The node's name below /dev."""
    for line in (folder / "uevent").read_text(encoding="utf-8", errors="replace").splitlines():
        if line.startswith("DEVNAME="):
            return line.removeprefix("DEVNAME=")
    return ""


def _list(folder: Path) -> list[str]:
    try:
        return sorted(entry.name for entry in folder.iterdir())
    except OSError as error:
        if error.errno in GONE:
            return []
        raise


def _folders(folder: Path) -> list[Path]:
    """The folders in one, links left out. Most entries are files: only the listing itself is asked what they are."""
    try:
        with os.scandir(folder) as entries:
            return sorted(folder / entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
    except OSError as error:
        if error.errno in GONE:
            return []
        raise


def _busid(text: str) -> BusId | None:
    try:
        return BusId.parse(text)
    except QvdUsbError:
        return None
