"""EFFECT: one connection to the slave server, from its first byte to the end."""

import errno
import logging
import socket
import time
import uuid

from qvd_usbip import wire
from qvd_usbip.errors import PEER_GONE, SLAVE_PROTOCOL, SLAVE_SILENT, Problem, QvdUsbError
from qvd_usbip.system.sockets import read_head
from vma_hooks.attach import attach
from vma_hooks.broker_client import Agent
from vma_hooks.follow import Follower

LOG = logging.getLogger(__name__)
HEAD_SECONDS = 10.0
_SEND_SECONDS = 5.0
_LINGER_SECONDS, _LINGER_BYTES = 1.0, 1 << 16


class Host:
    """What every conversation of one server shares: the key, the agent, and what is known of attaches."""

    def __init__(self, key: str, agent: Agent, follower: Follower, head_seconds: float = HEAD_SECONDS) -> None:
        self.key = key
        self.agent = agent
        self.follower = follower
        self.head_seconds = head_seconds


def refuse_at_once(connection: socket.socket, problem: Problem) -> None:
    """Say that nothing is taken now, and why, without hearing a word; a new connection has room for that.

    Raises:
        QvdUsbError: PEER_GONE.
    """
    nobody = wire.Server("-")  # it judges no request, so it needs no key
    _say(connection, nobody.refuse(wire.Refusal(status=503, problem=problem, reason="nothing is taken now")))


def refuse_calmly(connection: socket.socket, problem: Problem) -> None:
    """The same for a caller that has a second, so that the client surely reads it."""
    refuse_at_once(connection, problem)
    _linger(connection)


def converse(connection: socket.socket, host: Host) -> None:
    """Carry out one request and leave the connection to its caller, to be closed.

    Raises:
        QvdUsbError: what went wrong, after the client was told as far as it may still be told.
    """
    server = wire.Server(host.key)
    request = _read_request(connection, server, host.head_seconds)
    match request:
        case wire.UpgradeRequest():
            _take_device(connection, server, request, host)
        case wire.AckRequest():
            _say(connection, _acknowledge(server, request, host.follower))
            _linger(connection)
        case wire.PingRequest():
            _say(connection, server.answer_ping(request))
            _linger(connection)
        case wire.Refusal():
            _say(connection, server.refuse(request))
            _linger(connection)
            raise QvdUsbError(request.problem, reason=request.reason)


def _read_request(connection: socket.socket, server: wire.Server, seconds: float) -> wire.Request:
    request = server.feed(read_head(connection, time.monotonic() + seconds, wire.MAX_HEAD + 1))
    return wire.Refusal(status=400, problem=SLAVE_PROTOCOL, reason="no head") if request is None else request


def _take_device(connection: socket.socket, server: wire.Server, request: wire.UpgradeRequest, host: Host) -> None:
    attach_id = request.attach_id or str(uuid.uuid4())
    try:
        # All that is said to the client is said before its device line: what came later would meet the kernel's data.
        _say(connection, server.accept())
        attach(connection, attach_id, host.agent)
    except QvdUsbError as error:
        host.follower.note_failure(attach_id, error)
        raise
    LOG.info("attached id=%s", attach_id)


def _acknowledge(server: wire.Server, request: wire.AckRequest, follower: Follower) -> bytes:
    try:
        return server.answer_ack(follower.follow(request))
    except QvdUsbError as error:
        LOG.warning("no acknowledgement id=%s problem=%s", request.attach_id, error.problem.code)
        return server.refuse(wire.Refusal(status=503, problem=error.problem, reason=str(error)))


def _say(connection: socket.socket, data: bytes) -> None:
    connection.settimeout(_SEND_SECONDS)
    try:
        connection.sendall(data)
    except TimeoutError:
        raise QvdUsbError(SLAVE_SILENT, seconds=round(_SEND_SECONDS)) from None
    except ConnectionError as error:
        raise QvdUsbError(PEER_GONE) from error


def _linger(connection: socket.socket) -> None:
    """Let the client read the answer: closing with unread bytes in the socket would tell TCP to throw it away."""
    end = time.monotonic() + _LINGER_SECONDS
    unread = _LINGER_BYTES
    try:
        connection.shutdown(socket.SHUT_WR)
        while unread > 0 and (left := end - time.monotonic()) > 0:
            connection.settimeout(left)
            data = connection.recv(unread)
            if not data:
                return
            unread -= len(data)
    except (TimeoutError, ConnectionError):
        return
    except OSError as error:
        if error.errno != errno.ENOTCONN:
            raise
