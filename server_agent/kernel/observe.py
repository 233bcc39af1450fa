"""EFFECT: one look at everything: hubs, ports, devices and their children, rights, mounts."""

import errno
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from qvd_usbip.errors import QvdUsbError
from qvd_usbip.ids import BusId, DevNum, HubId, VmId
from qvd_usbip.port_range import ALL_PORTS, PORTS_NAME, PortRange
from qvd_usbip.system.files import read_text
from server_agent.events import DeviceSeen, HubSeen, Left, Observed
from server_agent.kernel.gate import Gate
from server_agent.kernel.hub_mount import HubMounts
from server_agent.kernel.rights import ByContainer
from server_agent.kernel.vhci import Vhci
from server_agent.state import Half, HubBuses, Port, Right

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

    def look(self, at: float) -> Observed:
        """Everything as it is now.

        Args:
            at: when this look begins, seconds of the monotonic clock.

        Raises:
            OSError, QvdUsbError: the kernel does not say.
        """
        hubs = dict(self._hubs())
        devices = {seen.port: seen for hub, found in hubs.items() for seen in self._devices(hub, found.buses)}
        names = self.rights.known() | self.mounts.known() | _containers(self.brokers)
        return Observed(
            at=at,
            hubs=hubs,
            ports_per_half=self.vhci.ports_per_half(),
            devices=devices,
            rights={name: self.rights.held(name) for name in names},
            running=self.rights.running(),
            leftovers={name: self._left(name) for name in names},
        )

    def _hubs(self) -> Iterator[tuple[HubId, HubSeen]]:
        for hub in self.vhci.lendable():
            found = self.vhci.seen(hub, gate_closed=self.gate.closed(hub))
            if found is not None:
                yield hub, found

    def _devices(self, hub: HubId, buses: HubBuses) -> Iterator[DeviceSeen]:
        halves: tuple[tuple[Half, int], ...] = (("hs", buses.hs), ("ss", buses.ss))
        for half, bus in halves:
            root = self.vhci.hub_path(hub) / f"usb{bus}"
            for entry in _list(root):
                busid = _busid(entry)
                if busid is not None and busid.bus == bus and len(busid.ports) == 1:
                    port = Port(hub=hub, half=half, rhport=busid.ports[0] - 1)
                    seen = device_seen(root / entry, port, busid)
                    if seen is not None:
                        yield seen

    def _left(self, name: VmId) -> Left:
        try:
            gid = (self.brokers / str(name) / "broker.sock").lstat().st_gid
        except FileNotFoundError:
            gid = 0
        return Left(
            hub=self.mounts.mounted(name), running=self.rights.has_processes(name), broker_gid=gid,
            backend=self.rights.backend(name), ports=self._ports(name),
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
    for entry in _list(folder) if depth else ():
        child = folder / entry
        if child.is_symlink() or not child.is_dir():
            continue
        right = _right(child)
        if right is not None:
            yield child, right
        yield from _numbers_below(child, depth - 1)


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


def _busid(text: str) -> BusId | None:
    try:
        return BusId.parse(text)
    except QvdUsbError:
        return None


def _containers(folder: Path) -> frozenset[VmId]:
    found = set()
    for entry in _list(folder):
        try:
            found.add(VmId.parse(entry))
        except QvdUsbError:
            continue
    return frozenset(found)
