"""The running agent without a kernel: everything goes well, slowly where a test says so; for the tests beside it."""

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from qvd_usbip.ids import BusId, DevNum, HubId, VmId
from qvd_usbip.uevent import Uevent
from server_agent import actions, asking, control, events
from server_agent.daemon import Daemon, Wiring
from server_agent.desk import ControlDesk
from server_agent.events import DeviceSeen, HubSeen, Observed
from server_agent.executor import Executor
from server_agent.kernel.observe import Observer
from server_agent.kernel.udev import LostEventsError, Monitor
from server_agent.ledger import Ledger
from server_agent.pairing import PairingDesk
from server_agent.settings import load
from server_agent.state import HubBuses, Port, Right
from tests.unit.server_agent.world_hubs import usb_device

ONE = VmId("one")
PORT = Port(hub=HubId(1), half="hs", rhport=0)
NUMBER = Right(kind="c", number=DevNum(189, 257))


ANSWERS: dict[type[actions.Action], Callable[[Any], events.Event]] = {
    actions.PutInForce: lambda a: events.InForce(at=0, container=a.container),
    actions.TearDown: lambda a: events.TornDown(at=0, container=a.container, reason=""),
    actions.AttachPort: lambda a: events.Attached(at=0, port=a.port),
    actions.DetachPort: lambda a: events.PortFree(at=0, port=a.port),
    actions.Inspect: lambda a: events.Inspected(at=0, port=a.port, number=a.number, device=usb_device(a.port)),
    actions.Authorise: lambda a: events.Authorised(at=0, port=a.port, number=a.number),
    actions.Grant: lambda a: events.Granted(at=0, container=a.container, right=a.right),
}


@dataclass(slots=True)
class FakeKernel:
    """Executor, observer, maps and monitor in one: everything goes well, Authorise waits for `may_authorise`."""

    performed: list[actions.Action] = field(default_factory=list)
    looks: int = 0
    thawed: int = 0
    inside: bool = False
    asked_out: list[VmId] = field(default_factory=list)
    incoming: list[Uevent | type[LostEventsError]] = field(default_factory=list)
    may_authorise: threading.Event = field(default_factory=threading.Event)
    may_set_rights: threading.Event = field(default_factory=threading.Event)
    set_rights: list[actions.Action] = field(default_factory=list)
    running: bool = False
    slow_rights: bool = False
    list: frozenset[Right] | None = frozenset()
    devices: dict[Port, DeviceSeen] = field(default_factory=dict)
    wake: tuple[socket.socket, socket.socket] = field(default_factory=socket.socketpair)

    @property
    def rights(self) -> "FakeKernel":
        return self

    def takes_long(self, action: actions.Action) -> bool:
        return self.slow_rights

    def held(self, _: VmId) -> frozenset[Right] | None:
        return self.list

    @property
    def uevents(self) -> "FakeKernel":
        return self

    def has_processes(self, _: VmId) -> bool:
        return self.running

    @property
    def freezer(self) -> "FakeKernel":
        return self

    def thaw_all(self) -> None:
        self.thawed += 1

    def no_open_under_way(self, name: VmId) -> bool:
        self.asked_out.append(name)
        return not self.inside

    def events_counted(self) -> int:
        return 0

    def perform(self, action: actions.Action) -> events.Event | None:
        self.performed.append(action)
        if isinstance(action, actions.Authorise):
            self.may_authorise.wait(5)
        if isinstance(action, actions.Grant | actions.Revoke) and self.slow_rights:
            self.may_set_rights.wait(5)
            self.set_rights.append(action)
        answer = ANSWERS.get(type(action))
        return answer(action) if answer is not None else None

    def look(self, at: float) -> Observed:
        self.looks += 1
        hub = HubSeen(buses=HubBuses(hs=3, ss=4), gate_closed=True, used=frozenset(self.devices))
        return Observed(
            at=at,
            hubs={HubId(1): hub},
            ports_per_half=2,
            devices=dict(self.devices),
            rights={},
            running=frozenset(),
            leftovers={},
        )

    def start(self) -> int:
        return self.wake[0].fileno()

    def read(self) -> Iterator[Uevent]:
        while self.incoming:
            event = self.incoming.pop(0)
            if isinstance(event, Uevent):
                yield event
            else:
                raise event


@dataclass(slots=True)
class Bench:
    """A daemon with its control socket."""

    kernel: FakeKernel
    daemon: Daemon
    server: control.Server
    path: Path
    pairing: PairingDesk

    async def ask(self, **request: object) -> dict[str, Any]:
        return await asyncio.to_thread(asking.ask, request, self.path, 5)

    async def until(self, holds: Callable[[], bool]) -> None:
        for _ in range(1000):
            if holds():
                return
            await asyncio.sleep(0.005)
        raise AssertionError("not within 5 s")

    async def in_use(self) -> None:
        """Container one with a device on its first port, waiting to be authorised."""
        await self.attach()
        await self.until(lambda: any(isinstance(a, actions.Authorise) for a in self.kernel.performed))

    async def attach(self) -> None:
        """Container one with a device on its first port that has just enumerated."""
        await self.ask(op="reserve", container="one", broker_gid=0)
        await self.daemon.request(
            lambda number: events.Attach(
                at=self.daemon.now, container=ONE, attach_id="a", devid=65538, speed=3, request=number
            )
        )
        added = events.UsbAdded(at=self.daemon.now, port=PORT, busid=BusId.parse("3-1"), number=NUMBER, name="x")
        self.daemon.submit(added)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> "Run":
    conf = tmp_path / "node.conf"
    conf.write_text("vm.lxc.use_vhci_hubs=1\n")
    monkeypatch.setattr("server_agent.desk.settings.load", lambda: load(conf))
    (tmp_path / "broker/one").mkdir(parents=True)

    async def main(work: Callable[[Bench], Coroutine[Any, Any, None]]) -> None:
        kernel = FakeKernel()
        wiring = Wiring(
            isochronous=True,
            executor=cast("Executor", kernel), observer=cast("Observer", kernel), monitor=cast("Monitor", kernel),
            ledger=Ledger(path=tmp_path / "ledger.json", boot_id="boot"), brokers=tmp_path / "broker",
        )  # fmt: skip
        daemon = Daemon(wiring, {})
        await daemon.start()
        pairing = PairingDesk(tmp_path / "clients", wiring.records, time.monotonic)
        desk = ControlDesk(daemon, wiring, pairing)
        server = control.Server(tmp_path / "control.sock", desk.answer, wiring.records.followed)
        await server.start()
        try:
            path = tmp_path / "control.sock"
            await work(Bench(kernel=kernel, daemon=daemon, server=server, path=path, pairing=pairing))
        finally:
            kernel.may_authorise.set()
            kernel.may_set_rights.set()
            await server.stop()
            await daemon.stop()
            for end in kernel.wake:
                end.close()

    return lambda work: asyncio.run(main(work))


Run = Callable[[Callable[[Bench], Coroutine[Any, Any, None]]], None]
