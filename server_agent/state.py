"""PURE: what the agent knows: containers with their hubs, devices on their ports, rights, and what is still owed."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from qvd_usbip.ack import AckState
from qvd_usbip.ids import BusId, DevNum, HubId, VmId
from qvd_usbip.port_range import ALL_PORTS, PortRange
from server_agent.backend import Backend
from server_agent.lending import USUAL, Lease, Lending, free_lease, possible_leases

Half = Literal["hs", "ss"]
PENDING_LIMIT = 4  # attaches of one container that are not in use yet
APPEAR_SECONDS = 10.0  # from the kernel's OK to a device that enumerates
SETTLE_SECONDS = 30.0  # from there until drivers have it
START_SECONDS = 60.0  # from the pre-start hook to the container's first process
LOST_SECONDS = 60.0  # after that long without its result, an action is taken for lost
ACK_MEMORY = 64  # finished attaches of one container that can still be asked about


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Right:
    """One device number a container may open: kind "c" or "b", and the exact number."""

    kind: Literal["b", "c"]
    number: DevNum

    def __hash__(self) -> int:
        return hash(self.number)

    def __str__(self) -> str:
        return f"{self.kind} {self.number}"


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Port:
    """One port of a hub: the half it is on and the root-hub port counted from 0."""

    hub: HubId
    half: Half
    rhport: int

    def __str__(self) -> str:
        return f"{self.hub.name}/{self.half}/{self.rhport}"


class Stage(StrEnum):
    """How far a device has come."""

    ATTACHING = "attaching"  # the port is chosen, the kernel has not answered
    ATTACHED = "attached"  # the kernel has the socket; nothing has enumerated
    INSPECTING = "inspecting"
    GRANTING = "granting"  # the right to its usbfs node is asked for, or waits for an older one to go
    AUTHORISING = "authorising"
    AUTHORISED = "authorised"
    DETACHING = "detaching"


class Hold(StrEnum):
    """How far the right to one number has come."""

    WANTED = "wanted"  # the same number is still being taken from someone, or the last try failed
    GRANTING = "granting"
    GRANTED = "granted"


class Phase(StrEnum):
    """How far a container has come."""

    RECORDING = "recording"  # the lease is chosen and is being written down; nothing is made before it is
    PREPARING = "preparing"
    IN_FORCE = "in-force"
    RELEASING = "releasing"  # its devices are being taken away
    TEARING = "tearing-down"


ORDER = {state: rank for rank, state in enumerate(AckState)}  # an attach never goes back


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """What can be said about one attach: its outcome so far and when each step was reached."""

    container: VmId
    started: float  # seconds, monotonic
    state: AckState | None = None
    at: Mapping[AckState, int] = field(default_factory=dict)  # milliseconds since it started
    problem: str = ""
    node: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A port in use: the attach that took it, the device that enumerated there, the rights that follow from it."""

    port: Port
    container: VmId
    attach_id: str = ""  # empty for a device found in the hub without a known attach
    devid: int = 0
    speed: int = 0
    stage: Stage = Stage.ATTACHING
    changed: float = 0.0
    deadline: float | None = None
    busid: BusId | None = None
    number: Right | None = None  # the usbfs node
    rights: Mapping[Right, Hold] = field(default_factory=dict)
    names: Mapping[Right, str] = field(default_factory=dict)  # below /dev
    tried: frozenset[Port] = frozenset()
    end: AckState | None = None  # set once it is to go: what will be said about it
    stuck: bool = False  # the last detach did not free the port
    requests: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class HostNodes:
    """The host makes a container's nodes: whom they are for, by the ids that the host counts.

    Args:
        root: its root, from its own user namespace.
        group: the group whose members may open its devices.
    """

    root: int
    group: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A node the host made, or is making, in a container's folder: its name there."""

    name: str
    made: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Thing:
    """Something below a USB device, the device itself included, that a container on its own hears of only from us.

    Args:
        devpath: from /devices/ on.
        properties: KEY=value as the kernel said them, but for ACTION, DEVPATH and SEQNUM: its removal repeats them.
        right: its number, for one that has a node.
        told: the container was told that it is there.
        heard: when the agent heard of it, seconds of the monotonic clock.
    """

    devpath: str
    properties: tuple[str, ...]
    right: Right | None = None
    told: bool = False
    heard: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """A container that was reserved: its hub (None: starts without USB) and who waits for an answer about it."""

    name: VmId
    hub: HubId | None
    phase: Phase
    backend: Backend = Backend.MAP
    ports: PortRange = ALL_PORTS  # fewer where others have ports of the same hub
    lending: Lending = USUAL  # the administrator's terms when it was reserved
    switched_off: bool = False  # then vm.lxc.use_vhci_hubs was not 1
    broker_gid: int = 0
    nodes: HostNodes | None = None  # None: its image makes them
    broker_open: bool = False
    since: float = 0.0
    requests: tuple[int, ...] = ()
    again: tuple[int, ...] = ()  # reserved anew while it is being released

    @property
    def lease(self) -> Lease | None:
        """What it has of its hub."""
        return None if self.hub is None else Lease(hub=self.hub, ports=self.ports)

    @property
    def without_usb(self) -> str:
        """The problem's code where it has no hub; else empty."""
        if self.hub is not None:
            return ""
        return "hubs-disabled" if self.switched_off else "no-free-hub"

    def has(self, port: Port) -> bool:
        """Whether this port is its own."""
        return self.hub == port.hub and port.rhport in self.ports


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """A right that is seen to be gone: when, in seconds, and how many events the kernel had counted by then."""

    at: float
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HubBuses:
    """A hub that may be lent: the bus numbers of its two halves."""

    hs: int
    ss: int


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Everything decide knows."""

    hubs: Mapping[HubId, HubBuses] = field(default_factory=dict)
    ports_per_half: int = 0
    containers: Mapping[VmId, Container] = field(default_factory=dict)
    devices: Mapping[Port, Device] = field(default_factory=dict)
    claims: Mapping[Right, tuple[Port, ...]] = field(default_factory=dict)  # which devices have a number; see claims_of
    revoking: frozenset[tuple[VmId, Right]] = frozenset()
    taken: Mapping[Right, Mapping[VmId, Taken]] = field(default_factory=dict)  # lately; see exposure.py
    looked: float = 0.0  # when the last look began
    forgotten: Mapping[Port | VmId, float] = field(default_factory=dict)  # since then; a look under way may show them
    quarantine: Mapping[Lease, str] = field(default_factory=dict)
    unrecorded: str = ""  # why the ledger is behind this state
    progress: Mapping[str, Progress] = field(default_factory=dict)
    isochronous: bool = False  # devices with isochronous endpoints may reach a container
    disk_request_kib: int = 0  # how large requests to lent disks may be; 0 leaves them as they come
    nodes: Mapping[tuple[VmId, Right], Node] = field(default_factory=dict)
    things: Mapping[Port, Mapping[str, Thing]] = field(default_factory=dict)  # by devpath, parents first

    def owner(self, port: Port) -> Container | None:
        """The container that has this port."""
        return next((c for c in self.containers.values() if c.has(port)), None)

    def tenants(self, hub: HubId) -> list[Container]:
        """The containers that have this hub, or ports of it, by port."""
        return sorted((c for c in self.containers.values() if c.hub == hub), key=lambda c: (c.ports, c.name))

    def leases(self) -> tuple[Lease, ...]:
        """Every lease that a container has."""
        return tuple(lease for c in self.containers.values() if (lease := c.lease) is not None)

    def devices_of(self, name: VmId) -> Iterator[Device]:
        """The ports in use that belong to this container."""
        return (device for device in self.devices.values() if device.container == name)

    def device_of_attach(self, name: VmId, attach_id: str) -> Device | None:
        """The device of one attach of this container; another container's attach is not found."""
        return next((d for d in self.devices_of(name) if d.attach_id == attach_id), None)

    def holder(self, right: Right) -> Device | None:
        """The device whose number this is, as far as the agent has acted on it."""
        return next((d for d in self.claimants(right) if d.rights[right] != Hold.WANTED), None)

    def claimants(self, right: Right) -> Iterator[Device]:
        """The devices that have, or are to have, this number."""
        return (self.devices[port] for port in self.claims.get(right, ()))

    def place(self, bus: int, rhport: int) -> Port | None:
        """The port a device on this bus sits on; None for a bus that is no hub's."""
        for hub, buses in self.hubs.items():
            if bus == buses.hs:
                return Port(hub=hub, half="hs", rhport=rhport)
            if bus == buses.ss:
                return Port(hub=hub, half="ss", rhport=rhport)
        return None

    def busid(self, port: Port) -> BusId | None:
        """What a device on this port is called; None for a hub that is not there."""
        buses = self.hubs.get(port.hub)
        return None if buses is None else BusId(buses.hs if port.half == "hs" else buses.ss, (port.rhport + 1,))

    def free_lease(self, lending: Lending) -> Lease | None:
        """What can be lent next: a hub, or ports of a shared one, that nobody has and nothing is held against."""
        possible = possible_leases(self.hubs, self.ports_per_half, lending)
        return free_lease(possible, (*self.leases(), *self.quarantine))

    def next_deadline(self) -> float | None:
        """When time itself becomes an event."""
        return min((d.deadline for d in self.devices.values() if d.deadline is not None), default=None)


def claims_of(devices: Mapping[Port, Device]) -> dict[Right, tuple[Port, ...]]:
    """The index by number that belongs to these devices."""
    claims: dict[Right, tuple[Port, ...]] = {}
    for port, device in devices.items():
        for right in device.rights:
            claims[right] = (*claims.get(right, ()), port)
    return claims
