"""PURE: the server's end of the slave channel: requests to feed, answers to send."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING

import h11

from qvd_usbip import errors, ids, json_object
from qvd_usbip.boundaries import head_end
from qvd_usbip.wire.words import (
    ACK_PATH,
    ATTACH_ID,
    MAX_HEAD,
    MAX_PING,
    MAX_WAIT,
    PAIR_PATH,
    PAIR_UPGRADE,
    PATH,
    PING_PATH,
    PROBLEM,
    UPGRADE,
    header,
)

if TYPE_CHECKING:
    from qvd_usbip.ack import Ack
    from qvd_usbip.errors import Problem

_REASONS = {
    101: b"Switching Protocols",
    200: b"OK",
    400: b"Bad Request",
    401: b"Unauthorized",
    403: b"Forbidden",
    404: b"Not Found",
    431: b"Request Header Fields Too Large",
    503: b"Service Unavailable",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class UpgradeRequest:
    """A client with the right key wants to send a device. `attach_id` is "" from an older client."""

    attach_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AckRequest:
    """A client with the right key asks how far this attach is, and waits up to `wait` seconds for a change."""

    attach_id: str
    wait: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PingRequest:
    """A client with the right key wants this back."""

    payload: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class PairRequest:
    """A client that nobody knows yet wants to be paired with this host."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """The request is refused: answer with Server.refuse and close; nothing follows."""

    status: int
    problem: Problem
    reason: str


Request = UpgradeRequest | AckRequest | PingRequest | PairRequest | Refusal


class Server:
    """The server's side of one connection: feed the head, then send the bytes of one answer."""

    def __init__(self, key: str | None) -> None:
        """Args: key as it stands in the image's file; None where the connection itself says who the client is.

        Raises: QvdUsbError slave-key-missing if it is empty.
        """
        if key is not None and not key:
            raise errors.QvdUsbError(errors.SLAVE_KEY_MISSING)
        self._key = None if key is None else key.encode("utf-8", "surrogateescape")
        self._connection = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD)
        self._head = b""
        self.excess = b""

    def feed(self, data: bytes) -> Request | None:
        """Take received bytes (empty: the peer closed); None while the head is incomplete.

        Bytes behind the head are in `excess`; who reads with system.sockets.read_head never has any.
        """
        self._head += data
        end = head_end(self._head)
        if end is None and data and len(self._head) <= MAX_HEAD:
            return None
        if end is None and not data:
            return Refusal(status=400, problem=errors.PEER_GONE, reason="it closed before its request was complete")
        if end is None or end > MAX_HEAD:
            return _refusal(431, f"the head is longer than {MAX_HEAD} bytes")
        self._head, self.excess = self._head[:end], self._head[end:]
        return self._judge()

    def _judge(self) -> Request:
        try:
            self._connection.receive_data(_with_host(self._head))
            request = self._connection.next_event()
        except h11.RemoteProtocolError as error:
            return _refusal(400, str(error))
        if not isinstance(request, h11.Request) or request.http_version != b"1.1":
            return _refusal(400, "it is no request of HTTP/1.1")
        refusal = self._key_refusal(request) or self._body_refusal(request)
        return refusal or _routed(request, pairs=self._key is None)

    def _key_refusal(self, request: h11.Request) -> Refusal | None:
        if self._key is None:
            return None
        given = [value for name, value in request.headers if name == b"authorization"]
        if not given:
            return Refusal(status=401, problem=errors.SLAVE_KEY_MISSING, reason="it gave no key")
        scheme, _, key = given[0].partition(b" ")
        same = hmac.compare_digest(key.strip(), self._key)
        if len(given) > 1 or scheme.lower() != b"basic" or not same:
            return Refusal(status=403, problem=errors.SLAVE_REFUSED_KEY, reason="its key is wrong")
        return None

    def _body_refusal(self, request: h11.Request) -> Refusal | None:
        # A body would stand where the device line belongs.
        length = header(request.headers, "Content-Length")
        if length not in (None, "0") or header(request.headers, "Transfer-Encoding") is not None:
            return _refusal(400, "it has a body")
        try:
            self._connection.next_event()
        except h11.RemoteProtocolError as error:
            return _refusal(400, str(error))
        return None

    def accept(self) -> bytes:
        """Say yes to an UpgradeRequest; then comes the device line, and no word more from here. Or to a PairRequest."""
        # Without headers, byte for byte what QVD's own server says.
        return self._bytes(h11.InformationalResponse(status_code=101, headers=[], reason=_REASONS[101]))

    def refuse(self, refusal: Refusal) -> bytes:
        """Say no, with the problem's code for clients that know it; close afterwards."""
        extra = [("WWW-Authenticate", 'Basic realm="QVD"')] if refusal.status == 401 else []
        return self._answer(refusal.status, b"", [*extra, (PROBLEM, refusal.problem.code)])

    def answer_ack(self, state: Ack) -> bytes:
        """Answer an AckRequest; close afterwards."""
        return self._answer(200, state.encode(), [("Content-Type", "application/json")])

    def answer_ping(self, request: PingRequest) -> bytes:
        """Answer a PingRequest; close afterwards."""
        return self._answer(200, request.payload, [("Content-Type", "application/octet-stream")])

    def _answer(self, status: int, body: bytes, headers: list[tuple[str, str]]) -> bytes:
        complete = [*headers, ("Content-Length", str(len(body))), ("Connection", "close")]
        head = self._bytes(h11.Response(status_code=status, headers=complete, reason=_REASONS.get(status, b"")))
        return head + self._bytes(h11.Data(data=body)) + self._bytes(h11.EndOfMessage())

    def _bytes(self, event: h11.Event) -> bytes:
        return self._connection.send(event) or b""


def _routed(request: h11.Request, *, pairs: bool) -> Request:
    path, _, query = request.target.decode("ascii", "replace").partition("?")
    if pairs and request.method == b"POST" and path == PAIR_PATH:
        return _asks_for(request, PAIR_UPGRADE) or PairRequest()
    if request.method == b"POST" and path == PATH:
        return _upgrade(request)
    if request.method == b"GET" and path.startswith(ACK_PATH):
        return _ack_request(path.removeprefix(ACK_PATH), query)
    if request.method == b"GET" and path == PING_PATH:
        return PingRequest(payload=query[:MAX_PING].encode("ascii", "replace"))
    return _refusal(404, "there is nothing at this place")


def _asks_for(request: h11.Request, protocol: str) -> Refusal | None:
    options = [word.strip().lower() for word in (header(request.headers, "Connection") or "").split(",")]
    if "upgrade" not in options or header(request.headers, "Upgrade") != protocol:
        return _refusal(400, f"it does not ask for {protocol}")
    return None


def _upgrade(request: h11.Request) -> UpgradeRequest | Refusal:
    refusal = _asks_for(request, UPGRADE)
    if refusal is not None:
        return refusal
    attach_id = header(request.headers, ATTACH_ID) or ""
    if attach_id and not json_object.is_uuid(attach_id):
        return _refusal(400, "its attach id is no UUID")
    return UpgradeRequest(attach_id=attach_id)


def _ack_request(attach_id: str, query: str) -> AckRequest | Refusal:
    wait = ids.decimal(query.removeprefix("wait="), 9999) if query else 0
    if not json_object.is_uuid(attach_id) or wait is None or (query and not query.startswith("wait=")):
        return _refusal(404, "there is no such attach")
    return AckRequest(attach_id=attach_id, wait=min(wait, MAX_WAIT))


def _with_host(head: bytes) -> bytes:
    """The head with a Host line: QVD's clients leave it out, h11 insists on it as HTTP/1.1 does."""
    first, newline, rest = head.partition(b"\n")
    if any(line.lower().startswith(b"host:") for line in rest.split(b"\n")):
        return head
    return first + newline + b"Host: localhost\r\n" + rest


def _refusal(status: int, reason: str) -> Refusal:
    return Refusal(status=status, problem=errors.SLAVE_PROTOCOL, reason=reason)
