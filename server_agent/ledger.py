"""EFFECT: the durable record of who has which hub, and of the attaches, so that a restarted agent knows them again.

It holds for one boot: ports, devices and maps do not outlive the kernel. What cannot be read, or belongs to another
boot, counts as nothing; reconcile then finds in the kernel what there is.
"""

import json
import logging
from dataclasses import dataclass, replace
from itertools import combinations
from math import isfinite
from pathlib import Path
from typing import Any

from qvd_usbip.ack import AckState
from qvd_usbip.errors import QvdUsbError
from qvd_usbip.ids import HubId, VmId
from qvd_usbip.port_range import PortRange
from qvd_usbip.system.files import read_text, save_atomic
from server_agent.backend import Backend
from server_agent.lending import Lease
from server_agent.state import Container, Device, Half, HostNodes, Phase, Port, Progress, Stage, State

LOG = logging.getLogger(__name__)
VERSION = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """Where the record is, and which boot it is for."""

    path: Path
    boot_id: str

    def load(self, now: float) -> State:
        """The state as far as it was recorded; an empty one when there is no record that counts.

        Args:
            now: seconds of the monotonic clock.
        """
        try:
            text = read_text(self.path)
        except FileNotFoundError:
            return State()
        except QvdUsbError as error:
            LOG.warning("ledger unreadable, rebuilt from the kernel path=%s error=%s", self.path, error)
            return State()
        try:
            return parse_ledger(text, self.boot_id, now)
        except ValueError as error:
            LOG.warning("ledger not usable, rebuilt from the kernel path=%s error=%s", self.path, error)
            return State()

    def save(self, state: State) -> None:
        """Replace the record by this state, all or nothing.

        Raises:
            QvdUsbError: config-unwritable; the old record stands.
        """
        save_atomic(self.path, format_ledger(state, self.boot_id).encode(), 0o600)


def format_ledger(state: State, boot_id: str) -> str:
    """The record of a state, as text."""
    return json.dumps(
        {
            "v": VERSION,
            "boot": boot_id,
            "containers": [_container_row(container) for container in state.containers.values()],
            "quarantine": [[*_lease(lease), reason] for lease, reason in state.quarantine.items()],
            "attaches": [
                _attach(device, state.progress[device.attach_id])
                for device in state.devices.values()
                if device.attach_id in state.progress and device.stage not in {Stage.ATTACHING, Stage.DETACHING}
            ],
        },
        indent=1,
    )


def _container_row(container: Container) -> dict[str, Any]:
    return {
        "name": str(container.name),
        "lease": _lease(container.lease) if container.lease else None,
        "switched_off": container.switched_off,
        "backend": container.backend,
        "gid": container.broker_gid,
        "nodes": [container.nodes.root, container.nodes.group] if container.nodes else None,
        "phase": container.phase,
        "since": container.since,
    }


def _lease(lease: Lease) -> list[str]:
    return [lease.hub.name, str(lease.ports)]


def _attach(device: Device, progress: Progress) -> dict[str, Any]:
    return {
        "id": device.attach_id,
        "container": str(device.container),
        "port": [device.port.hub.name, device.port.half, device.port.rhport],
        "devid": device.devid,
        "speed": device.speed,
        "started": progress.started,
        "state": progress.state,
        "at": dict(progress.at),
        "node": progress.node,
    }


def parse_ledger(text: str, boot_id: str, now: float) -> State:
    """A state from its record; empty when the record is of another boot.

    Raises:
        ValueError: it is no record of ours.
    """
    try:
        return _state(json.loads(text), boot_id, now)
    except (LookupError, TypeError, AttributeError, ArithmeticError, RecursionError, QvdUsbError) as error:
        raise ValueError(f"{type(error).__name__}: {error}") from error


def _state(record: dict[str, Any], boot_id: str, now: float) -> State:
    if record["v"] != VERSION:
        raise ValueError("another version")
    if record["boot"] != boot_id:
        return State()
    containers = [_container(row, now) for row in record["containers"]]
    leases = [c.lease for c in containers if c.lease is not None]
    if any(one.meets(other) for one, other in combinations(leases, 2)):
        raise ValueError("a port stands twice")
    if len({c.name for c in containers}) != len(containers):
        raise ValueError("a container stands twice")
    devices: dict[Port, Device] = {}
    progress: dict[str, Progress] = {}
    named = {c.name: c for c in containers}
    for row in record["attaches"]:
        device, known = _device(row)
        if named[device.container].has(device.port) and device.port not in devices:
            devices[device.port] = device
            progress[device.attach_id] = known
    return State(
        containers=named,
        devices=devices,
        quarantine={_lease_of(hub, ports): str(reason) for hub, ports, reason in record["quarantine"]},
        progress=progress,
    )


def _container(row: dict[str, Any], now: float) -> Container:
    """A container as it was recorded; one that was not, or no longer, in force when the agent died is released."""
    lease = None if row["lease"] is None else _lease_of(*row["lease"])
    phase = Phase.IN_FORCE if Phase(row["phase"]) == Phase.IN_FORCE else Phase.RELEASING
    since = min(_seconds(row["since"]), now)
    nodes = row.get("nodes")
    container = Container(
        name=VmId.parse(row["name"]), hub=None, phase=phase, backend=Backend(row["backend"]),
        broker_gid=int(row["gid"]), since=since,
        nodes=HostNodes(root=int(nodes[0]), group=int(nodes[1])) if nodes else None,
        switched_off=row.get("switched_off") is True,
    )  # fmt: skip
    return container if lease is None else replace(container, hub=lease.hub, ports=lease.ports)


def _lease_of(hub: str, ports: str) -> Lease:
    found = PortRange.parse(ports)
    if found is None:
        raise ValueError(f"no ports: {ports!r}")
    return Lease(hub=HubId.parse(hub), ports=found)


def _device(row: dict[str, Any]) -> tuple[Device, Progress]:
    hub, half, rhport = row["port"]
    name = VmId.parse(row["container"])
    device = Device(
        port=Port(hub=HubId.parse(hub), half=_half(half), rhport=int(rhport)), container=name, attach_id=str(row["id"]),
        devid=int(row["devid"]), speed=int(row["speed"]), stage=Stage.ATTACHED,
    )  # fmt: skip
    at = {AckState(step): int(milliseconds) for step, milliseconds in row["at"].items()}
    state = None if row["state"] is None else AckState(row["state"])
    return device, Progress(container=name, started=_seconds(row["started"]), state=state, at=at, node=str(row["node"]))


def _seconds(number: float) -> float:
    if not isfinite(number):
        raise ValueError(f"no time: {number}")
    return float(number)


def _half(word: str) -> Half:
    if word == "hs":
        return "hs"
    if word == "ss":
        return "ss"
    raise ValueError(f"no half of a hub: {word!r}")
