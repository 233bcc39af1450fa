"""EFFECT: carries actions out and says, as an event, what came of each."""

import logging
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import singledispatchmethod
from pathlib import Path

from qvd_usbip.errors import QvdUsbError
from qvd_usbip.ids import VmId
from qvd_usbip.port_range import ALL_PORTS, PORTS_NAME, PortRange
from qvd_usbip.system.files import save_atomic
from server_agent import actions, events
from server_agent.backend import Backend
from server_agent.kernel.disks import Disks
from server_agent.kernel.freezer import Freezer
from server_agent.kernel.gate import ChangedError, Gate
from server_agent.kernel.hub_mount import HubMounts
from server_agent.kernel.nodes import NodeFolders
from server_agent.kernel.rights import ByContainer
from server_agent.kernel.uevents import Uevents
from server_agent.kernel.vhci import PortTakenError, Vhci
from server_agent.lending import Lease

LOG = logging.getLogger(__name__)
CONTAINER_ACTIONS = (actions.PutInForce, actions.TearDown, actions.ClearLeftover, actions.CloseGate)
QUICK_ACTIONS = (actions.AttachPort, actions.MakeNode, actions.RemoveNode)
RIGHTS_ACTIONS = (actions.Grant, actions.Revoke)
SLOW_ACTIONS = (actions.DetachPort, actions.Inspect, actions.Authorise, actions.InhibitKeys, actions.RaiseLimits)


@dataclass(frozen=True, slots=True, kw_only=True)
class Executor:
    """The kernel, as far as decide may touch it.

    Args:
        brokers: the folder that holds one folder per container.
        sockets: the descriptor of the socket that came with an attach id.
        clock: seconds of the monotonic clock.
    """

    vhci: Vhci
    gate: Gate
    rights: ByContainer
    freezer: Freezer
    mounts: HubMounts
    nodes: NodeFolders
    uevents: Uevents
    disks: Disks
    brokers: Path
    sockets: Callable[[str], int]
    clock: Callable[[], float]

    @singledispatchmethod
    def perform(self, action: actions.Action) -> events.Event | None:
        """Carry out one action; what comes of it is an event, failure too where decide needs to know."""
        raise TypeError(type(action).__name__)

    def takes_long(self, action: actions.Grant | actions.Revoke) -> bool:
        """Whether a right of this container takes more than a few system calls."""
        return self.rights.backend(action.container) != Backend.MAP

    def no_open_under_way(self, name: VmId) -> bool:
        """Whether every open that a container began before this call is over.

        Raises:
            OSError, QvdUsbError: it cannot be found out.
        """
        try:
            return not self.rights.has_processes(name) or self.freezer.no_call_under_way(name)
        except FileNotFoundError:
            if self.rights.has_processes(name):
                raise
            return True

    def events_counted(self) -> int:
        """How many events the kernel has counted."""
        return int((self.gate.sysfs / "kernel/uevent_seqnum").read_text(encoding="ascii"))

    # devices ---------------------------------------------------------------------------------------------------------
    @perform.register
    def _(self, action: actions.AttachPort) -> events.Event:
        try:
            self.gate.keep_closed(action.port.hub)
            self.vhci.attach(action.port, self.sockets(action.attach_id), action.devid, action.speed)
        except PortTakenError:
            return events.PortBusy(at=self.clock(), port=action.port)
        except (OSError, KeyError, QvdUsbError) as error:
            return events.AttachFailed(at=self.clock(), port=action.port, detail=_words(error))
        return events.Attached(at=self.clock(), port=action.port)

    @perform.register
    def _(self, action: actions.DetachPort) -> events.Event:
        try:
            free = self.vhci.detach(action.port)
        except (OSError, QvdUsbError) as error:
            return events.DetachFailed(at=self.clock(), port=action.port, detail=_words(error))
        if not free:
            return events.DetachFailed(at=self.clock(), port=action.port, detail="the port does not become free")
        return events.PortFree(at=self.clock(), port=action.port)

    @perform.register
    def _(self, action: actions.Inspect) -> events.Event:
        try:
            found = self.gate.inspect(action.busid, action.number)
        except (OSError, ChangedError, QvdUsbError) as error:
            return events.InspectFailed(at=self.clock(), port=action.port, number=action.number, detail=_words(error))
        return events.Inspected(
            at=self.clock(), port=action.port, number=action.number, device=found.device,
            isochronous=found.isochronous, complete=found.complete,
        )  # fmt: skip

    @perform.register
    def _(self, action: actions.Authorise) -> events.Event:
        try:
            self.gate.authorise(action.busid, action.number)
        except (OSError, ChangedError) as error:
            return events.AuthoriseFailed(at=self.clock(), port=action.port, number=action.number, detail=_words(error))
        return events.Authorised(at=self.clock(), port=action.port, number=action.number)

    @perform.register
    def _(self, action: actions.InhibitKeys) -> None:
        try:
            self.gate.inhibit_keys(action.devpath)
        except ChangedError:
            LOG.debug("gone before it could be inhibited device=%s", action.devpath)
        except OSError as error:  # a rule of udev tries the same
            LOG.warning("keys reach this host device=%s error=%s", action.devpath, _words(error))

    @perform.register
    def _(self, action: actions.RaiseLimits) -> None:
        try:
            raised = self.disks.raise_limits(action.port, action.right.number, action.request_kib)
        except (OSError, ValueError) as error:  # it is only slower so
            LOG.warning("disk keeps its limits port=%s disk=%s error=%s", action.port, action.right, _words(error))
            return
        if raised:
            LOG.info("disk takes requests of %d KiB port=%s disk=%s", action.request_kib, action.port, action.right)

    @perform.register
    def _(self, action: actions.Grant) -> events.Event:
        try:
            self.rights.allow(action.container, action.right)
        except (OSError, QvdUsbError) as error:
            return events.GrantFailed(
                at=self.clock(), container=action.container, right=action.right, detail=_words(error)
            )
        return events.Granted(at=self.clock(), container=action.container, right=action.right)

    @perform.register
    def _(self, action: actions.Revoke) -> events.Event | None:
        try:
            self.rights.deny(action.container, action.right)
        except (OSError, QvdUsbError) as error:
            return events.RevokeFailed(
                at=self.clock(), container=action.container, right=action.right, detail=_words(error)
            )
        return None  # it is closed; whether an open that was let in before is still under way, `granting` finds out

    @perform.register
    def _(self, action: actions.MakeNode) -> events.Event:
        try:
            self.nodes.make(action.container, action.name, action.right, action.access)
        except (OSError, QvdUsbError) as error:
            return events.NodeNotMade(
                at=self.clock(), container=action.container, right=action.right, detail=_words(error)
            )
        return events.NodeMade(at=self.clock(), container=action.container, right=action.right)

    @perform.register
    def _(self, action: actions.RemoveNode) -> None:
        try:
            self.nodes.drop(action.container, action.name, action.right)
        except (OSError, QvdUsbError) as error:  # it opens nothing any more, and the next look finds it
            LOG.warning("node left container=%s node=%s error=%s", action.container, action.name, _words(error))

    # containers ------------------------------------------------------------------------------------------------------
    @perform.register
    def _(self, action: actions.PutInForce) -> events.Event:
        name, hub = action.container, action.hub
        if action.fresh and hub is not None:
            reason = self._why_not_empty(Lease(hub=hub, ports=action.ports))
            if reason:
                return self._not_in_force(name, "hub-quarantined", reason, hub_at_fault=True)
        try:
            if hub is not None:
                self.gate.close(hub)
        except (OSError, QvdUsbError) as error:
            return self._not_in_force(name, "internal", _words(error), hub_at_fault=True)
        try:
            self.rights.create(name, action.backend)
            if action.fresh:
                self.mounts.make(name, hub, action.ports)
                self._broker_folder(name)
                self._tell_ports(name, action.ports)
                if action.nodes is not None:
                    self.nodes.create(name)
                    self.uevents.injector.start()
        except (OSError, QvdUsbError) as error:
            if action.fresh:
                self._undo(name)
            problem, detail = _why(error, action.backend)
            return self._not_in_force(name, problem, detail, hub_at_fault=False)
        return events.InForce(at=self.clock(), container=name)

    def _not_in_force(self, name: VmId, problem: str, detail: str, *, hub_at_fault: bool) -> events.Event:
        return events.NotInForce(
            at=self.clock(), container=name, problem=problem, detail=detail, hub_at_fault=hub_at_fault
        )

    def _broker_folder(self, name: VmId) -> None:
        """A folder of its own, so that the socket of a restarted agent is seen in the container."""
        folder = self.brokers / str(name)
        folder.mkdir(parents=True, exist_ok=True)
        for path in (self.brokers, folder):
            path.chmod(0o755)

    def _tell_ports(self, name: VmId, ports: PortRange) -> None:
        """Tell the image which ports of a shared hub are its own; without the file all are."""
        path = self.brokers / str(name) / PORTS_NAME
        if ports == ALL_PORTS:
            path.unlink(missing_ok=True)
        else:
            save_atomic(path, f"{ports}\n".encode(), 0o644)

    def _why_not_empty(self, lease: Lease) -> str:
        """Why ports cannot be lent; empty when every one of them is seen to be free."""
        try:
            used = [port for port in self.vhci.used(lease.hub) if lease.covers(port.hub, port.rhport)]
        except (OSError, QvdUsbError) as error:
            return f"its ports cannot be read: {_words(error)}"
        return f"in use: {', '.join(map(str, sorted(used)))}" if used else ""

    @perform.register
    def _(self, action: actions.TearDown) -> events.Event:
        reasons = [reason for reason in self._undo(action.container) if reason]
        if action.hub is not None:
            reasons += filter(None, [self._why_not_empty(Lease(hub=action.hub, ports=action.ports))])
        return events.TornDown(at=self.clock(), container=action.container, reason="; ".join(reasons))

    def _undo(self, name: VmId) -> list[str]:
        """Remove all that was put in force, as far as it goes.

        Returns:
            What stands in the way of lending the hub again: a mount that stays, or rights that may still be there.
        """
        reasons = []
        try:
            self.mounts.remove(name)
        except OSError as error:
            reasons.append(f"still mounted: {_words(error)}")
        try:
            self.rights.remove(name)
        except (OSError, QvdUsbError) as error:
            LOG.warning("rights not removed container=%s error=%s", name, _words(error))
            if self.rights.has_processes(name):
                reasons.append(f"container still has processes: {_words(error)}")
        try:
            self.uevents.forget(name)
            self.nodes.remove(name)
        except OSError as error:
            reasons.append(f"its nodes stay: {_words(error)}")
        folder = self.brokers / str(name)
        try:
            if folder.is_dir() and not folder.is_symlink():
                shutil.rmtree(folder)
        except OSError as error:
            reasons.append(f"its broker folder stays: {_words(error)}")
        return reasons

    @perform.register
    def _(self, action: actions.ClearLeftover) -> None:
        self._undo(action.container)

    @perform.register
    def _(self, action: actions.CloseGate) -> None:
        self.gate.close(action.hub)


def _why(error: OSError | QvdUsbError, backend: Backend) -> tuple[str, str]:
    """The problem's code, and its reason in words."""
    if isinstance(error, QvdUsbError):
        return error.problem.code, error.context.get("reason", str(error))
    return "bpf-unavailable" if backend == Backend.MAP else "backend-unavailable", _words(error)


def _words(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error)
