"""The agent's side of the endpoint: a client's certificate says which container it is for, and for how long."""

import asyncio
import gc
import logging
import os
import socket
import threading
import uuid
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from qvd_usbip import broker as words
from qvd_usbip.ack import AckState
from qvd_usbip.errors import QvdUsbError, problem_of
from qvd_usbip.ids import HubId, VmId
from qvd_usbip.pairing import fingerprint_of
from server_agent import actions, events, paired
from server_agent.endpoint import Endpoint
from server_agent.introduction import Introduction
from server_agent.lookout import Lookout
from server_agent.state import Device, Port, Progress, State
from server_agent.usable import Question, Seen
from tests.unit.server_agent.test_broker import FakeAgent, ask, descriptors_open
from tests.unit.server_agent.test_usable import ID as ASKED
from tests.unit.server_agent.test_usable import NAME, SEEN, state_with

ONE, TWO = VmId("one"), VmId("two")
ID = str(uuid.UUID(int=7))
ATTACH = words.encode_request(words.Attach(devid=0x10002, speed=3, attach_id=ID))
CERTIFICATE = b"a client's certificate"
KNOWN = Introduction(peer="10.0.0.9:5", fingerprint=fingerprint_of(CERTIFICATE), way="kernel")


class RefusingAgent(FakeAgent):
    """The same, that refuses as the daemon does."""

    async def request(self, make: Callable[[int], events.Event]) -> actions.Answer:
        answer = await super().request(make)
        if answer.problem:
            raise QvdUsbError(problem_of(answer.problem))
        return answer


class FakePairing:
    """Who pairs: open or not, and it greets whoever it gets."""

    is_open = False

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, peer: str) -> None:
        writer.write(f"hello {peer}".encode())
        await writer.drain()
        writer.close()


class House:
    """An endpoint in a folder, with one client."""

    def __init__(self, folder: Path) -> None:
        self.agent = RefusingAgent()
        self.pairing = FakePairing()
        self.clients = folder / "clients"
        self.path = folder / "endpoint.sock"
        self.made: list[socket.socket] = []
        self.pair(ONE)
        self.lookout = Lookout(self.agent, self.look)
        self.seen = Seen(right=(), device="", mounts=())
        pairing: Any = self.pairing
        self.endpoint = Endpoint(self.agent, self.agent.sockets, pairing, self.lookout, self.clients, self.path)

    def look(self, _: Question) -> Seen:
        return self.seen

    def pair(self, container: VmId) -> None:
        paired.add(
            self.clients,
            paired.Paired(
                name="laptop", container=container, fingerprint=KNOWN.fingerprint, added="now", certificate=CERTIFICATE
            ),
        )

    async def meet(self, who: Introduction, *fds: int) -> tuple[socket.socket, words.Answer]:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        connection.settimeout(5)
        self.made.append(connection)
        connection.connect(str(self.path))
        return connection, await ask(connection, who.encode(), fds)

    async def attach(self) -> tuple[socket.socket, words.Answer]:
        connection, met = await self.meet(KNOWN)
        assert met.ok
        ours, theirs = socket.socketpair()
        with ours, theirs:
            return connection, await ask(connection, ATTACH, (theirs.fileno(),))

    def is_there(self, container: VmId = ONE) -> None:
        port = Port(hub=HubId(1), half="hs", rhport=3)
        device = Device(port=port, container=container, attach_id=ID)
        progress = Progress(container=container, started=0.0, state=AckState.ATTACHED)
        self.agent.state = State(devices={port: device}, progress={ID: progress})


def scenario(folder: Path, work: Callable[[House], Coroutine[Any, Any, None]]) -> None:
    async def run() -> None:
        house = House(folder)
        house.endpoint.start()
        try:
            await work(house)
        finally:
            for connection in house.made:
                connection.close()
            house.endpoint.stop()
            await asyncio.sleep(0.02)

    asyncio.run(run())


def test_a_known_clients_device_goes_to_its_container_by_the_brokers_way(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        _, answer = await house.attach()
        assert answer.ok
        expected = events.Attach(at=1.0, container=ONE, attach_id=ID, devid=0x10002, speed=3, request=1)
        assert house.agent.events == [expected]
        assert list(house.endpoint.sessions()) == []
        house.is_there()
        (told,) = house.endpoint.sessions()
        assert told["client"] == "laptop"
        assert (told["container"], told["encryption"], told["peer"]) == ("one", "kernel", KNOWN.peer)

    scenario(tmp_path, work)


def test_a_certificate_that_nobody_knows_gets_no_further(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        connection, answer = await house.meet(Introduction(peer="p", fingerprint="0" * 64))
        assert (answer.ok, answer.problem) == (False, "not-paired")
        assert await asyncio.to_thread(connection.recv, 10) == b""
        assert house.agent.events == []

    scenario(tmp_path, work)


def test_who_is_not_paired_any_more_loses_devices_and_connections(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        connection, _ = await house.attach()
        house.is_there()
        await house.endpoint.changed()
        assert len(house.agent.events) == 1, "a change that is about others changes nothing"
        paired.remove(house.clients, "laptop")
        await house.endpoint.changed()
        assert house.agent.events[-1] == events.DetachAsked(at=1.0, container=ONE, attach_id=ID, request=1)
        assert await asyncio.to_thread(connection.recv, 10) == b""
        assert list(house.endpoint.sessions()) == []

    scenario(tmp_path, work)


def test_whoever_waits_for_the_agent_does_not_wait_for_the_files_of_its_clients(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, readers = paired.read, []

    def noted(folder: Path) -> paired.Register:
        readers.append(threading.current_thread())
        return read(folder)

    async def work(house: House) -> None:
        monkeypatch.setattr(paired, "read", noted)
        await house.attach()
        await house.endpoint.changed()
        assert len(readers) == 2
        assert threading.main_thread() not in readers

    scenario(tmp_path, work)


def test_who_is_removed_while_it_is_looked_up_is_not_let_in_by_what_was_read_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = paired.read
    reading, go_on = threading.Event(), threading.Event()

    def slow(folder: Path) -> paired.Register:
        register = read(folder)
        if not reading.is_set():
            reading.set()
            assert go_on.wait(5)
        return register

    async def work(house: House) -> None:
        monkeypatch.setattr(paired, "read", slow)
        meeting = asyncio.ensure_future(house.meet(KNOWN))
        await asyncio.to_thread(reading.wait, 5)
        paired.remove(house.clients, "laptop")
        await house.endpoint.changed()
        go_on.set()
        _, answer = await meeting
        assert (answer.ok, answer.problem) == (False, "not-paired")

    scenario(tmp_path, work)


def test_who_is_paired_with_another_container_leaves_the_first(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        await house.attach()
        house.is_there()
        house.pair(TWO)
        await house.endpoint.changed()
        assert isinstance(house.agent.events[-1], events.DetachAsked)
        assert house.agent.events[-1].container == ONE
        await house.attach()
        assert house.agent.events[-1].container == TWO

    scenario(tmp_path, work)


def test_news_is_told_once_and_then_waited_for_on_whatever_connection(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        house.is_there()
        for wait, expected in ((5, AckState.ATTACHED), (0, AckState.ATTACHED)):
            connection, _ = await house.meet(KNOWN)
            status = words.encode_request(words.Status(attach_id=ID, wait=wait))
            answer = await ask(connection, status)
            assert answer.ack is not None
            assert answer.ack.state is expected
        assert house.endpoint.told == {(ONE, ID): (AckState.ATTACHED, "")}
        connection, _ = await house.meet(KNOWN)
        waiting = asyncio.ensure_future(ask(connection, words.encode_request(words.Status(attach_id=ID, wait=5))))
        await asyncio.sleep(0.1)
        assert not waiting.done()
        ready = Progress(container=ONE, started=0.0, state=AckState.READY)
        house.agent.state = State(progress={ID: ready})
        house.agent.moved.set()
        answer = await waiting
        assert answer.ack is not None
        assert answer.ack.state is AckState.READY

    scenario(tmp_path, work)


def test_why_a_device_is_not_seen_to_be_usable_is_news_too(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        status = words.encode_request(words.Status(attach_id=ID, wait=5))
        for problem in ("", "node-unseen"):
            house.agent.state = State(
                progress={ID: Progress(container=ONE, started=0.0, state=AckState.AUTHORISED, problem=problem)}
            )
            connection, _ = await house.meet(KNOWN)
            answer = await asyncio.wait_for(ask(connection, status), 3)
            assert answer.ack is not None
            assert (answer.ack.state, answer.ack.problem) == (AckState.AUTHORISED, problem)

    scenario(tmp_path, work)


def test_the_host_looks_for_the_nodes_of_a_device_of_which_a_client_asks(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        house.agent.state = state_with()
        house.pair(NAME)
        house.seen = SEEN
        connection, _ = await house.meet(KNOWN)
        await ask(connection, words.encode_request(words.Status(attach_id=ASKED, wait=0)))
        for _ in range(100):
            await asyncio.sleep(0.01)
        (ready,) = [each for each in house.agent.events if isinstance(each, events.Ready)]
        assert (ready.container, ready.attach_id, ready.node) == (NAME, ASKED, "/dev/bus/usb/003/002")

    scenario(tmp_path, work)


def test_a_device_that_did_not_get_in_is_told_so_afterwards(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        house.agent.problem = "attach-failed"
        _, answer = await house.attach()
        assert answer.problem == "attach-failed"
        connection, _ = await house.meet(KNOWN)
        answer = await ask(connection, words.encode_request(words.Status(attach_id=ID, wait=0)))
        assert answer.ack is not None
        assert (answer.ack.state, answer.ack.problem) == (AckState.FAILED, "attach-failed")

    scenario(tmp_path, work)


def test_a_stranger_reaches_whoever_pairs_while_that_is_wanted_and_nobody_else(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            ours.settimeout(5)
            _, answer = await house.meet(Introduction(peer="p"), theirs.fileno())
            assert (answer.ok, answer.problem) == (False, "pairing-closed")
            _, answer = await house.meet(Introduction(peer="p"))
            assert not answer.ok
            house.pairing.is_open = True
            _, answer = await house.meet(Introduction(peer="p"), theirs.fileno())
            assert answer.ok
            assert await asyncio.to_thread(ours.recv, 100) == b"hello p"

    scenario(tmp_path, work)


def test_a_stranger_with_anything_but_a_connection_is_refused_and_nothing_of_it_is_kept(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        house.pairing.is_open = True
        far, near = socket.socketpair(type=socket.SOCK_SEQPACKET)
        with (tmp_path / "file").open("w") as file, far, near, socket.socket() as lonely:
            before = descriptors_open()
            for each in (file, near, lonely):
                connection, answer = await house.meet(Introduction(peer="p"), each.fileno())
                assert (answer.ok, answer.problem) == (False, "broker-protocol")
                assert await asyncio.to_thread(connection.recv, 10) == b""
                connection.close()
            await until_true(lambda: descriptors_open() == before)

    scenario(tmp_path, work)


@pytest.mark.parametrize("who", [KNOWN, Introduction(peer="p", fingerprint="0" * 64), Introduction(peer="p")])
def test_who_is_gone_before_it_is_answered_ends_in_a_line_of_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, who: Introduction
) -> None:
    caplog.set_level(logging.INFO)
    unforeseen: list[dict[str, Any]] = []

    async def work(house: House) -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: unforeseen.append(context))
        house.pairing.is_open = True
        ours, theirs = socket.socketpair()
        with ours, socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
            ours.settimeout(5)
            connection.connect(str(house.path))
            with theirs:
                fds = [] if who.fingerprint else [theirs.fileno()]
                socket.send_fds(connection, [who.encode()], fds)
            connection.close()
            if not who.fingerprint:
                assert await asyncio.to_thread(ours.recv, 10) == b"", "whoever pairs is not troubled"
        await until_true(lambda: "a connection of the porter's was lost" in caplog.text)
        gc.collect()  # which is when asyncio tells of what nobody has asked for
        assert not unforeseen

    scenario(tmp_path, work)


async def until_true(holds: Callable[[], bool]) -> None:
    for _ in range(500):
        if holds():
            return
        await asyncio.sleep(0.01)
    raise AssertionError


def test_only_root_may_introduce_anybody(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        assert house.path.stat().st_mode & 0o777 == 0o600
        assert house.path.stat().st_uid == os.getuid()
        for nonsense in (b"{}", b"x" * 600, words.encode_request(words.Ping())):
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            house.made.append(connection)
            connection.connect(str(house.path))
            connection.send(nonsense)
            await asyncio.sleep(0.05)
        assert house.agent.events == []

    scenario(tmp_path, work)
