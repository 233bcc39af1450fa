"""EFFECT: one connection from the network, from its first byte to the end, in a process of its own without rights."""

import errno
import logging
import signal
import socket
import ssl
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

from qvd_usbip import broker, wire
from qvd_usbip.ack import Ack, AckState
from qvd_usbip.encryption import Way
from qvd_usbip.errors import (
    AGENT_UNREACHABLE,
    DEVICE_GONE,
    NOT_PAIRED,
    PAIRING_CLOSED,
    PEER_GONE,
    SLAVE_PROTOCOL,
    QvdUsbError,
)
from qvd_usbip.pairing import fingerprint_of
from qvd_usbip.system.relay import pump
from qvd_usbip.system.sockets import send_fd
from qvd_usbip.system.tls import take_from_openssl, way_of
from server_agent.introduction import Introduction

LOG = logging.getLogger(__name__)
HEAD_SECONDS, LINE_SECONDS, ANSWER_SECONDS = 10, 10, 10  # of a deadline the process dies: nobody can spin it out
PAIRING_SECONDS = 400  # a window's five minutes, and what both sides say around it
LINGER_SECONDS = 1.0
_STATUS_OF = {NOT_PAIRED: 403, PAIRING_CLOSED: 403, SLAVE_PROTOCOL: 400}
_OTHER_STATUS = 503


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Somebody at the door: the connection, where it comes from, and the way to the agent (None: it does not run).

    `known` is to be called once it is clear who it is.
    """

    connection: socket.socket
    peer: str
    agent: socket.socket | None
    known: Callable[[], None]


def receive(caller: Caller, context: ssl.SSLContext) -> None:
    """Carry out one request; a device's connection is carried on where the kernel cannot.

    Raises:
        QvdUsbError: what went wrong, after the client was told as far as it may be told.
    """
    signal.alarm(HEAD_SECONDS)
    tls = _secured(caller.connection, context)
    server = wire.Server(None)
    try:
        request = _request(tls, server)
        der = tls.getpeercert(binary_form=True)
        if der is None:
            _stranger(caller, tls, server, request)
        else:
            _client(caller, tls, server, request, fingerprint_of(der))
    except (ssl.SSLError, ConnectionError, TimeoutError) as error:
        raise QvdUsbError(PEER_GONE) from error
    finally:
        tls.close()


def _secured(connection: socket.socket, context: ssl.SSLContext) -> ssl.SSLSocket:
    """Shake hands; whoever is turned away by that gets to read the alert that says why."""
    plain = connection.dup()
    with plain:
        try:
            tls = context.wrap_socket(connection, server_side=True)
        except (ssl.SSLError, ConnectionError, TimeoutError) as error:
            _linger(plain)
            raise QvdUsbError(SLAVE_PROTOCOL, reason=f"no TLS came about: {error}") from error
    if tls.version() is None:  # it was gone already: nobody shook hands
        tls.close()
        raise QvdUsbError(PEER_GONE)
    return tls


def _request(tls: ssl.SSLSocket, server: wire.Server) -> wire.Request:
    request: wire.Request | None = None
    while request is None:
        request = server.feed(tls.recv(wire.MAX_HEAD + 1))
    if server.excess and not isinstance(request, wire.Refusal):
        return wire.Refusal(status=400, problem=SLAVE_PROTOCOL, reason="it spoke before its turn")
    return request


def _stranger(caller: Caller, tls: ssl.SSLSocket, server: wire.Server, request: wire.Request) -> None:
    """Somebody without a certificate may be paired, while that is wanted, and nothing else."""
    if not isinstance(request, wire.PairRequest):
        _refuse(tls, server, wire.Refusal(status=403, problem=NOT_PAIRED, reason="it has no certificate"))
    ours, theirs = socket.socketpair()
    with ours:
        try:
            with theirs:
                _ask(caller, Introduction(peer=caller.peer).encode(), theirs)
        except QvdUsbError as error:
            _refuse(tls, server, _refusal(error))
        tls.sendall(server.accept())
        caller.known()
        signal.alarm(PAIRING_SECONDS)
        pump(tls, ours)


def _client(caller: Caller, tls: ssl.SSLSocket, server: wire.Server, request: wire.Request, fingerprint: str) -> None:
    if isinstance(request, wire.PairRequest):
        request = wire.Refusal(status=400, problem=SLAVE_PROTOCOL, reason="it is paired already")
    if isinstance(request, wire.Refusal):
        _refuse(tls, server, request)
    way = way_of(tls)
    try:
        _ask(caller, Introduction(peer=caller.peer, fingerprint=fingerprint, way=way).encode())
    except QvdUsbError as error:
        _refuse(tls, server, _refusal(error))
    caller.known()
    match request:
        case wire.UpgradeRequest():
            tls.sendall(server.accept())  # all that is said is said before the device line
            _take_device(caller, tls, way, request.attach_id or str(uuid.uuid4()))
        case wire.AckRequest():
            signal.alarm(request.wait + 2 * ANSWER_SECONDS)
            try:
                progress = _how_far(caller, request)
            except QvdUsbError as error:
                _refuse(tls, server, _refusal(error))
            _answer(tls, server.answer_ack(progress))
        case wire.PingRequest():
            _answer(tls, server.answer_ping(request))


def _take_device(caller: Caller, tls: ssl.SSLSocket, way: Way, attach_id: str) -> None:
    signal.alarm(LINE_SECONDS)
    line = _line(tls)
    signal.alarm(0)
    attach = broker.encode_request(broker.Attach(devid=line.devid, speed=line.speed, attach_id=attach_id))
    if way is Way.KERNEL:
        with take_from_openssl(tls) as connection:
            _ask(caller, attach, connection)
        LOG.info("peer=%s attach=%s the kernel does its TLS", caller.peer, attach_id)
        return
    ours, theirs = socket.socketpair()
    with ours:
        with theirs:
            _ask(caller, attach, theirs)
        if caller.agent is not None:
            caller.agent.close()
        LOG.info("peer=%s attach=%s its TLS is done here", caller.peer, attach_id)
        pump(tls, ours)
    LOG.info("peer=%s attach=%s ended", caller.peer, attach_id)


def _line(tls: ssl.SSLSocket) -> wire.DeviceLine:
    data = b""
    while True:
        came = tls.recv(wire.MAX_DEVICE_LINE - len(data))
        if not came:
            raise QvdUsbError(PEER_GONE)
        data += came
        line = wire.parse_device_line(data)
        if line is not None:
            break
    if len(data) > line.length or tls.pending():
        raise QvdUsbError(SLAVE_PROTOCOL, reason="it spoke before its turn")
    return line


def _how_far(caller: Caller, request: wire.AckRequest) -> Ack:
    status = broker.Status(attach_id=request.attach_id, wait=request.wait)
    try:
        answer = _ask(caller, broker.encode_request(status), wait=request.wait)
    except QvdUsbError as error:
        if error.problem is not DEVICE_GONE:
            raise
        return Ack(state=AckState.GONE, problem=DEVICE_GONE.code)
    if answer.ack is None:
        raise QvdUsbError(AGENT_UNREACHABLE, reason="it says nothing of the device")
    return answer.ack


def _ask(caller: Caller, message: bytes, connection: socket.socket | None = None, wait: int = 0) -> broker.Answer:
    """Ask the agent. Raises: QvdUsbError: agent-unreachable, or the problem that it names."""
    if caller.agent is None:
        raise QvdUsbError(AGENT_UNREACHABLE, reason="it does not run")
    caller.agent.settimeout(wait + ANSWER_SECONDS)
    try:
        send_fd(caller.agent, message, None if connection is None else connection.fileno())
        data = caller.agent.recv(broker.MAX_ANSWER + 1)
    except OSError as error:
        raise QvdUsbError(AGENT_UNREACHABLE, reason=error.strerror or str(error)) from error
    return broker.good_answer(data)


def _refusal(error: QvdUsbError) -> wire.Refusal:
    status = _STATUS_OF.get(error.problem, _OTHER_STATUS)
    return wire.Refusal(status=status, problem=error.problem, reason=str(error))


def _refuse(tls: ssl.SSLSocket, server: wire.Server, refusal: wire.Refusal) -> NoReturn:
    """Say no. Raises: QvdUsbError: the refusal itself."""
    _answer(tls, server.refuse(refusal))
    raise QvdUsbError(refusal.problem, reason=refusal.reason)


def _answer(tls: ssl.SSLSocket, data: bytes) -> None:
    """Say the last word, and let the client read it."""
    signal.alarm(ANSWER_SECONDS)
    tls.sendall(data)
    _linger(tls)


def _linger(connection: socket.socket) -> None:
    """Read on for a moment: closing with unread bytes would tell TCP to throw away what was said last."""
    try:
        connection.shutdown(socket.SHUT_WR)
    except OSError as error:
        if error.errno != errno.ENOTCONN:  # the client was faster
            raise
        return
    end = time.monotonic() + LINGER_SECONDS
    while (left := end - time.monotonic()) > 0:
        connection.settimeout(left)
        try:
            if not connection.recv(1 << 16):
                return
        except (TimeoutError, ConnectionError):
            return
