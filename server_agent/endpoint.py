"""EFFECT: the agent's side of the endpoint: which container a client's connection is for, and what its devices do.

The network is the porter's, a process without any right; what it passes on is heard here as if it came through a
broker's folder, only that the client's certificate says which container it is for.
"""

import asyncio
import logging
import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qvd_usbip import broker as words
from qvd_usbip.ack import Ack, AckState
from qvd_usbip.errors import (
    BROKER_PROTOCOL,
    DEVICE_REFUSED,
    NOT_PAIRED,
    PAIRING_CLOSED,
    SLAVE_LIMIT,
    QvdUsbError,
)
from qvd_usbip.ids import VmId
from qvd_usbip.system.sockets import recv_fd
from server_agent import events, introduction, paired
from server_agent.broker import Agent, Desk, converse, prepare, refusal
from server_agent.introduction import Introduction
from server_agent.listener import Listener
from server_agent.lookout import Lookout
from server_agent.paired import Paired
from server_agent.pairing import PairingDesk
from server_agent.state import State

LOG = logging.getLogger(__name__)
SOCKET = Path("/run/qvd-usbip/endpoint.sock")
FOLDER = paired.CLIENTS.parent
CONNECTIONS, OF_ONE_CLIENT = 512, 192  # a client asks about each of its devices on a connection of its own
PORTER_SECONDS = 20.0  # longer than the porter gives a client for a handshake, or for its device line
UNDER_WAY_SECONDS = 3.0  # a client may ask before its own device line was read
REMEMBERED = 512
YES = words.encode_answer(words.Answer(ok=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One device's connection that a client has brought."""

    client: Paired
    attach_id: str
    peer: str
    way: str


@dataclass(slots=True, kw_only=True)
class Visit:
    """Answers one connection of a known client, and remembers what the client was told of each device."""

    client: Paired
    introduction: Introduction
    desk: Desk
    house: "Endpoint"

    def say(self, text: str, *context: object) -> None:
        """Write to the log what this client's container is about."""
        self.desk.say(text, *context)

    async def answer(self, message: bytes, fd: int | None) -> bytes:
        """The answer to one message; the descriptor that came with it is closed, whatever it says."""
        try:
            request = words.decode_request(message)
        except QvdUsbError:
            return await self.desk.answer(message, fd)  # which says what is wrong with it
        if isinstance(request, words.Status):
            return await self._status(request)
        said = await self.desk.answer(message, fd)
        if isinstance(request, words.Attach):
            self.house.attached(self, request.attach_id, words.decode_answer(said))
        return said

    async def _status(self, request: words.Status) -> bytes:
        """Answer with news: what the client was told last, another connection of its may have asked for."""
        name, attach_id = self.desk.container, request.attach_id
        failed = self.house.failed.get((name, attach_id))
        if failed is not None:
            return words.encode_answer(words.Answer(ok=True, ack=failed))

        def known(state: State) -> bool:
            return attach_id in state.progress or (name, attach_id) in self.house.failed

        def is_news(state: State) -> bool:
            progress = self.desk.progress_of(state, attach_id)
            return progress is None or (progress.state is not None and (progress.state, progress.problem) != told)

        told = self.house.told.get((name, attach_id))
        await self.desk.daemon.wait_until(known, min(request.wait, UNDER_WAY_SECONDS))
        self.house.lookout.follow(name, attach_id)
        await self.desk.daemon.wait_until(is_news, request.wait)
        said = await self.desk.answer(words.encode_request(words.Status(attach_id=attach_id, wait=0)), None)
        answer = words.decode_answer(said)
        if answer.ack is not None:
            remember(self.house.told, (name, attach_id), (answer.ack.state, answer.ack.problem))
        return said


class Endpoint:
    """Listens for the porter."""

    def __init__(
        self,
        daemon: Agent,
        sockets: dict[str, int],
        pairing: PairingDesk,
        lookout: Lookout,
        clients: Path = paired.CLIENTS,
        path: Path = SOCKET,
    ) -> None:
        """Args: sockets: of attaches under way, by their id, where the executor finds them; lookout: for nodes."""
        self._daemon = daemon
        self._sockets = sockets
        self._pairing = pairing
        self.lookout = lookout
        self._clients = clients
        self._path = path
        self._listener: Listener | None = None
        self._visits: dict[asyncio.Task[None], str] = {}
        self._desks: dict[tuple[str, str], Desk] = {}
        self._changes = 0
        self._sessions: dict[str, Session] = {}
        self.told: dict[tuple[VmId, str], tuple[AckState, str]] = {}
        self.failed: dict[tuple[VmId, str], Ack] = {}

    def start(self) -> None:
        """Listen.

        Raises:
            OSError: the socket cannot be made.
        """
        self._listener = Listener(self._path, self._welcome, CONNECTIONS)

    def stop(self) -> None:
        """Listen no more and drop every connection; devices stay."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        for visit in self._visits:
            visit.cancel()
        self.lookout.stop()

    def sessions(self) -> Iterator[dict[str, Any]]:
        """The devices that came this way and are there now, for people and programs."""
        for session in self._sessions.values():
            device = self._daemon.state.device_of_attach(session.client.container, session.attach_id)
            if device is not None:
                yield {
                    "client": session.client.name,
                    "container": str(session.client.container),
                    "attach": session.attach_id,
                    "busid": str(device.busid) if device.busid else None,
                    "peer": session.peer,
                    "encryption": session.way,
                    "unseen": self.lookout.reasons.get((session.client.container, session.attach_id), ""),
                }

    def attached(self, visit: Visit, attach_id: str, answer: words.Answer) -> None:
        """Take note of a device that came, or did not get in."""
        if answer.ok:
            self._forget_ended()
            self._sessions[attach_id] = Session(
                client=visit.client, attach_id=attach_id, peer=visit.introduction.peer, way=visit.introduction.way
            )
            return
        state = AckState.REFUSED if answer.problem == DEVICE_REFUSED.code else AckState.FAILED
        remember(self.failed, (visit.desk.container, attach_id), Ack(state=state, problem=answer.problem))

    def _forget_ended(self) -> None:
        state = self._daemon.state
        gone = [
            each.attach_id
            for each in self._sessions.values()
            if state.device_of_attach(each.client.container, each.attach_id) is None
        ]
        for attach_id in gone:
            del self._sessions[attach_id]

    async def changed(self) -> None:
        """Who is paired has changed: the devices and connections of those who are not any more end now."""
        self._changes += 1
        register = await self._register()
        kept = {(each.fingerprint, each.container) for each in register.clients}
        known = {each.fingerprint for each in register.clients}
        for visit, fingerprint in list(self._visits.items()):
            if fingerprint and fingerprint not in known:
                visit.cancel()
        for session in list(self._sessions.values()):
            if (session.client.fingerprint, session.client.container) not in kept:
                LOG.info("client=%s is not paired any more: its device goes", session.client.name)
                await self._end(session)

    async def _register(self) -> paired.Register:
        """Who is paired, read beside the loop; what a change has overtaken meanwhile is read again."""
        while True:
            before = self._changes
            register = await asyncio.to_thread(paired.read, self._clients)
            if before == self._changes:
                return register

    async def _end(self, session: Session) -> None:
        def ask(number: int) -> events.Event:
            return events.DetachAsked(
                at=self._daemon.now, container=session.client.container, attach_id=session.attach_id, request=number
            )

        self._sessions.pop(session.attach_id, None)
        try:
            await self._daemon.request(ask)
        except QvdUsbError as error:  # it is gone already
            LOG.info("attach=%s was not detached: %s", session.attach_id, error)

    # the porter's connections ----------------------------------------------------------------------------------------
    def _welcome(self, connection: socket.socket) -> None:
        visit = asyncio.get_running_loop().create_task(self._serve(connection))
        self._visits[visit] = ""

        def ended(_: asyncio.Task[None]) -> None:
            del self._visits[visit]
            connection.close()

        visit.add_done_callback(ended)

    async def _serve(self, connection: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        try:
            message, fd = await asyncio.wait_for(_first(loop, connection), PORTER_SECONDS)
        except (TimeoutError, OSError, QvdUsbError) as error:
            LOG.info("the porter said nothing that can be used: %s", error)
            return
        try:
            await self._meet(connection, message, fd)
        except OSError as error:
            LOG.info("a connection of the porter's was lost: %s", error)
        finally:
            if fd is not None:
                os.close(fd)

    async def _meet(self, connection: socket.socket, message: bytes, fd: int | None) -> None:
        try:
            met = introduction.decode(message)
            if not met.fingerprint:
                await self._pair(connection, met, fd)
                return
            visit = await self._visit(met)
        except QvdUsbError as error:
            LOG.info("refused problem=%s context=%s", error.problem.code, error.context)
            await _say(connection, refusal(error))
            return
        await _say(connection, YES)
        await converse(connection, visit, PORTER_SECONDS)

    async def _visit(self, met: Introduction) -> Visit:
        client = (await self._register()).by_fingerprint(met.fingerprint)
        if client is None:
            raise QvdUsbError(NOT_PAIRED)
        task = asyncio.current_task()
        same = sum(1 for fingerprint in self._visits.values() if fingerprint == met.fingerprint)
        if task is None or same >= OF_ONE_CLIENT or len(self._visits) > CONNECTIONS:
            raise QvdUsbError(SLAVE_LIMIT)
        self._visits[task] = met.fingerprint
        key = (client.fingerprint, str(client.container))
        desk = self._desks.get(key) or Desk(container=client.container, daemon=self._daemon, sockets=self._sockets)
        remember(self._desks, key, desk)  # what it says seldom, it says seldom on all connections
        return Visit(client=client, introduction=met, desk=desk, house=self)

    async def _pair(self, connection: socket.socket, met: Introduction, fd: int | None) -> None:
        if fd is None:
            raise QvdUsbError(BROKER_PROTOCOL, reason="a stranger comes without a connection")
        if not self._pairing.is_open:
            raise QvdUsbError(PAIRING_CLOSED, address="here")
        prepare(fd)
        stranger = socket.socket(fileno=os.dup(fd))
        stranger.setblocking(False)
        reader, writer = await asyncio.open_connection(sock=stranger)
        try:
            await _say(connection, YES)
            await self._pairing.converse(reader, writer, met.peer)
        finally:
            writer.close()


async def _say(connection: socket.socket, message: bytes) -> None:
    await asyncio.get_running_loop().sock_sendall(connection, message)


async def _first(loop: asyncio.AbstractEventLoop, connection: socket.socket) -> tuple[bytes, int | None]:
    ready = asyncio.Event()
    loop.add_reader(connection, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(connection)
    return recv_fd(connection, introduction.MAX_MESSAGE)


def remember(table: dict[Any, Any], key: object, value: object) -> None:
    """Keep the newest; the oldest goes when there are too many."""
    table.pop(key, None)
    table[key] = value
    if len(table) > REMEMBERED:
        del table[next(iter(table))]
