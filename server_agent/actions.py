"""PURE: what the agent may be told to do; each is carried out by the executor and answered by an event."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from qvd_usbip.ids import BusId, HubId, VmId
from qvd_usbip.port_range import ALL_PORTS, PortRange
from server_agent.backend import Backend
from server_agent.state import HostNodes, Port, Right, Thing


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """Base of all actions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Remember(Action):
    """Write the ledger now: leases, quarantine and attaches of the state that goes with this action."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RememberSoon(Action):
    """Write the ledger beside all else; several wishes are one write. No device is authorised while it is due."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PutInForce(Action):
    """Make everything a container needs before it exists: gate, device rights, hub mount, broker folder."""

    container: VmId
    hub: HubId | None
    ports: PortRange = ALL_PORTS
    backend: Backend = Backend.MAP
    fresh: bool = True  # False: repair under a running container, whose hub may be in use
    nodes: HostNodes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TearDown(Action):
    """Undo PutInForce and say whether its ports are empty."""

    container: VmId
    hub: HubId | None
    ports: PortRange = ALL_PORTS


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseGate(Action):
    """New devices on this hub start unauthorised."""

    hub: HubId


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenBroker(Action):
    """Listen on the container's broker socket."""

    container: VmId
    gid: int
    uid: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseBroker(Action):
    """Stop listening and drop the container's connections."""

    container: VmId


@dataclass(frozen=True, slots=True, kw_only=True)
class AttachPort(Action):
    """Hand the socket of this attach to the kernel."""

    port: Port
    attach_id: str
    devid: int
    speed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DetachPort(Action):
    """Take the device off its port and wait until the port is free."""

    port: Port


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspect(Action):
    """Read what enumerated on this port, while it is not authorised."""

    port: Port
    busid: BusId
    number: Right


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged(Action):
    """For the record alone: what enumerated, and the Problem code for which it is refused ("": it is let through)."""

    container: VmId
    busid: BusId
    vidpid: str
    serial: str
    isochronous: bool
    problem: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant(Action):
    """Allow one number to one container, and read it back."""

    container: VmId
    right: Right


@dataclass(frozen=True, slots=True, kw_only=True)
class Revoke(Action):
    """Take one number from one container, and verify that it is gone."""

    container: VmId
    right: Right


@dataclass(frozen=True, slots=True, kw_only=True)
class Authorise(Action):
    """Let drivers have the device, if it still is the one that was inspected."""

    port: Port
    busid: BusId
    number: Right


@dataclass(frozen=True, slots=True, kw_only=True)
class InhibitKeys(Action):
    """Let the kernel give the keys of an input device to nobody on this host."""

    devpath: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RaiseLimits(Action):
    """Let requests to a disk be larger, for over a network each costs a round trip; a partition has its disk's."""

    port: Port
    right: Right
    request_kib: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MakeNode(Action):
    """Make a node in the folder that a container has in its /dev."""

    container: VmId
    right: Right
    name: str
    access: HostNodes


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveNode(Action):
    """Remove a node from the container's folder, if it still is this number's."""

    container: VmId
    right: Right
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Announce(Action):
    """Say a kernel event inside a container, whose own network namespace the kernel does not tell.

    Args:
        event: the kernel's word: add, remove, change, …
        link: the node's name, where /dev of the container gets or loses a link to it.
    """

    container: VmId
    event: str
    thing: Thing
    link: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer(Action):
    """Answer a waiting request: with a Problem code, or well."""

    request: int
    problem: str = ""
    context: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClearLeftover(Action):
    """Remove cgroup, map, mounts and broker folder of a container the agent does not know."""

    container: VmId


@dataclass(frozen=True, slots=True, kw_only=True)
class LookAround(Action):
    """Observe the kernel soon: something may have been missed."""
