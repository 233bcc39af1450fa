"""The loop around decide, and the administrator's socket: requests get answers, nothing waits for a slow effect."""

import asyncio
import json
import logging
import socket
import threading
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import pytest

from qvd_usbip.errors import QvdUsbError
from qvd_usbip.ids import BusId, DevNum, HubId, VmId
from qvd_usbip.uevent import Uevent, from_environment
from server_agent import actions, control, events
from server_agent.daemon import Daemon, Wiring
from server_agent.desk import ControlDesk
from server_agent.events import HubSeen, Observed
from server_agent.executor import Executor
from server_agent.kernel.observe import Observer
from server_agent.kernel.udev import LostEventsError, Monitor
from server_agent.ledger import Ledger
from server_agent.settings import load
from server_agent.state import Backend, HubBuses, Port, Right
from tests.unit.server_agent.world import usb_device

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
    actions.Revoke: lambda a: events.Revoked(at=0, container=a.container, right=a.right),
}


@dataclass(slots=True)
class FakeKernel:
    """Executor, observer, maps and monitor in one: everything goes well, Authorise waits for `may_authorise`."""

    performed: list[actions.Action] = field(default_factory=list)
    looks: int = 0
    incoming: list[Uevent | type[LostEventsError]] = field(default_factory=list)
    may_authorise: threading.Event = field(default_factory=threading.Event)
    may_set_rights: threading.Event = field(default_factory=threading.Event)
    set_rights: list[actions.Action] = field(default_factory=list)
    running: bool = False
    slow_rights: bool = False
    list: frozenset[Right] | None = frozenset()
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
        hub = HubSeen(buses=HubBuses(hs=3, ss=4), gate_closed=True, used=frozenset())
        return Observed(
            at=at, hubs={HubId(1): hub}, ports_per_half=2, devices={}, rights={}, running=frozenset(), leftovers={}
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
    path: Path

    async def ask(self, **request: object) -> dict[str, Any]:
        return await asyncio.to_thread(control.ask, request, self.path, 5)

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
        server = control.Server(tmp_path / "control.sock", ControlDesk(daemon, wiring).answer)
        await server.start()
        try:
            await work(Bench(kernel=kernel, daemon=daemon, path=tmp_path / "control.sock"))
        finally:
            kernel.may_authorise.set()
            await server.stop()
            await daemon.stop()
            for end in kernel.wake:
                end.close()

    return lambda work: asyncio.run(main(work))


Run = Callable[[Callable[[Bench], Coroutine[Any, Any, None]]], None]


def test_a_reservation_is_answered_when_all_is_in_force_and_is_remembered(run: Run, tmp_path: Path) -> None:
    async def work(bench: Bench) -> None:
        assert await bench.ask(op="reserve", container="one", broker_gid=0) == {"hub": "vhci_hcd.1 ports 1-2"}
        assert (tmp_path / "broker/one/broker.sock").is_socket()
        assert (await bench.ask(op="hubs"))["hubs"][0]["containers"] == [{"name": "one", "ports": "1-2"}]
        record = json.loads((tmp_path / "ledger.json").read_text())
        assert record["containers"][0]["lease"] == ["vhci_hcd.1", "1-2"]
        assert await bench.ask(op="release", container="one") == {}
        assert (await bench.ask(op="status"))["containers"] == []

    run(work)


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        ({"op": "nonsense", "container": "one"}, "usage"),
        ({"op": "reserve", "container": "../x", "broker_gid": 0}, "container-name-malformed"),
        ({"op": "reserve", "container": "one", "broker_gid": -1}, "usage"),
        ({"op": "reserve", "container": "one", "broker_gid": True}, "usage"),
        ({"op": "reserve", "container": "one", "broker_gid": 0, "backend": "none"}, "usage"),
        ({"op": "reserve", "container": "one", "broker_gid": 0, "backend": ["map"]}, "usage"),
        ({"op": "revoke", "container": "one", "busid": "x"}, "busid-malformed"),
        ({"op": "revoke", "container": "one"}, "usage"),
        ({"op": "revoke", "container": "one", "busid": "3-1"}, "container-unknown"),
    ],
)
def test_a_request_that_cannot_be_is_refused_by_name(run: Run, request_: dict[str, object], code: str) -> None:
    async def work(bench: Bench) -> None:
        with pytest.raises(QvdUsbError) as caught:
            await bench.ask(**request_)
        assert caught.value.problem.code == code

    run(work)


def test_switched_off_or_running_refuses_the_start(run: Run, tmp_path: Path) -> None:
    async def work(bench: Bench) -> None:
        bench.kernel.running = True
        with pytest.raises(QvdUsbError, match="running"):
            await bench.ask(op="reserve", container="one", broker_gid=0)
        bench.kernel.running = False
        (tmp_path / "node.conf").write_text("")
        with pytest.raises(QvdUsbError) as caught:
            await bench.ask(op="reserve", container="one", broker_gid=0)
        assert caught.value.problem.code == "hubs-disabled"
        assert "use_vhci_hubs,value=1" in caught.value.remedy()

    run(work)


def test_a_socket_that_cannot_be_made_refuses_the_start_and_undoes_it(run: Run, tmp_path: Path) -> None:
    async def work(bench: Bench) -> None:
        (tmp_path / "broker/one").rmdir()
        with pytest.raises(QvdUsbError) as caught:
            await bench.ask(op="reserve", container="one", broker_gid=0)
        assert caught.value.problem.code == "broker-missing"
        await bench.until(lambda: not bench.daemon.state.containers)
        assert isinstance(bench.kernel.performed[-1], actions.TearDown)

    run(work)


def test_each_judgement_is_in_the_log_and_isochronous_devices_are_what_the_wiring_says(
    run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    async def work(bench: Bench) -> None:
        assert bench.daemon.state.isochronous
        await bench.in_use()

    with caplog.at_level("INFO"):
        run(work)
    judged = [record.getMessage() for record in caplog.records if "Judged(" in record.getMessage()]
    assert len(judged) == 1
    assert "vidpid='0bda:58c2'" in judged[0]
    assert "problem=''" in judged[0]


def test_a_driver_that_takes_its_time_holds_nobody_up(run: Run) -> None:
    async def work(bench: Bench) -> None:
        await bench.in_use()
        status = await bench.ask(op="status")
        assert status["containers"][0]["devices"][0]["stage"] == "authorising"
        bench.kernel.may_authorise.set()
        await bench.daemon.wait_until(lambda state: state.devices[PORT].stage == "authorised", 5)
        await bench.ask(op="revoke", container="one", busid="3-1")
        assert not bench.daemon.state.devices

    run(work)


def test_a_back_end_that_hangs_holds_nobody_up_and_keeps_the_order(run: Run) -> None:
    async def work(bench: Bench) -> None:
        bench.kernel.slow_rights = True
        await bench.attach()
        await bench.until(lambda: any(isinstance(a, actions.Grant) for a in bench.kernel.performed))
        revoking = asyncio.ensure_future(bench.ask(op="revoke", container="one", busid="3-1"))
        await bench.until(lambda: bool(bench.daemon.state.revoking))
        assert (await bench.ask(op="status"))["revoking"] == ["one c 189:257"]
        assert bench.kernel.set_rights == []
        bench.kernel.may_set_rights.set()
        await revoking
        await bench.until(lambda: not bench.daemon.state.revoking)
        assert [type(action) for action in bench.kernel.set_rights] == [actions.Grant, actions.Revoke]

    run(work)


@pytest.mark.parametrize("given_up", [False, True])
def test_nothing_is_authorised_while_a_number_is_still_being_taken_from_anyone(run: Run, given_up: bool) -> None:
    def authorised(bench: Bench) -> bool:
        return any(isinstance(action, actions.Authorise) for action in bench.kernel.performed)

    async def work(bench: Bench) -> None:
        bench.kernel.may_authorise.set()
        tty = Right(kind="c", number=DevNum(166, 0))
        bench.daemon.state = replace(bench.daemon.state, revoking=frozenset({(VmId("two"), tty)}))
        await bench.attach()
        await bench.until(lambda: bench.daemon.state.devices[PORT].stage == "authorising")
        await asyncio.sleep(0.05)
        assert not authorised(bench)
        if given_up:
            await bench.ask(op="revoke", container="one", busid="3-1")
        bench.daemon.submit(events.Revoked(at=bench.daemon.now, container=VmId("two"), right=tty))
        await asyncio.sleep(0.05)
        assert authorised(bench) is not given_up

    run(work)


def test_a_container_without_a_list_in_force_is_refused_on_its_way(run: Run) -> None:
    async def work(bench: Bench) -> None:
        with pytest.raises(QvdUsbError, match="no container 'one'"):
            await bench.ask(op="confirm", container="one")
        await bench.ask(op="reserve", container="one", broker_gid=0, backend="lxc")
        with pytest.raises(QvdUsbError, match="its cgroups are not"):
            await bench.ask(op="confirm", container="one")
        bench.kernel.running = True
        assert await bench.ask(op="confirm", container="one") == {}
        bench.kernel.list = None
        with pytest.raises(QvdUsbError, match="no device list") as caught:
            await bench.ask(op="confirm", container="one")
        assert "lxc-config one" in caught.value.remedy()

    run(work)


def test_the_back_end_of_a_reservation_is_put_in_force_shown_and_remembered(run: Run, tmp_path: Path) -> None:
    async def work(bench: Bench) -> None:
        await bench.ask(op="reserve", container="one", broker_gid=0, backend="v1")
        assert [a.backend for a in bench.kernel.performed if isinstance(a, actions.PutInForce)] == [Backend.V1]
        assert (await bench.ask(op="status"))["containers"][0]["backend"] == "v1"
        assert json.loads((tmp_path / "ledger.json").read_text())["containers"][0]["backend"] == "v1"

    run(work)


def test_kernel_events_reach_decide_and_hints_cause_one_look(run: Run) -> None:
    async def work(bench: Bench) -> None:
        bench.kernel.may_authorise.set()
        await bench.in_use()
        await bench.until(lambda: bench.daemon.state.devices[PORT].stage == "authorised")
        below = "/devices/platform/vhci_hcd.1/usb3/3-1/3-1:1.0/tty/ttyACM0"
        words = {"ACTION": "add", "DEVPATH": below, "SUBSYSTEM": "tty", "MAJOR": "166", "MINOR": "0"}
        looks = bench.kernel.looks
        hint = {**words, "SYNTH_UUID": "0", "MINOR": "1"}
        bench.kernel.incoming += [from_environment(words), from_environment(hint), from_environment(hint)]
        bench.daemon._read_monitor()
        assert len(bench.daemon.state.devices[PORT].rights) == 2
        await bench.until(lambda: bench.kernel.looks == looks + 1)

    run(work)


def test_lost_events_cause_a_look(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    async def work(bench: Bench) -> None:
        looks = bench.kernel.looks
        bench.kernel.incoming.append(LostEventsError)
        bench.daemon._read_monitor()
        await bench.until(lambda: bench.kernel.looks == looks + 1)

    with caplog.at_level(logging.WARNING):
        run(work)
    assert "events were lost" in caplog.text


def test_a_deadline_is_an_event(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server_agent.devices.APPEAR_SECONDS", 0.05)

    async def work(bench: Bench) -> None:
        await bench.ask(op="reserve", container="one", broker_gid=0)
        await bench.daemon.request(
            lambda number: events.Attach(
                at=bench.daemon.now, container=ONE, attach_id="a", devid=65538, speed=3, request=number
            )
        )
        await bench.until(lambda: bench.daemon.state.progress["a"].problem == "device-timeout")
        await bench.until(lambda: not bench.daemon.state.devices)

    run(work)


def test_nobody_at_the_socket_is_said_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(QvdUsbError) as caught:
        control.ask({"op": "status"}, tmp_path / "none")
    assert caught.value.problem.code == "agent-unreachable"
    assert "systemctl start qvd-usb-agent" in caught.value.remedy()


@pytest.mark.parametrize("line", [b"not json\n", b"[1]\n", b"\n", b"\xff\n"])
def test_a_line_that_is_no_request_gets_an_answer_all_the_same(run: Run, line: bytes) -> None:
    async def work(bench: Bench) -> None:
        reader, writer = await asyncio.open_unix_connection(bench.path)
        writer.write(line)
        answer = json.loads(await reader.readline())
        writer.close()
        assert answer["ok"] is False
        assert (await bench.ask(op="status"))["containers"] == []

    run(work)


def test_the_control_socket_is_roots_alone(run: Run) -> None:
    async def work(bench: Bench) -> None:
        assert bench.path.stat().st_mode & 0o777 == 0o600

    run(work)
