"""The loop around decide, and the administrator's socket: requests get answers, nothing waits for a slow effect."""

import asyncio
import json
import logging
import threading
import time
from pathlib import Path

import pytest

from qvd_usbip.errors import CONFIG_UNWRITABLE, QvdUsbError
from qvd_usbip.ids import BusId
from qvd_usbip.uevent import from_environment
from server_agent import actions, asking, events
from server_agent.backend import Backend
from server_agent.daemon import READ_AT_ONCE
from server_agent.kernel.udev import LostEventsError
from server_agent.ledger import Ledger
from server_agent.state import State
from tests.unit.server_agent.conftest import NUMBER, ONE, PORT, Bench, FakeKernel, Run


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


def test_no_driver_has_a_device_before_its_attach_is_written_down_and_nothing_else_waits_for_that(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_write, save = threading.Event(), Ledger.save

    def slowly(ledger: Ledger, state: State) -> None:
        if threading.current_thread() is not threading.main_thread():
            assert may_write.wait(5)
        save(ledger, state)

    async def work(bench: Bench) -> None:
        monkeypatch.setattr(Ledger, "save", slowly)
        await bench.attach()
        await bench.until(lambda: any(isinstance(a, actions.Grant) for a in bench.kernel.performed))
        assert (await bench.ask(op="status"))["containers"][0]["name"] == "one"
        assert not any(isinstance(a, actions.Authorise) for a in bench.kernel.performed)
        may_write.set()
        await bench.until(lambda: any(isinstance(a, actions.Authorise) for a in bench.kernel.performed))
        assert json.loads((tmp_path / "ledger.json").read_text())["attaches"][0]["id"] == "a"

    run(work)


def test_what_is_still_to_be_written_is_written_before_the_agent_ends(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save = Ledger.save

    def slowly(ledger: Ledger, state: State) -> None:
        if threading.current_thread() is not threading.main_thread():
            time.sleep(0.2)
        save(ledger, state)

    async def work(bench: Bench) -> None:
        monkeypatch.setattr(Ledger, "save", slowly)
        await bench.attach()

    run(work)
    assert json.loads((tmp_path / "ledger.json").read_text())["attaches"][0]["id"] == "a"


def test_running_refuses_the_start_and_switched_off_it_is_one_without_usb(run: Run, tmp_path: Path) -> None:
    async def work(bench: Bench) -> None:
        bench.kernel.running = True
        with pytest.raises(QvdUsbError, match="running"):
            await bench.ask(op="reserve", container="one", broker_gid=0)
        bench.kernel.running = False
        (tmp_path / "node.conf").write_text("")
        answer = await bench.ask(op="reserve", container="one", broker_gid=0)
        assert answer == {"hub": "", "without_usb": "hubs-disabled"}
        (row,) = (await bench.ask(op="status"))["containers"]
        assert (row["hub"], row["without_usb"], row["phase"]) == (None, "hubs-disabled", "in-force")

    run(work)


def test_a_socket_that_cannot_be_made_refuses_the_start_and_undoes_it(run: Run, tmp_path: Path) -> None:
    async def work(bench: Bench) -> None:
        (tmp_path / "broker/one").rmdir()
        with pytest.raises(QvdUsbError, match=r"USB agent: .*No such file") as caught:
            await bench.ask(op="reserve", container="one", broker_gid=0)
        assert caught.value.problem.code == "broker-missing"
        await bench.until(lambda: not bench.daemon.state.containers)
        assert isinstance(bench.kernel.performed[-1], actions.TearDown)

    run(work)


def test_each_judgement_is_kept_and_isochronous_devices_are_what_the_wiring_says(run: Run) -> None:
    async def work(bench: Bench) -> None:
        assert bench.daemon.state.isochronous
        await bench.in_use()
        (grant,) = [row for row in bench.daemon._wiring.records.recent if row["event"] == "grant"]
        assert (grant["identity"], grant["rule"]) == ("0bda:58c2", "default")

    run(work)


def test_a_ledger_that_cannot_be_written_refuses_the_start_and_says_so(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise QvdUsbError(CONFIG_UNWRITABLE, path="ledger.json", reason="the disk is full")

    async def work(bench: Bench) -> None:
        with monkeypatch.context() as patch:
            patch.setattr("server_agent.ledger.save_atomic", full)
            with pytest.raises(QvdUsbError, match="the disk is full") as caught:
                await bench.ask(op="reserve", container="one", broker_gid=0)
        assert caught.value.problem is CONFIG_UNWRITABLE
        assert (await bench.ask(op="status"))["unrecorded"] == "the disk is full"
        assert not bench.kernel.performed
        await bench.daemon.look()
        assert (await bench.ask(op="status"))["unrecorded"] == ""

    run(work)


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


def test_a_look_that_fails_in_a_way_nobody_thought_of_is_said_and_the_next_one_comes(
    run: Run, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("server_agent.daemon.LOOK_SECONDS", 0.02)
    monkeypatch.setattr("server_agent.daemon.HINT_SECONDS", 0.02)

    def broken(*_: object) -> None:
        raise ValueError("no number at all")

    async def work(bench: Bench) -> None:
        with monkeypatch.context() as kernel:
            kernel.setattr(FakeKernel, "look", broken)
            await bench.until(lambda: "no number at all" in caplog.text)
        looks = bench.kernel.looks
        await bench.until(lambda: bench.kernel.looks > looks)

    run(work)


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
        asking.ask({"op": "status"}, tmp_path / "none")
    assert caught.value.problem.code == "agent-unreachable"
    assert "systemctl start qvd-usb-agent" in caught.value.remedy()


@pytest.mark.parametrize("line", [b"not json\n", b"[1]\n", b"\n", b"\xff\n", b"[" * 4000 + b"\n"])
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


def test_where_events_were_lost_nothing_is_let_through_before_a_look(run: Run) -> None:
    async def work(bench: Bench) -> None:
        bench.kernel.may_authorise.set()
        blind = asyncio.Event()
        order: list[str] = []

        async def look() -> None:
            await blind.wait()
            order.append("look")
            bench.daemon._lost_at = None

        bench.daemon.look = look  # type: ignore[method-assign]
        bench.kernel.incoming.append(LostEventsError)
        bench.daemon._read_monitor()
        await bench.ask(op="reserve", container="one", broker_gid=0)
        await bench.daemon.request(
            lambda number: events.Attach(
                at=bench.daemon.now, container=ONE, attach_id="a", devid=65538, speed=3, request=number
            )
        )
        added = events.UsbAdded(at=bench.daemon.now, port=PORT, busid=BusId.parse("3-1"), number=NUMBER, name="x")
        bench.daemon.submit(added)
        await bench.until(lambda: bench.daemon.state.devices[PORT].stage == "authorising")
        await asyncio.sleep(0.05)
        assert not any(isinstance(action, actions.Authorise) for action in bench.kernel.performed)
        blind.set()
        await bench.until(lambda: bench.daemon.state.devices[PORT].stage == "authorised")
        assert "look" in order

    run(work)


def test_a_storm_lets_others_have_their_turn(run: Run) -> None:
    async def work(bench: Bench) -> None:
        words = {"ACTION": "add", "DEVPATH": "/devices/x/y", "SUBSYSTEM": "tty", "MAJOR": "4", "MINOR": "1"}
        bench.kernel.incoming += [from_environment(words)] * 1000
        bench.daemon._read_monitor()
        assert len(bench.kernel.incoming) == 1000 - READ_AT_ONCE
        assert await bench.daemon._catch_up()
        assert not bench.kernel.incoming

    run(work)


def test_in_a_storm_without_an_end_a_look_tells_what_there_is(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server_agent.daemon.CATCH_UP", 100)

    async def work(bench: Bench) -> None:
        words = {"ACTION": "add", "DEVPATH": "/devices/x/y", "SUBSYSTEM": "tty", "MAJOR": "4", "MINOR": "1"}
        bench.kernel.incoming += [from_environment(words)] * 1000
        looks = bench.kernel.looks
        assert await bench.daemon._catch_up()
        assert bench.kernel.looks == looks + 1

    run(work)


def test_a_keyboard_is_inhibited_when_the_kernel_tells_of_it_whether_or_not_its_device_is_known(run: Run) -> None:
    async def work(bench: Bench) -> None:
        devpath = "/devices/platform/vhci_hcd.1/usb3/3-1/3-1:1.0/0003:0627:0001.0001/input/input5"
        words = {"ACTION": "add", "DEVPATH": devpath, "SUBSYSTEM": "input", "KEY": "ff"}
        await bench.daemon.look()
        bench.kernel.incoming += [from_environment(words), from_environment({**words, "KEY": "1f0000 0 0 0 0"})]
        bench.daemon._read_monitor()
        inhibited = actions.InhibitKeys(devpath=devpath)
        await bench.until(lambda: inhibited in bench.kernel.performed)
        assert bench.kernel.performed == [inhibited]

    run(work)
