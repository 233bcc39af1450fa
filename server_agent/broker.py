"""EFFECT: the socket in a container's folder: its receiver hands connected sockets over and asks how they fare."""

import asyncio
import errno
import logging
import os
import socket
import stat
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import psutil

from qvd_usbip import broker as words
from qvd_usbip.ack import Ack, AckState
from qvd_usbip.errors import BROKER_PROTOCOL, DEVICE_GONE, SLAVE_LIMIT, QvdUsbError
from qvd_usbip.ids import VmId
from qvd_usbip.system.sockets import peer_credentials, recv_fd, tune
from server_agent import actions, events
from server_agent.host_nodes import name_inside
from server_agent.listener import Listener
from server_agent.seldom import Seldom
from server_agent.state import Progress, State

LOG = logging.getLogger(__name__)
CONNECTIONS = 8
FIRST_SECONDS, IDLE_SECONDS = 5.0, 60.0
ANSWER_SECONDS = 5.0
PAUSE_SECONDS = 0.005  # between two messages of a connection: a container that floods has so much of the agent's time
SAID_TIMES, SAID_SECONDS = 5, 10.0  # how often the log says the same of a container


class Agent(Protocol):
    """What a desk needs of the daemon."""

    state: State

    @property
    def now(self) -> float:
        """Seconds of the monotonic clock."""

    async def request(self, make: Callable[[int], events.Event]) -> actions.Answer:
        """Submit a request and wait for its answer."""

    async def wait_until(self, holds: Callable[[State], bool], seconds: float) -> bool:
        """Wait for the state to hold something."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """Answers one container's requests. Which container it is, the folder says; no message can."""

    container: VmId
    daemon: Agent
    sockets: dict[str, int]
    seldom: Seldom = field(default_factory=lambda: Seldom(SAID_TIMES, SAID_SECONDS))

    def say(self, words: str, *context: object) -> None:
        """Write to the log what this container is about, but not as often as it likes."""
        held_back = self.seldom.allows(words, time.monotonic())
        if held_back is not None:
            more = f" ({held_back} more like it)" if held_back else ""
            LOG.info("container=%s " + words + "%s", self.container, *context, more)  # noqa: G003 (fixed texts)

    async def answer(self, message: bytes, fd: int | None) -> bytes:
        """The answer to one message; the descriptor that came with it is closed, whatever it says."""
        try:
            return await self._answer(words.decode_request(message), fd)
        except QvdUsbError as error:
            self.say("refused problem=%s context=%s", error.problem.code, error.context)
            return refusal(error)
        finally:
            if fd is not None:
                os.close(fd)

    async def _answer(self, request: words.Request, fd: int | None) -> bytes:
        if isinstance(request, words.Attach):
            await self._attach(request, fd)
        elif fd is not None:
            raise QvdUsbError(BROKER_PROTOCOL, reason="a descriptor where none belongs")
        elif isinstance(request, words.Status):
            return await self._status(request)
        elif isinstance(request, words.Detach):
            await self.daemon.request(
                lambda number: events.DetachAsked(
                    at=self.daemon.now, container=self.container, attach_id=request.attach_id, request=number
                )
            )
        elif isinstance(request, words.Ready):
            await self.daemon.request(
                lambda number: events.Ready(
                    at=self.daemon.now, container=self.container, attach_id=request.attach_id, node=request.node,
                    request=number,
                )
            )  # fmt: skip
            return await self._status(words.Status(attach_id=request.attach_id))
        return words.encode_answer(words.Answer(ok=True))

    async def _attach(self, request: words.Attach, fd: int | None) -> None:
        if fd is None:
            raise QvdUsbError(BROKER_PROTOCOL, reason="attach needs a descriptor")
        if request.attach_id in self.sockets:
            raise QvdUsbError(BROKER_PROTOCOL, reason="this attach is under way")
        prepare(fd)
        self.sockets[request.attach_id] = fd
        try:
            await self.daemon.request(
                lambda number: events.Attach(
                    at=self.daemon.now, container=self.container, attach_id=request.attach_id, devid=request.devid,
                    speed=request.speed, request=number,
                )
            )  # fmt: skip
        finally:
            del self.sockets[request.attach_id]  # the kernel has its own reference by now, or will never have one

    async def _status(self, request: words.Status) -> bytes:
        def moved(state: State) -> bool:
            progress = self.progress_of(state, request.attach_id)
            return progress is None or (progress.state is not None and progress.state != request.seen)

        await self.daemon.wait_until(moved, float(request.wait))
        state = self.daemon.state
        progress = self.progress_of(state, request.attach_id)
        if progress is None:
            raise QvdUsbError(DEVICE_GONE, busid=request.attach_id)
        device = state.device_of_attach(self.container, request.attach_id)
        container = state.containers.get(self.container)
        names = device.names.values() if device is not None else ()
        nodes = tuple(sorted(name_inside(container, name) for name in names))
        return words.encode_answer(words.Answer(ok=True, ack=ack_of(progress), nodes=nodes))

    def progress_of(self, state: State, attach_id: str) -> Progress | None:
        """What is known of an attach, if it is this container's."""
        progress = state.progress.get(attach_id)
        return progress if progress is not None and progress.container == self.container else None


def prepare(fd: int) -> None:
    """Make sure the kernel can use this socket, and that a vanished peer is noticed.

    Raises:
        QvdUsbError: broker-protocol for anything but a connected stream socket.
    """
    try:
        found = socket.socket(fileno=fd)
        try:
            if found.type & ~(socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC) != socket.SOCK_STREAM:
                raise QvdUsbError(BROKER_PROTOCOL, reason="the descriptor is no stream socket")
            found.getpeername()
            tune(found)
        finally:
            found.detach()  # the descriptor stays its owner's
    except OSError as error:
        reason = f"the descriptor is no connected socket ({os.strerror(error.errno or errno.EBADF)})"
        raise QvdUsbError(BROKER_PROTOCOL, reason=reason) from error


@dataclass(slots=True, kw_only=True)
class Broker:
    """Listens in one container's folder."""

    folder: Path
    gid: int
    desk: Desk
    uid: int = 0  # the container's root, for one in a user namespace
    _listener: Listener | None = None
    _sessions: set[asyncio.Task[None]] = field(default_factory=set)

    def open(self) -> None:
        """Make the socket anew and listen.

        Raises:
            OSError: it cannot be made.
        """
        path = self.folder / words.SOCKET_NAME
        self._listener = Listener(path, self._welcome, CONNECTIONS, lambda path: _give_away(path, self.uid, self.gid))

    def close(self) -> None:
        """Listen no more and drop every connection."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        for session in self._sessions:
            session.cancel()

    def _welcome(self, connection: socket.socket) -> None:
        if len(self._sessions) >= CONNECTIONS:
            self.desk.say("too many connections %s", peer_of(connection))
            _send_now(connection, refusal(QvdUsbError(SLAVE_LIMIT)))
            connection.close()
            return
        session = asyncio.get_running_loop().create_task(converse(connection, self.desk))
        self._sessions.add(session)

        def ended(_: asyncio.Task[None]) -> None:  # also of one that is cancelled before its first step
            self._sessions.discard(session)
            connection.close()

        session.add_done_callback(ended)


class Clerk(Protocol):
    """Answers what comes over one connection, and writes down what is odd."""

    async def answer(self, message: bytes, fd: int | None) -> bytes:
        """The answer to one message; the descriptor that came with it is closed, whatever it says."""

    def say(self, words: str, *context: object) -> None:
        """Write to the log, but not as often as the other end likes."""


async def converse(connection: socket.socket, clerk: Clerk, first: float | None = None) -> None:
    """Answer one message after the other, until the other end closes or is silent for too long (`first`: seconds)."""
    seconds = FIRST_SECONDS if first is None else first
    try:
        while True:
            await _wait(connection, seconds, write=False)
            try:
                message, fd = recv_fd(connection, words.MAX_MESSAGE)
            except QvdUsbError as error:
                answer = refusal(error)
            else:
                if not message and fd is None:
                    return
                if fd is not None:
                    clerk.say("descriptor handed over %s", peer_of(connection))
                answer = await clerk.answer(message, fd)
            await _wait(connection, ANSWER_SECONDS, write=True)
            _send_now(connection, answer)
            seconds = IDLE_SECONDS
            await asyncio.sleep(PAUSE_SECONDS)
    except TimeoutError:
        clerk.say("silent connection closed")
    except OSError as error:
        clerk.say("connection lost error=%s", error)


def _give_away(path: Path, uid: int, gid: int) -> None:
    """Let the container's root and the group connect.

    What stands in the socket's place is never followed: the folder is in the container.

    Source: open(2), O_PATH: the descriptor names the inode, and /proc/self/fd lets its mode be changed.
    """
    fd = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        if not stat.S_ISSOCK(os.fstat(fd).st_mode):
            raise OSError(errno.ENOTSOCK, "it was replaced", str(path))
        itself = Path(f"/proc/self/fd/{fd}")
        itself.chmod(0o660)  # as long as it is one's own
        os.chown(itself, uid or -1, gid)
    finally:
        os.close(fd)


def peer_of(connection: socket.socket) -> str:
    """Who connected, for the log only: inside a container these words are the container's."""
    pid, uid, gid = peer_credentials(connection)
    try:
        name = psutil.Process(pid).name() if pid else "?"
    except psutil.Error:
        name = "?"
    return f"pid={pid} uid={uid} gid={gid} program={name!r}"


def _send_now(connection: socket.socket, message: bytes) -> None:
    try:
        connection.send(message, socket.MSG_NOSIGNAL)
    except OSError as error:
        if error.errno not in {errno.EPIPE, errno.ECONNRESET, errno.EAGAIN}:
            raise


async def _wait(connection: socket.socket, seconds: float, *, write: bool) -> None:
    """Wait until a socket can be read or written.

    Raises:
        TimeoutError: it could not, for so long.
    """
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    add, remove = (loop.add_writer, loop.remove_writer) if write else (loop.add_reader, loop.remove_reader)
    add(connection, ready.set)
    try:
        await asyncio.wait_for(ready.wait(), seconds)
    finally:
        remove(connection)


def ack_of(progress: Progress) -> Ack:
    """The acknowledgement that goes to the client."""
    state = progress.state or AckState.ATTACHED
    return Ack(state=state, at=progress.at, problem=progress.problem, node=progress.node)


def refusal(error: QvdUsbError) -> bytes:
    """The answer that names a problem."""
    return words.encode_answer(words.Answer(ok=False, problem=error.problem.code))
