"""The broker over real sockets: what a container may say, and what it gets for saying anything else."""

import asyncio
import gc
import os
import socket
import uuid
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from qvd_usbip import broker as words
from qvd_usbip.ack import AckState
from qvd_usbip.ids import VmId
from server_agent import actions, events
from server_agent.broker import CONNECTIONS, Broker, Desk
from server_agent.state import Progress, State

ONE, TWO = VmId("one"), VmId("two")
ID = str(uuid.UUID(int=7))
ATTACH = words.Attach(devid=0x10002, speed=3, attach_id=ID)


class FakeAgent:
    """Takes requests, and answers each well, but for what `problem` says."""

    def __init__(self) -> None:
        self.state = State()
        self.events: list[events.Event] = []
        self.descriptors: list[bool] = []
        self.sockets: dict[str, int] = {}
        self.problem = ""
        self.moved = asyncio.Event()

    now = 1.0

    async def request(self, make: Callable[[int], events.Event]) -> actions.Answer:
        event = make(1)
        self.events.append(event)
        if isinstance(event, events.Attach):
            self.descriptors.append(os.fstat(self.sockets[event.attach_id]).st_mode != 0)
        return actions.Answer(request=1, problem=self.problem)

    async def wait_until(self, holds: Callable[[State], bool], seconds: float) -> bool:
        if not holds(self.state) and seconds:
            await asyncio.wait_for(self.moved.wait(), seconds)
        return holds(self.state)


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[tuple[FakeAgent, Callable[[], socket.socket]]]:
    agent = FakeAgent()
    broker = Broker(
        folder=folder, uid=os.getuid(), gid=os.getgid(), desk=Desk(container=ONE, daemon=agent, sockets=agent.sockets)
    )
    broker.open()
    made: list[socket.socket] = []

    def connect() -> socket.socket:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        connection.settimeout(5)
        connection.connect(str(folder / words.SOCKET_NAME))
        made.append(connection)
        return connection

    try:
        yield agent, connect
    finally:
        for connection in made:
            connection.close()
        broker.close()
        await asyncio.sleep(0)


async def ask(connection: socket.socket, message: bytes, fds: tuple[int, ...] = ()) -> words.Answer:
    await asyncio.to_thread(socket.send_fds, connection, [message], list(fds))
    return words.decode_answer(await asyncio.to_thread(connection.recv, 65536))


def scenario(work: Callable[[FakeAgent, Callable[[], socket.socket]], Coroutine[Any, Any, None]], folder: Path) -> None:
    async def run() -> None:
        async with opened(folder) as (agent, connect):
            await work(agent, connect)

    asyncio.run(run())


def test_a_socket_is_handed_over_and_closed_here(tmp_path: Path) -> None:
    async def work(agent: FakeAgent, connect: Callable[[], socket.socket]) -> None:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            answer = await ask(connect(), words.encode_request(ATTACH), (theirs.fileno(),))
            assert answer.ok
            theirs.close()
            assert ours.recv(1) == b"", "nobody else holds the other end"
        assert agent.descriptors == [True]
        assert agent.events == [events.Attach(at=1.0, container=ONE, attach_id=ID, devid=0x10002, speed=3, request=1)]
        assert not agent.sockets

    scenario(work, tmp_path)


def test_what_is_no_connected_stream_socket_is_refused(tmp_path: Path) -> None:
    async def work(agent: FakeAgent, connect: Callable[[], socket.socket]) -> None:
        connection = connect()
        with (
            (tmp_path / "file").open("w") as file,
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as datagram,
            socket.socket(socket.AF_INET, socket.SOCK_STREAM) as lonely,
        ):
            assert (await ask(connection, words.encode_request(words.Ping()))).ok
            before = descriptors_open()
            for each in (file, datagram, lonely):
                answer = await ask(connection, words.encode_request(ATTACH), (each.fileno(),))
                assert (answer.ok, answer.problem) == (False, "broker-protocol")
            assert descriptors_open() == before, "who hands over files has none of the agent's descriptors for them"
        assert not agent.events

    scenario(work, tmp_path)


def descriptors_open() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


HOSTILE = (
    b"{}",
    b"not json",
    b"\xff\xfe\x00",
    b"[" * 500,
    b'{"v":1,"op":"attach"}',
    b'{"v":2,"op":"ping"}',
    b'{"v":1,"op":"ping","more":1}',
    b'{"v":1,"op":"status","id":"../../x"}',
    b'{"v":1,"op":"status","id":"%s","wait":1e9}' % ID.encode(),
    b'{"v":1,"op":"attach","devid":-1,"speed":3,"id":"%s"}' % ID.encode(),
    b'{"v":1,"op":"reserve","container":"two"}',
    b'{"v":1,"op":"ping"' + b" " * 600 + b"}",
)


@pytest.mark.parametrize("message", HOSTILE)
def test_a_hostile_message_is_refused_and_the_connection_goes_on(tmp_path: Path, message: bytes) -> None:
    async def work(agent: FakeAgent, connect: Callable[[], socket.socket]) -> None:
        connection = connect()
        answer = await ask(connection, message)
        assert (answer.ok, answer.problem) == (False, "broker-protocol")
        assert (await ask(connection, words.encode_request(words.Ping()))).ok
        assert not agent.events

    scenario(work, tmp_path)


def test_descriptors_where_none_belong_are_closed(tmp_path: Path) -> None:
    async def work(_: FakeAgent, connect: Callable[[], socket.socket]) -> None:
        connection = connect()
        assert (await ask(connection, words.encode_request(words.Ping()))).ok
        before = descriptors_open()
        reading, writing = os.pipe()
        for fds in ((writing,), (writing,) * 3, (writing,) * 200):
            answer = await ask(connection, words.encode_request(words.Ping()), fds)
            assert answer.problem == "broker-protocol"
        os.close(writing)
        assert os.read(reading, 1) == b"", "every copy is closed"
        os.close(reading)
        assert descriptors_open() == before

    scenario(work, tmp_path)


def test_connections_of_a_container_are_limited(tmp_path: Path) -> None:
    async def work(_: FakeAgent, connect: Callable[[], socket.socket]) -> None:
        kept = [connect() for _ in range(CONNECTIONS)]
        for connection in kept:
            assert (await ask(connection, words.encode_request(words.Ping()))).ok
        more = connect()
        answer = words.decode_answer(await asyncio.to_thread(more.recv, 65536))
        assert (answer.ok, answer.problem) == (False, "slave-limit")
        assert await asyncio.to_thread(more.recv, 10) == b""

    scenario(work, tmp_path)


def test_a_connection_that_came_as_the_broker_closed_is_closed_too(tmp_path: Path) -> None:
    async def work() -> None:
        agent = FakeAgent()
        desk = Desk(container=ONE, daemon=agent, sockets=agent.sockets)
        broker = Broker(folder=tmp_path, uid=os.getuid(), gid=os.getgid(), desk=desk)
        broker.open()
        before = descriptors_open()
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as peer:
            peer.connect(str(tmp_path / words.SOCKET_NAME))
            assert broker._listener is not None
            broker._listener.accept()
            broker.close()  # its session has not had its first step
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert await asyncio.to_thread(peer.recv, 1) == b""
        gc.collect()  # a socket that was only forgotten is a ResourceWarning, which fails this test
        assert descriptors_open() < before

    asyncio.run(work())


def test_a_connection_that_says_nothing_is_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server_agent.broker.FIRST_SECONDS", 0.05)

    async def work(_: FakeAgent, connect: Callable[[], socket.socket]) -> None:
        assert await asyncio.to_thread(connect().recv, 10) == b""

    scenario(work, tmp_path)


def test_status_waits_for_a_change_and_tells_nodes(tmp_path: Path) -> None:
    async def work(agent: FakeAgent, connect: Callable[[], socket.socket]) -> None:
        attached = Progress(container=ONE, started=0.0, state=AckState.ATTACHED, at={AckState.ATTACHED: 3})
        agent.state = State(progress={ID: attached})
        now = await ask(connect(), words.encode_request(words.Status(attach_id=ID)))
        assert now.ack is not None
        assert (now.ack.state, dict(now.ack.at)) == (AckState.ATTACHED, {AckState.ATTACHED: 3})
        request = words.Status(attach_id=ID, wait=5, seen=AckState.ATTACHED)
        waiting = asyncio.create_task(ask(connect(), words.encode_request(request)))
        await asyncio.sleep(0.05)
        assert not waiting.done()
        failed = Progress(container=ONE, started=0.0, state=AckState.FAILED, problem="device-timeout")
        agent.state = State(progress={ID: failed})
        agent.moved.set()
        answer = await waiting
        assert answer.ack is not None
        assert answer.ack.problem == "device-timeout"

    scenario(work, tmp_path)


def test_anothers_attach_is_not_told(tmp_path: Path) -> None:
    async def work(agent: FakeAgent, connect: Callable[[], socket.socket]) -> None:
        agent.state = State(progress={ID: Progress(container=TWO, started=0.0, state=AckState.READY)})
        answer = await ask(connect(), words.encode_request(words.Status(attach_id=ID, wait=5)))
        assert (answer.ok, answer.problem) == (False, "device-gone")

    scenario(work, tmp_path)


def test_detach_and_ready_are_about_this_container(tmp_path: Path) -> None:
    async def work(agent: FakeAgent, connect: Callable[[], socket.socket]) -> None:
        connection = connect()
        agent.state = State(progress={ID: Progress(container=ONE, started=0.0, state=AckState.READY)})
        assert (await ask(connection, words.encode_request(words.Detach(attach_id=ID)))).ok
        answer = await ask(connection, words.encode_request(words.Ready(attach_id=ID, node="/dev/x")))
        assert (answer.ok, answer.ack and answer.ack.state) == (True, AckState.READY)
        assert agent.events == [
            events.DetachAsked(at=1.0, container=ONE, attach_id=ID, request=1),
            events.Ready(at=1.0, container=ONE, attach_id=ID, node="/dev/x", request=1),
        ]

    scenario(work, tmp_path)


def test_the_socket_is_for_root_and_the_group(tmp_path: Path) -> None:
    async def work(_: FakeAgent, __: Callable[[], socket.socket]) -> None:
        assert (tmp_path / words.SOCKET_NAME).stat().st_mode & 0o777 == 0o660

    scenario(work, tmp_path)


def test_a_link_in_the_sockets_place_is_replaced_and_its_target_left_alone(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("x")
    target.chmod(0o600)
    folder = tmp_path / "one"
    folder.mkdir()
    (folder / words.SOCKET_NAME).symlink_to(target)

    async def work(_: FakeAgent, connect: Callable[[], socket.socket]) -> None:
        assert (await ask(connect(), words.encode_request(words.Ping()))).ok

    scenario(work, folder)
    assert target.stat().st_mode & 0o777 == 0o600


def test_the_socket_has_its_mode_before_it_is_given_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What belongs to a container's root cannot be changed any more: the agent has no right for that."""
    given: list[tuple[int, int, int]] = []
    monkeypatch.setattr(os, "chown", lambda path, uid, gid: given.append((Path(path).stat().st_mode, uid, gid)))

    async def work() -> None:
        agent = FakeAgent()
        desk = Desk(container=ONE, daemon=agent, sockets=agent.sockets)
        broker = Broker(folder=tmp_path, uid=100000, gid=100989, desk=desk)
        broker.open()
        broker.close()

    asyncio.run(work())
    ((mode, *owner),) = given
    assert mode & 0o777 == 0o660
    assert owner == [100000, 100989]
