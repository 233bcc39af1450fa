"""EFFECT: what the control socket does: requests of administrators and of LXC's hooks become events, answers words."""

import asyncio
from collections.abc import Callable
from typing import Any

from qvd_usbip.errors import CONTAINER_UNKNOWN, LXC_CONFIG_MISSING, USAGE, QvdUsbError
from qvd_usbip.ids import BusId, VmId
from qvd_usbip.port_range import ALL_PORTS
from server_agent import container_config, events, explain, settings
from server_agent.backend import Backend
from server_agent.control import Reply
from server_agent.daemon import Daemon, Wiring
from server_agent.endpoint import Endpoint
from server_agent.pairing import WINDOW_SECONDS, PairingDesk
from server_agent.state import Container, HostNodes, State

ABOUT_CLIENTS = frozenset({"clients", "unpair", "pair", "pair-confirm", "pair-refuse", "pair-state"})


class ControlDesk:
    """Answers the control socket."""

    def __init__(self, daemon: Daemon, wiring: Wiring, pairing: PairingDesk, endpoint: Endpoint | None = None) -> None:
        self._daemon = daemon
        self._wiring = wiring
        self._pairing = pairing
        self._endpoint = endpoint

    async def answer(self, request: Reply) -> Reply:
        """One request.

        Raises:
            QvdUsbError: what is wrong with it, or stands in its way.
        """
        op = _text(request, "op")
        if op in {"status", "hubs", "explain"}:
            return self._look(op, request)
        if op in ABOUT_CLIENTS:
            return await self._about_clients(op, request)
        name = VmId.parse(_text(request, "container"))
        if op == "reserve":
            terms = {"gid": _number(request, "broker_gid"), "root_uid": _number(request, "root_uid")}
            return await self._reserve(name, _backend(request), **terms)
        if op == "confirm":
            return await self._confirm(name)
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

    async def _about_clients(self, op: str, request: Reply) -> Reply:
        if op == "clients":
            register = await self._pairing.clients()
            faults = [{"text": str(each), "remedy": each.remedy()} for each in register.faults]
            return {"v": 1, "clients": [each.as_json() for each in register.clients], "faults": faults}
        if op == "unpair":
            gone = await self._pairing.unpair(_text(request, "name"))
            return {"v": 1, "client": None if gone is None else gone.as_json()}
        if op == "pair-refuse":
            self._pairing.refuse(_text(request, "window"))
            return {}
        if op == "pair-state":
            number, stage, wait = _text(request, "window"), _text(request, "stage"), _number(request, "wait")
            return (await self._pairing.state(number, stage, wait)).as_json()
        return self._pair(op, VmId.parse(_text(request, "container")), request)

    def _pair(self, op: str, name: VmId, request: Reply) -> Reply:
        if op == "pair-confirm":
            return self._pairing.confirm(name, _text(request, "code")).as_json()
        if name not in self._daemon.state.containers and not (container_config.CONTAINERS / str(name)).is_dir():
            raise QvdUsbError(CONTAINER_UNKNOWN, container=name)
        return {**self._pairing.open(name).as_json(), "seconds": int(WINDOW_SECONDS)}

    def _look(self, op: str, request: Reply) -> Reply:
        if op == "status":
            sessions = [] if self._endpoint is None else list(self._endpoint.sessions())
            return {**status_of(self._daemon.state), "endpoint": sessions}
        if op == "hubs":
            return hubs_of(self._daemon.state)
        return {"v": 1, "lines": self._explain(_text(request, "subject"))}

    def _explain(self, subject: str) -> list[str]:
        state, recent, name = self._daemon.state, self._wiring.records.recent, VmId.parse(subject)
        if name in state.containers:  # it may be called as a device is: "3-1"
            return explain.explain_container(state, recent, name)
        try:
            return explain.explain_busid(state, recent, BusId.parse(subject))
        except QvdUsbError:
            return explain.explain_container(state, recent, name)

    async def _reserve(self, name: VmId, backend: Backend, *, gid: int, root_uid: int) -> Reply:
        found = settings.load()
        running = await asyncio.to_thread(self._wiring.executor.rights.has_processes, name)
        nodes = HostNodes(root=root_uid, group=gid) if root_uid else None
        answer = await self._daemon.request(
            lambda number: events.Reserve(
                at=self._daemon.now, container=name, backend=backend, broker_gid=gid, nodes=nodes,
                enabled=found.use_vhci_hubs, running=running, lending=found.lending, request=number,
            )
        )  # fmt: skip
        return {"hub": "", **answer.context}

    async def _confirm(self, name: VmId) -> Reply:
        """The container is made and its init not yet started: what keeps it apart must be in force now."""
        if name not in self._daemon.state.containers:
            raise QvdUsbError(CONTAINER_UNKNOWN, container=name)
        reason = await asyncio.to_thread(self._why_not_apart, name)
        if reason:
            raise QvdUsbError(
                LXC_CONFIG_MISSING, container=name, reason=f"{reason} (the lines belong after every include)"
            )
        return {}

    def _why_not_apart(self, name: VmId) -> str:
        rights = self._wiring.executor.rights
        if rights.held(name) is None:
            return "no device list that keeps it apart is in force"
        return "" if rights.has_processes(name) else "its cgroups are not where they should be"

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
                "ports": ports_of(container),
                "without_usb": container.without_usb,
                "phase": str(container.phase),
                "backend": str(container.backend),
                "nodes": "host" if container.nodes else "image",
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
        "quarantine": quarantine_of(state),
        "unrecorded": state.unrecorded,
    }


def ports_of(container: Container) -> str | None:
    """The ports a container has of a shared hub, counted from 1; None where it has all or none."""
    return None if container.hub is None or container.ports == ALL_PORTS else str(container.ports)


def quarantine_of(state: State) -> list[dict[str, str]]:
    """What is not lent until it was seen empty, and why."""
    return [{"lease": str(lease), "reason": reason} for lease, reason in sorted(state.quarantine.items())]


def hubs_of(state: State) -> dict[str, Any]:
    """Each lendable hub with who has it, or why nobody may."""
    rows = []
    for hub in sorted(state.hubs):
        tenants = state.tenants(hub)
        held = [f"{lease}: {reason}" for lease, reason in sorted(state.quarantine.items()) if lease.hub == hub]
        used = sorted(str(port) for port in state.devices if port.hub == hub)
        rows.append(
            {
                "hub": hub.name,
                "buses": [state.hubs[hub].hs, state.hubs[hub].ss],
                "containers": [{"name": str(each.name), "ports": ports_of(each)} for each in tenants],
                "ports_used": used,
                "quarantine": "; ".join(held),
            }
        )
    return {"v": 1, "ports_per_half": state.ports_per_half, "hubs": rows}


def _text(request: Reply, word: str) -> str:
    value = request.get(word)
    if not isinstance(value, str):
        raise QvdUsbError(USAGE, reason=f"{word} is missing")
    return value


def _backend(request: Reply) -> Backend:
    value = request.get("backend", Backend.MAP)
    if value not in [str(backend) for backend in Backend]:
        raise QvdUsbError(USAGE, reason=f"'{value}' is no back end")
    return Backend(value)


def _number(request: Reply, word: str) -> int:
    value = request.get(word, 0)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise QvdUsbError(USAGE, reason=f"{word} is no number")
    return value
