"""EFFECT: the simulated host: containers, each with a hub full of devices, and an agent to run on it."""

import asyncio
import errno
import random
import shutil
import socket
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from qvd_usbip.ids import BusId, DevNum, HubId, VmId
from qvd_usbip.port_range import ALL_PORTS, PortRange
from qvd_usbip.uevent import Uevent, from_environment
from server_agent.backend import Backend
from server_agent.daemon import Daemon, Wiring
from server_agent.executor import Executor
from server_agent.kernel.disks import Disks
from server_agent.kernel.freezer import Freezer
from server_agent.kernel.gate import Gate
from server_agent.kernel.hub_mount import HubMounts
from server_agent.kernel.inits import Inits
from server_agent.kernel.nodes import NodeFolders
from server_agent.kernel.observe import Observer
from server_agent.kernel.rights import ByContainer
from server_agent.kernel.told import Told
from server_agent.kernel.udev import LostEventsError, Monitor
from server_agent.kernel.uevents import Injector, Uevents
from server_agent.kernel.vhci import Vhci
from server_agent.ledger import Ledger
from server_agent.records import Records
from server_agent.state import Container, Phase, Port, Right, State
from tests.kit.crowd.rights import AtRest, FileRights
from tests.kit.usbfs import number_of
from tests.unit.server_agent.fake_vhci import FakeVhci

BOOT = "boot"
TTY_MAJOR = 166
NO_SOCKETS: dict[str, int] = {}


@dataclass(slots=True)
class Mounts:
    """The mounts of hubs, as a table."""

    table: dict[VmId, HubId | None] = field(default_factory=dict)

    def make(self, name: VmId, hub: HubId | None, ports: PortRange = ALL_PORTS) -> None:
        """Note it."""
        del ports
        self.table[name] = hub

    def remove(self, name: VmId) -> None:
        """Forget it."""
        self.table.pop(name, None)

    def mounted(self, name: VmId) -> HubId | None:
        """The hub that was noted."""
        return self.table.get(name)

    def known(self) -> frozenset[VmId]:
        """All of them."""
        return frozenset(self.table)


@dataclass(slots=True)
class Events:
    """The kernel's events: a queue with room for so many, which overflows as the socket does.

    What comes before it was read empty is lost too, and only the first time it is said.
    """

    room: int = 1 << 20
    waiting: deque[Uevent] = field(default_factory=deque)
    lost: int = 0
    overflows: int = 0
    ends: tuple[socket.socket, socket.socket] = field(default_factory=socket.socketpair)
    _overflown: bool = False
    _congested: bool = False

    def send(self, event: Uevent) -> None:
        """The kernel sends one; what does not fit is gone."""
        if self._congested or len(self.waiting) >= self.room:
            self._overflown |= not self._congested
            self._congested = True
            self.lost += 1
            return
        self.waiting.append(event)
        if len(self.waiting) == 1:
            self.ends[1].send(b"!")

    def start(self) -> int:
        """The descriptor that becomes readable."""
        self.ends[0].setblocking(False)
        return self.ends[0].fileno()

    def read(self) -> Iterator[Uevent]:
        """What has arrived, as Monitor.read."""
        if self._overflown:
            self._overflown = False
            self.overflows += 1
            raise LostEventsError(errno.ENOBUFS)
        while self.waiting:
            if len(self.waiting) == 1:
                self._drain()
                self._congested = False
            yield self.waiting.popleft()

    def _drain(self) -> None:
        try:
            self.ends[0].recv(4096)
        except BlockingIOError:
            return

    def close(self) -> None:
        """Let go of the descriptors."""
        for end in self.ends:
            end.close()


@dataclass(slots=True)
class Crowd:
    """A host with so many containers, and in each one's hub so many devices, each with a tty.

    Args:
        folder: an empty folder for all of it.
        containers: how many, each with a hub to itself.
        devices: how many each.
    """

    folder: Path
    containers: int
    devices: int
    sysfs: FakeVhci = field(init=False)
    rights: FileRights = field(init=False)
    mounts: Mounts = field(default_factory=Mounts)
    events: Events = field(default_factory=Events)
    records: Records = field(default_factory=Records)

    def __post_init__(self) -> None:
        hubs = self.containers + 1
        self.sysfs = FakeVhci(root=self.folder / "sys", hubs=hubs, ports=max(2, self.devices)).make()
        self.rights = FileRights(root=self.folder / "rights")
        for number in range(1, hubs):
            self.mounts.make(self.name(number), HubId(number))
            (self.brokers / str(self.name(number))).mkdir(parents=True)
            for root in self.sysfs.hub(number).glob("usb*"):
                (root / "authorized_default").write_text("0\n")
        self.forget()

    @classmethod
    def existing(cls, folder: Path, containers: int, devices: int) -> "Crowd":
        """The host that is in this folder already."""
        crowd = cls.__new__(cls)
        crowd.folder, crowd.containers, crowd.devices = folder, containers, devices
        crowd.sysfs = FakeVhci(root=folder / "sys", hubs=containers + 1, ports=max(2, devices))
        crowd.rights = FileRights(root=folder / "rights")
        crowd.mounts = Mounts(table={crowd.name(number): HubId(number) for number in range(1, containers + 1)})
        crowd.events, crowd.records = Events(), Records()
        return crowd

    def forget(self) -> None:
        """No right is given, no record written, no event waits; hubs and devices stay."""
        for number in range(1, self.containers + 1):
            self.rights.create(self.name(number))
        self.rights.written = 0
        self.ledger().path.unlink(missing_ok=True)
        self.events.close()
        self.events = Events()
        self.records = Records()

    @property
    def brokers(self) -> Path:
        """The folders of the brokers' sockets."""
        return self.folder / "b"  # a socket's path is short

    def name(self, number: int) -> VmId:
        """The container that has this hub."""
        return VmId(f"c{number}")

    def plug(self, *, authorised: bool = True) -> None:
        """Every device of every container is there."""
        for number in range(1, self.containers + 1):
            used = {("hs", port): 6 for port in range(self.devices)}
            self.sysfs.set_status(number, used)
            for port in range(self.devices):
                self.sysfs.plug(number, "hs", port, port + 2, authorised=authorised)
                if authorised:
                    self.plug_tty(number, port)

    def plug_tty(self, number: int, port: int) -> None:
        """A driver has made a tty of a device."""
        folder = self.sysfs.root / "bus/usb/devices" / str(self.busid(number, port))
        self.sysfs.child(folder.resolve(), "1.0/tty/ttyACM", "tty", str(self.tty(number, port).number), "ttyACM")

    def unplug_tty(self, number: int, port: int) -> None:
        """The driver has let it go."""
        shutil.rmtree(self.sysfs.root / "bus/usb/devices" / str(self.busid(number, port)) / "1.0")

    def usb(self, number: int, port: int) -> Right:
        """The device's own number."""
        return Right(kind="c", number=number_of(2 * number + 3, port + 2))

    def tty(self, number: int, port: int) -> Right:
        """The number of the device's tty."""
        return Right(kind="c", number=DevNum(TTY_MAJOR, number * self.devices + port))

    def expected(self, number: int) -> frozenset[Right]:
        """Exactly the rights that this container should have."""
        ports = range(self.devices)
        return frozenset(self.usb(number, p) for p in ports) | frozenset(self.tty(number, p) for p in ports)

    def exact(self) -> bool:
        """Whether every container has exactly its own rights."""
        numbers = range(1, self.containers + 1)
        return all(self.rights.held(self.name(number)) == self.expected(number) for number in numbers)

    def give_all(self) -> None:
        """Every right is given already, as by an agent that has died since."""
        for number in range(1, self.containers + 1):
            for right in self.expected(number):
                self.rights.allow(self.name(number), right)
        self.rights.written = 0

    def spoil(self, dice: random.Random) -> None:
        """Of every container some rights are gone, and it has one of its neighbour's."""
        for number in range(1, self.containers + 1):
            for port in dice.sample(range(1, self.devices), 3):
                self.rights.deny(self.name(number), self.tty(number, port))
            self.rights.allow(self.name(number), self.tty(number % self.containers + 1, 0))
        self.rights.written = 0

    def tty_event(self, action: str, number: int, port: int) -> Uevent:
        """The kernel's word about a tty, read."""
        return from_environment(self.tty_words(action, number, port))

    def tty_words(self, action: str, number: int, port: int) -> dict[str, str]:
        """The kernel's word about a tty."""
        bus = 2 * number + 3
        right = self.tty(number, port).number
        devpath = f"/devices/platform/vhci_hcd.{number}/usb{bus}/{bus}-{port + 1}/{bus}-{port + 1}:1.0/tty/ttyACM"
        words = {"ACTION": action, "DEVPATH": devpath, "SUBSYSTEM": "tty", "DEVNAME": "ttyACM"}
        return {**words, "MAJOR": str(right.major), "MINOR": str(right.minor)}

    def busid(self, number: int, port: int) -> BusId:
        """The device as this host sees it."""
        return BusId(2 * number + 3, (port + 1,))

    def port(self, number: int, port: int) -> Port:
        """The device's port."""
        return Port(hub=HubId(number), half="hs", rhport=port)

    def ledger(self) -> Ledger:
        """The agent's record."""
        return Ledger(path=self.folder / "ledger.json", boot_id=BOOT)

    def write_ledger(self) -> None:
        """What the agent that died had written down: who has which hub."""
        names = {self.name(number): HubId(number) for number in range(1, self.containers + 1)}
        state = State(containers={n: Container(name=n, hub=hub, phase=Phase.IN_FORCE) for n, hub in names.items()})
        self.ledger().save(state)

    def wiring(self) -> Wiring:
        """The agent's own parts, on this host."""
        vhci, gate = Vhci(sysfs=self.sysfs.root), Gate(sysfs=self.sysfs.root)
        rights, mounts = ByContainer(backends={Backend.MAP: self.rights}), cast("HubMounts", self.mounts)
        nodes, told = NodeFolders(root=self.folder / "nodes"), Told(root=self.folder / "told")
        uevents = Uevents(injector=Injector(), inits=Inits(cgroups=self.folder / "cgroups"), told=told)
        return Wiring(
            executor=Executor(
                vhci=vhci, gate=gate, rights=rights, freezer=Freezer(hierarchies=(AtRest(),)), mounts=mounts,
                nodes=nodes, uevents=uevents, disks=Disks(sysfs=self.sysfs.root), brokers=self.brokers,
                sockets=NO_SOCKETS.__getitem__, clock=time.monotonic,
            ),
            observer=Observer(
                vhci=vhci, gate=gate, rights=rights, mounts=mounts, brokers=self.brokers, nodes=nodes, told=told
            ),
            ledger=self.ledger(), monitor=cast("Monitor", self.events), brokers=self.brokers, records=self.records,
        )  # fmt: skip

    async def settled(self, daemon: Daemon, seconds: float = 30.0) -> None:
        """Wait until nothing is under way any more."""
        deadline = time.monotonic() + seconds
        while daemon._tasks or daemon._hint is not None or self.events.waiting:
            if time.monotonic() > deadline:
                raise AssertionError("never comes to rest")
            await asyncio.sleep(0.005)
