"""What else can go wrong around the agent: floods from a container, no descriptors, clocks that jump, full disks."""

import ast
import asyncio
import errno
import json
import os
import resource
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import server_agent
from qvd_usbip import broker as words
from qvd_usbip.errors import QvdUsbError
from qvd_usbip.ids import HubId, VmId
from server_agent import broker, events, listener
from server_agent.broker import Broker, Desk
from server_agent.chronicle import Entry, Kind
from server_agent.control import Reply, Server
from server_agent.ledger import Ledger
from server_agent.records import HELD_BACK, SAME_SECONDS, SAME_TIMES, Records
from server_agent.seldom import KINDS, Seldom
from server_agent.state import Container, Phase, State
from tests.unit.server_agent.conftest import Bench, Run

ONE, TWO = VmId("one"), VmId("two")
PING = words.encode_request(words.Ping())


class Quiet:
    """An agent that answers everything well."""

    state = State()
    now = 1.0

    async def request(self, make: Callable[[int], events.Event]) -> Any:
        return make(1)

    async def wait_until(self, holds: Callable[[State], bool], seconds: float) -> bool:
        return holds(self.state)


@contextmanager
def listening(folder: Path) -> Iterator[Broker]:
    desk = Desk(container=ONE, daemon=Quiet(), sockets={})
    found = Broker(folder=folder, uid=os.getuid(), gid=os.getgid(), desk=desk)
    found.open()
    try:
        yield found
    finally:
        found.close()


def connect(folder: Path) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    connection.setblocking(False)
    connection.connect(str(folder / words.SOCKET_NAME))
    return connection


def test_a_flood_of_messages_leaves_the_loop_to_the_others(tmp_path: Path) -> None:
    async def work() -> int:
        answered = 0
        with listening(tmp_path):
            flooding = [connect(tmp_path) for _ in range(broker.CONNECTIONS)]
            loop = asyncio.get_running_loop()
            end = loop.time() + 0.5
            while loop.time() < end:
                for connection in flooding:
                    try:
                        connection.send(PING)
                        answered += bool(connection.recv(512))
                    except BlockingIOError:
                        continue
                await asyncio.sleep(0)
            for connection in flooding:
                connection.close()
            await asyncio.sleep(0.05)
        return answered

    answered = asyncio.run(work())
    assert 0 < answered <= broker.CONNECTIONS * (0.6 / broker.PAUSE_SECONDS)


def test_without_a_descriptor_nobody_is_let_in_for_a_moment_and_the_loop_does_not_spin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(listener, "FULL_SECONDS", 0.1)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)

    async def work() -> None:
        with listening(tmp_path):
            connection = connect(tmp_path)
            try:
                resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
                await asyncio.sleep(0.35)
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            await asyncio.sleep(0.15)
            connection.send(PING)
            await asyncio.sleep(0.05)
            assert words.decode_answer(connection.recv(512)).ok
            connection.close()
            await asyncio.sleep(0.02)

    with caplog.at_level("WARNING"):
        asyncio.run(work())
    assert 1 <= len([record for record in caplog.records if "no descriptor is left" in record.message]) <= 4


def test_without_a_descriptor_the_log_says_once_that_somebody_asks_the_agent(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)

    async def answer(_: Reply) -> Reply:
        return {}

    async def work() -> None:
        control = Server(tmp_path / "control.sock", answer, Records().followed)
        await control.start()
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(tmp_path / "control.sock"))
            try:
                resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
                await asyncio.sleep(0.1)
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        await control.stop()

    with caplog.at_level("WARNING"):
        asyncio.run(work())
    assert [record.getMessage() for record in caplog.records] == [listener.NO_DESCRIPTOR % (tmp_path / "control.sock")]


def test_what_one_container_repeats_is_held_back_and_counted_and_the_others_are_heard() -> None:
    seen: list[dict[str, object]] = []
    records = Records(sinks=(lambda _, row: seen.append(row),))
    for number in range(1000):
        at = number / 1000
        records.add(Entry(at=at, kind=Kind.REFUSAL, container=ONE, words={"problem": "slave-limit"}))
    records.add(Entry(at=1.0, kind=Kind.REFUSAL, container=TWO, words={"problem": "slave-limit"}))
    records.add(Entry(at=1.0, kind=Kind.REFUSAL, container=ONE, words={"problem": "device-is-hub"}))
    for _ in range(50):
        records.add(Entry(at=1.0, kind=Kind.GRANT, container=ONE))
    assert len(seen) == SAME_TIMES + 2 + 50
    records.add(Entry(at=1.0 + SAME_SECONDS, kind=Kind.REFUSAL, container=ONE, words={"problem": "slave-limit"}))
    assert seen[-1][HELD_BACK] == 1000 - SAME_TIMES


def test_a_limit_forgets_what_is_oldest() -> None:
    seldom = Seldom(1, 10.0)
    for kind in range(KINDS + 1):
        assert seldom.allows(kind, 0.0) == 0
    assert seldom.allows(0, 0.0) == 0, "forgotten"
    assert seldom.allows(KINDS, 0.0) is None


def test_the_log_says_the_same_of_a_container_a_few_times_only(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    desk = Desk(container=ONE, daemon=Quiet(), sockets={})

    async def work() -> None:
        for _ in range(100):
            await desk.answer(b"nonsense", None)

    with caplog.at_level("INFO"):
        asyncio.run(work())
    assert len(caplog.records) == broker.SAID_TIMES


def test_no_decision_hangs_on_a_clock_that_jumps() -> None:
    """The wall clock is asked for what people read: the time in a line of the audit, and when a client was paired."""
    asking = set()
    for path in Path(server_agent.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                name = f"{node.value.id}.{node.attr}"
                if name in {"time.time", "time.time_ns", "datetime.now", "datetime.utcnow", "date.today"}:
                    asking.add(path.name)
    assert asking == {"pairing.py", "records.py"}


def test_a_wall_clock_that_goes_back_changes_the_time_of_a_line_and_nothing_else() -> None:
    clock = iter([1e9, 5.0, 2e9])
    records = Records(clock=lambda: next(clock))
    for number in range(3):
        records.add(Entry(at=float(number), kind=Kind.GRANT, container=ONE))
    assert [str(row["time"])[:4] for row in records.recent] == ["2001", "1970", "2033"]


def test_a_record_from_a_later_clock_is_taken_as_from_now(tmp_path: Path) -> None:
    """Monotonic clocks begin anew with each boot, and a record of another boot counts as nothing."""
    container = Container(name=ONE, hub=HubId(1), phase=Phase.IN_FORCE, since=5000.0)
    Ledger(path=tmp_path / "ledger.json", boot_id="a").save(State(containers={ONE: container}))
    assert Ledger(path=tmp_path / "ledger.json", boot_id="a").load(7.0).containers[ONE].since == 7.0
    assert not Ledger(path=tmp_path / "ledger.json", boot_id="b").load(7.0).containers


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EMFILE, errno.EIO])
def test_a_record_that_cannot_be_written_leaves_the_old_one_and_refuses_the_start(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def fails(*_: object, **__: object) -> int:
        raise OSError(number, os.strerror(number))

    async def work(bench: Bench) -> None:
        await bench.ask(op="reserve", container="one", broker_gid=0)
        before = (tmp_path / "ledger.json").read_bytes()
        for call in ("open", "write", "fsync", "rename"):
            with monkeypatch.context() as patch:
                patch.setattr(f"qvd_usbip.system.files.os.{call}", fails)
                with pytest.raises(QvdUsbError):
                    await bench.ask(op="reserve", container="two", broker_gid=0)
            assert (tmp_path / "ledger.json").read_bytes() == before
            assert VmId("two") not in bench.daemon.state.containers
        assert json.loads(before)["containers"][0]["name"] == "one"
        assert (await bench.ask(op="status"))["containers"][0]["name"] == "one"

    run(work)
