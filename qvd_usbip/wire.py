"""PURE: the slave channel, both ends, without input or output: bytes in, events out, bytes to send.

On h11. Each connection carries one request. What the server says about an upgrade it says before the device line;
after that line the connection belongs to the two kernels, so neither end ever takes or sends a byte beyond it.
Source: QVD's slave channel (POST /usbip with Upgrade: qvd:usbip/1.0); RFC 9112.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING

import h11

from qvd_usbip import ack, errors, ids, json_object
from qvd_usbip.ack import Ack, AckState
from qvd_usbip.device_line import MAX_DEVICE_LINE, DeviceLine, format_device_line, line_end, parse_device_line

if TYPE_CHECKING:
    from collections.abc import Iterable

    from qvd_usbip.errors import Problem

    Headers = Iterable[tuple[bytes, bytes]]

__all__ = [
    "MAX_DEVICE_LINE",
    "MAX_HEAD",
    "MAX_WAIT",
    "Ack",
    "AckClient",
    "AckRequest",
    "AckState",
    "AckUnsupported",
    "DeviceLine",
    "PingClient",
    "PingRequest",
    "Pong",
    "Refusal",
    "Refused",
    "Server",
    "UpgradeClient",
    "UpgradeRequest",
    "Upgraded",
    "format_device_line",
    "head_end",
    "line_end",
    "parse_device_line",
]

MAX_HEAD = 8192
MAX_WAIT = 30
MAX_PING = 1024
UPGRADE = "qvd:usbip/1.0"
PATH = "/usbip"
ACK_PATH = "/usbip/attach/"
PING_PATH = "/usbip/ping"
_ATTACH_ID = "Usbip-Attach-Id"
_PROBLEM = "Usbip-Problem"
_HTTP = b"HTTP/"
_MAX_BODY = max(ack.MAX_BYTES, MAX_PING)

# What a status means where the server gives no problem of its own.
_PROBLEM_OF_STATUS = {401: errors.SLAVE_KEY_MISSING, 403: errors.SLAVE_REFUSED_KEY, 503: errors.SLAVE_LIMIT}
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


def head_end(data: bytes) -> int | None:
    """Where a message's head ends: behind its first empty line, None while that has not come."""
    ends = [at + len(end) for end in (b"\n\r\n", b"\n\n") if (at := data.find(end)) >= 0]
    return min(ends, default=None)


# --- client ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Upgraded:
    """The server waits for the device line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """The server, or what answered in its place, said no. `status` is 0 if it closed without a word."""

    status: int
    problem: Problem
    reason: str = ""

    def error(self) -> errors.QvdUsbError:
        """The same as an error to raise or report."""
        return errors.QvdUsbError(self.problem, reason=self.reason or f"it answered {self.status}")


@dataclass(frozen=True, slots=True, kw_only=True)
class AckUnsupported:
    """An older server, which cannot tell how far the device is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pong:
    """The server's echo."""

    payload: bytes


class _Exchange:
    """One request and its answer, seen from the client."""

    def __init__(self, method: str, target: str, key: str, host: str, extra: tuple[tuple[str, str], ...]) -> None:
        if not key:
            raise errors.QvdUsbError(errors.SLAVE_KEY_MISSING)
        self._connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD)
        headers = [("Host", host), ("Authorization", f"Basic {key}"), *extra]
        try:
            self.request: bytes = self._sent(h11.Request(method=method, target=target, headers=headers))
            self.request += self._sent(h11.EndOfMessage())
        except (h11.LocalProtocolError, UnicodeEncodeError) as error:
            raise errors.QvdUsbError(errors.SESSION_MALFORMED, reason="its key or host has odd characters") from error
        self._status = 0
        self._problem = ""
        self._start = b""
        self._body = b""

    def _sent(self, event: h11.Event) -> bytes:
        return self._connection.send(event) or b""

    def _received(self, data: bytes) -> bytes | Refused | None:
        """The body of a 200, None while it is incomplete; 101 is an empty body. `data` empty: the peer closed."""
        self._start += data[: len(_HTTP) - len(self._start)]
        if not _HTTP.startswith(self._start):  # at once: who speaks another protocol may wait for us to go on
            return Refused(status=0, problem=errors.SLAVE_PROTOCOL, reason="it does not speak HTTP")
        try:
            self._connection.receive_data(data)
            return self._events()
        except h11.RemoteProtocolError as error:
            if not data:
                return Refused(status=self._status, problem=errors.PEER_GONE, reason="it closed the connection")
            return Refused(status=self._status, problem=errors.SLAVE_PROTOCOL, reason=str(error))

    def _events(self) -> bytes | Refused | None:
        while True:
            event = self._connection.next_event()
            match event:
                case h11.InformationalResponse(status_code=101):
                    self._status = 101
                    return b""
                case h11.Response():
                    self._status = event.status_code
                    self._problem = _header(event.headers, _PROBLEM) or ""
                case h11.Data():
                    self._body += bytes(event.data)
                    if len(self._body) > _MAX_BODY:
                        return Refused(status=self._status, problem=errors.SLAVE_PROTOCOL, reason="it talks too much")
                case h11.EndOfMessage():
                    return self._body if self._status == 200 else self._refused()
                case h11.ConnectionClosed():
                    return Refused(status=0, problem=errors.PEER_GONE, reason="it closed the connection")
                case h11.NEED_DATA | h11.PAUSED:
                    return None

    def _refused(self) -> Refused:
        named = errors.PROBLEMS.get(self._problem)
        by_status = _PROBLEM_OF_STATUS.get(self._status, errors.SLAVE_PROTOCOL)
        return Refused(status=self._status, problem=named or by_status, reason=f"it answered {self._status}")


class UpgradeClient(_Exchange):
    """Asks the server to take a device: send `request`, feed what comes until it is an answer, send the device line."""

    def __init__(self, key: str, attach_id: str, host: str = "localhost") -> None:
        """Args: key as the session has it; attach_id: a UUID that names this attach, for AckClient."""
        extra = (("Connection", "Upgrade"), ("Upgrade", UPGRADE), (_ATTACH_ID, attach_id))
        super().__init__("POST", PATH, key, host, extra)

    def feed(self, data: bytes) -> Upgraded | Refused | None:
        """Take received bytes (empty: the peer closed); None while the answer is incomplete."""
        body = self._received(data)
        if not isinstance(body, bytes):
            return body
        if self._status != 101:
            return Refused(status=self._status, problem=errors.SLAVE_PROTOCOL, reason="it answered without upgrading")
        if self._connection.trailing_data[0]:
            return Refused(status=101, problem=errors.SLAVE_PROTOCOL, reason="it spoke before the device line")
        return Upgraded()


class AckClient(_Exchange):
    """Asks how far a device is; the server answers at once, or within `wait` seconds as soon as something changes."""

    def __init__(self, key: str, attach_id: str, wait: int = 0, host: str = "localhost") -> None:
        """Args: wait: seconds, at most 30."""
        super().__init__("GET", f"{ACK_PATH}{attach_id}?wait={wait}", key, host, (("Connection", "close"),))

    def feed(self, data: bytes) -> Ack | AckUnsupported | Refused | None:
        """Take received bytes (empty: the peer closed); None while the answer is incomplete."""
        body = self._received(data)
        if isinstance(body, Refused) and body.status == 404:
            return AckUnsupported()
        if not isinstance(body, bytes):
            return body
        try:
            return ack.decode(body)
        except errors.QvdUsbError as error:
            return Refused(status=self._status, problem=error.problem, reason=error.context.get("reason", ""))


class PingClient(_Exchange):
    """Asks for an echo, for the time there and back."""

    def __init__(self, key: str, payload: str = "", host: str = "localhost") -> None:
        """Args: payload: at most 1024 letters and digits."""
        super().__init__("GET", f"{PING_PATH}?{payload}", key, host, (("Connection", "close"),))

    def feed(self, data: bytes) -> Pong | AckUnsupported | Refused | None:
        """Take received bytes (empty: the peer closed); None while the answer is incomplete."""
        body = self._received(data)
        if isinstance(body, Refused) and body.status == 404:
            return AckUnsupported()
        return Pong(payload=body) if isinstance(body, bytes) else body


# --- server ---------------------------------------------------------------------------------------------------------


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
class Refusal:
    """The request is refused: answer with Server.refuse and close; nothing follows."""

    status: int
    problem: Problem
    reason: str


class Server:
    """The server's side of one connection: feed the head, then send the bytes of one answer."""

    def __init__(self, key: str) -> None:
        """Args: key as it stands in the image's file. Raises: QvdUsbError slave-key-missing if it is empty."""
        if not key:
            raise errors.QvdUsbError(errors.SLAVE_KEY_MISSING)
        self._key = key.encode("utf-8", "surrogateescape")
        self._connection = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD)
        self._head = b""
        self.excess = b""

    def feed(self, data: bytes) -> UpgradeRequest | AckRequest | PingRequest | Refusal | None:
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

    def _judge(self) -> UpgradeRequest | AckRequest | PingRequest | Refusal:
        try:
            self._connection.receive_data(_with_host(self._head))
            request = self._connection.next_event()
        except h11.RemoteProtocolError as error:
            return _refusal(400, str(error))
        if not isinstance(request, h11.Request) or request.http_version != b"1.1":
            return _refusal(400, "it is no request of HTTP/1.1")
        return self._key_refusal(request) or self._body_refusal(request) or _routed(request)

    def _key_refusal(self, request: h11.Request) -> Refusal | None:
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
        length = _header(request.headers, "Content-Length")
        if length not in (None, "0") or _header(request.headers, "Transfer-Encoding") is not None:
            return _refusal(400, "it has a body")
        try:
            self._connection.next_event()
        except h11.RemoteProtocolError as error:
            return _refusal(400, str(error))
        return None

    def accept(self) -> bytes:
        """Say yes to an UpgradeRequest; then comes the device line, and no word more from here."""
        # Without headers, byte for byte what QVD's own server says.
        return self._bytes(h11.InformationalResponse(status_code=101, headers=[], reason=_REASONS[101]))

    def refuse(self, refusal: Refusal) -> bytes:
        """Say no, with the problem's code for clients that know it; close afterwards."""
        extra = [("WWW-Authenticate", 'Basic realm="QVD"')] if refusal.status == 401 else []
        return self._answer(refusal.status, b"", [*extra, (_PROBLEM, refusal.problem.code)])

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


def _routed(request: h11.Request) -> UpgradeRequest | AckRequest | PingRequest | Refusal:
    path, _, query = request.target.decode("ascii", "replace").partition("?")
    if request.method == b"POST" and path == PATH:
        return _upgrade(request)
    if request.method == b"GET" and path.startswith(ACK_PATH):
        return _ack_request(path.removeprefix(ACK_PATH), query)
    if request.method == b"GET" and path == PING_PATH:
        return PingRequest(payload=query[:MAX_PING].encode("ascii", "replace"))
    return _refusal(404, "there is nothing at this place")


def _upgrade(request: h11.Request) -> UpgradeRequest | Refusal:
    options = [word.strip().lower() for word in (_header(request.headers, "Connection") or "").split(",")]
    if "upgrade" not in options or _header(request.headers, "Upgrade") != UPGRADE:
        return _refusal(400, f"it does not ask for {UPGRADE}")
    attach_id = _header(request.headers, _ATTACH_ID) or ""
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


def _header(headers: Headers, name: str) -> str | None:
    wanted = name.lower().encode("ascii")
    values = [value.decode("latin-1") for key, value in headers if key == wanted]
    return ", ".join(values) if values else None


def _refusal(status: int, reason: str) -> Refusal:
    return Refusal(status=status, problem=errors.SLAVE_PROTOCOL, reason=reason)
