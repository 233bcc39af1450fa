"""PURE: what can happen: requests, the kernel's events, results of actions, and what a look around found."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from qvd_usbip.ids import BusId, HubId, VmId
from qvd_usbip.port_range import ALL_PORTS, PortRange
from qvd_usbip.usb import UsbDevice
from server_agent.backend import Backend
from server_agent.lending import USUAL, Lease, Lending
from server_agent.state import HostNodes, HubBuses, Port, Right, Thing


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Base of all events; `at` is when it happened, in seconds of the monotonic clock."""

    at: float


# requests ------------------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True, kw_only=True)
class Reserve(Event):
    """A container is about to start."""

    container: VmId
    broker_gid: int
    enabled: bool  # vm.lxc.use_vhci_hubs is 1
    running: bool  # it has processes already
    request: int
    backend: Backend = Backend.MAP
    lending: Lending = USUAL
    nodes: HostNodes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Release(Event):
    """A container has stopped, or its hub is wanted back."""

    container: VmId
    request: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Attach(Event):
    """A container's receiver has a connected socket to hand over."""

    container: VmId
    attach_id: str
    devid: int
    speed: int
    request: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DetachAsked(Event):
    """The container wants to be rid of one of its own attaches."""

    container: VmId
    attach_id: str
    request: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RevokeAsked(Event):
    """The administrator takes a device from a container."""

    container: VmId
    busid: BusId
    request: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready(Event):
    """The image says: the node exists and the user may open it."""

    container: VmId
    attach_id: str
    node: str
    request: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Unseen(Event):
    """It could not be seen from the host that the user may open the device."""

    container: VmId
    attach_id: str
    request: int


# the kernel ----------------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True, kw_only=True)
class UsbAdded(Event):
    """A USB device enumerated below a hub; `since` as in exposure.py."""

    port: Port
    busid: BusId
    number: Right
    name: str
    since: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UsbRemoved(Event):
    """A USB device below a hub is gone."""

    port: Port
    number: Right


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeAdded(Event):
    """Something with a device number appeared below a USB device; `since` as in exposure.py."""

    port: Port
    right: Right
    name: str
    since: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeRemoved(Event):
    """Something with a device number is gone."""

    port: Port
    right: Right


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard(Event):
    """The kernel's event about anything below a port, with a number or without, in its own words."""

    port: Port
    event: str
    thing: Thing


@dataclass(frozen=True, slots=True, kw_only=True)
class KeysAdded(Event):
    """Something that a person could type with has appeared below a port, as an input device of this host."""

    port: Port
    devpath: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock(Event):
    """A deadline may have passed."""


# results of actions --------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True, kw_only=True)
class InForce(Event):
    """PutInForce went well."""

    container: VmId


@dataclass(frozen=True, slots=True, kw_only=True)
class NotInForce(Event):
    """PutInForce failed and was undone; `hub_at_fault` when another hub may do."""

    container: VmId
    problem: str
    detail: str
    hub_at_fault: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TornDown(Event):
    """TearDown is over; `reason` says why the hub cannot be lent again, empty when it is proven empty."""

    container: VmId
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered(Event):
    """The ledger has the state of this moment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NotRemembered(Event):
    """The ledger could not be written; the record that was there before still is."""

    path: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerOpened(Event):
    """The broker listens."""

    container: VmId


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerFailed(Event):
    """The broker socket could not be made."""

    container: VmId
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Attached(Event):
    """The kernel took the socket."""

    port: Port


@dataclass(frozen=True, slots=True, kw_only=True)
class PortBusy(Event):
    """Someone else has the port, or it is not free again yet."""

    port: Port


@dataclass(frozen=True, slots=True, kw_only=True)
class AttachFailed(Event):
    """The kernel refused the socket."""

    port: Port
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspected(Event):
    """What enumerated, read while unauthorised; see descriptors.Enumerated."""

    port: Port
    number: Right
    device: UsbDevice
    isochronous: bool = False
    complete: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class InspectFailed(Event):
    """It was gone, or became another device, before it was read."""

    port: Port
    number: Right
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted(Event):
    """The right was read back from the map."""

    container: VmId
    right: Right


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantFailed(Event):
    """The right is not in the map."""

    container: VmId
    right: Right
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Revoked(Event):
    """The right was verified to be gone; the kernel had counted so many events then."""

    container: VmId
    right: Right
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RevokeFailed(Event):
    """The right may still be there."""

    container: VmId
    right: Right
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeMade(Event):
    """The node is there, with its access list."""

    container: VmId
    right: Right


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeNotMade(Event):
    """The node could not be made."""

    container: VmId
    right: Right
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NotTold(Event):
    """A container did not hear that something is there."""

    container: VmId
    devpath: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Authorised(Event):
    """Drivers may have the device."""

    port: Port
    number: Right


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthoriseFailed(Event):
    """The device went away or would not be configured."""

    port: Port
    number: Right
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PortFree(Event):
    """Nothing is attached to the port any more."""

    port: Port


@dataclass(frozen=True, slots=True, kw_only=True)
class DetachFailed(Event):
    """The port is still in use."""

    port: Port
    detail: str


# a look around -------------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceSeen:
    """A USB device found below a hub, with every number below it."""

    port: Port
    busid: BusId
    number: Right
    name: str
    authorised: bool
    children: Mapping[Right, str] = field(default_factory=dict)
    things: tuple[Thing, ...] = ()  # parents first; only where the host makes nodes


@dataclass(frozen=True, slots=True, kw_only=True)
class HubSeen:
    """A hub: its buses, whether its gate is closed, and the ports that are not free."""

    buses: HubBuses
    gate_closed: bool
    used: frozenset[Port]


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """What is found of a container without asking the ledger."""

    hub: HubId | None
    running: bool
    broker_gid: int
    backend: Backend = Backend.MAP
    ports: PortRange = ALL_PORTS
    nodes: HostNodes | None = None

    @property
    def lease(self) -> Lease | None:
        """What it seems to have of its hub."""
        return None if self.hub is None else Lease(hub=self.hub, ports=self.ports)


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed(Event):
    """A look at the whole kernel; `at` is when it began, so that what changed since is left alone."""

    hubs: Mapping[HubId, HubSeen]
    ports_per_half: int
    devices: Mapping[Port, DeviceSeen]
    rights: Mapping[VmId, frozenset[Right] | None]  # None: nothing keeps it apart
    running: frozenset[VmId]
    leftovers: Mapping[VmId, Left]  # whatever is on disk or in the kernel under a container's name
    nodes: Mapping[VmId, Mapping[str, Right]] = field(default_factory=dict)  # what the host made, by name
    told: Mapping[VmId, tuple[Thing, ...]] = field(default_factory=dict)  # what containers were told is there
