"""EFFECT: what the control socket does: requests of administrators and of LXC's hooks become events, answers words."""

from collections.abc import Callable
from typing import Any

from qvd_usbip.errors import USAGE, QvdUsbError
from qvd_usbip.ids import BusId, VmId
from server_agent import events, settings
from server_agent.control import Reply
from server_agent.daemon import Daemon, Wiring
from server_agent.state import State


class ControlDesk:
    """Answers the control socket."""

    def __init__(self, daemon: Daemon, wiring: Wiring) -> None:
        self._daemon = daemon
        self._wiring = wiring

    async def answer(self, request: Reply) -> Reply:
        """One request.

        Raises:
            QvdUsbError: what is wrong with it, or stands in its way.
        """
        op = request.get("op")
        if op == "status":
            return status_of(self._daemon.state)
        if op == "hubs":
            return hubs_of(self._daemon.state)
        name = VmId.parse(_text(request, "container"))
        if op == "reserve":
            return await self._reserve(name, _number(request, "broker_gid"))
        if op == "release":
            await self._ask(lambda number: events.Release(at=self._daemon.now, container=name, request=number))
            return {}
        if op == "revoke":
            busid = BusId.parse(_text(request, "busid"))
            await self._ask(
                lambda number: events.RevokeAsked(at=self._daemon.now, container=name, busid=busid, request=number)
            )
            return {}
        raise QvdUsbError(USAGE, reason=f"the agent does not know '{op}'")

    async def _reserve(self, name: VmId, gid: int) -> Reply:
        enabled = settings.load().use_vhci_hubs
        running = self._wiring.executor.maps.has_processes(name)
        answer = await self._daemon.request(
            lambda number: events.Reserve(
                at=self._daemon.now, container=name, broker_gid=gid, enabled=enabled, running=running, request=number
            )
        )
        return {"hub": answer.context.get("hub", "")}

    async def _ask(self, make: Callable[[int], events.Event]) -> None:
        await self._daemon.request(make)


def status_of(state: State) -> dict[str, Any]:
    """Containers and their devices, for people and programs."""
    return {
        "v": 1,
        "containers": [
            {
                "name": str(container.name),
                "hub": container.hub.name if container.hub else None,
                "phase": str(container.phase),
                "devices": [
                    {
                        "port": str(device.port),
                        "busid": str(device.busid) if device.busid else None,
                        "stage": str(device.stage),
                        "attach": device.attach_id,
                        "rights": {str(right): str(hold) for right, hold in sorted(device.rights.items())},
                        "nodes": {str(right): name for right, name in sorted(device.names.items())},
                        "stuck": device.stuck,
                    }
                    for device in state.devices_of(container.name)
                ],
            }
            for container in state.containers.values()
        ],
        "revoking": [f"{name} {right}" for name, right in sorted(state.revoking)],
    }


def hubs_of(state: State) -> dict[str, Any]:
    """Each lendable hub with who has it, or why nobody may."""
    rows = []
    for hub in sorted(state.hubs):
        owner = state.owner(hub)
        used = sorted(str(port) for port in state.devices if port.hub == hub)
        rows.append(
            {
                "hub": hub.name,
                "buses": [state.hubs[hub].hs, state.hubs[hub].ss],
                "container": str(owner.name) if owner else None,
                "ports_used": used,
                "quarantine": state.quarantine.get(hub, ""),
            }
        )
    return {"v": 1, "ports_per_half": state.ports_per_half, "hubs": rows}


def _text(request: Reply, word: str) -> str:
    value = request.get(word)
    if not isinstance(value, str):
        raise QvdUsbError(USAGE, reason=f"{word} is missing")
    return value


def _number(request: Reply, word: str) -> int:
    value = request.get(word, 0)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise QvdUsbError(USAGE, reason=f"{word} is no number")
    return value
