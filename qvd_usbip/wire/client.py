"""PURE: the client's end of the slave channel: requests to send, answers to feed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import h11

from qvd_usbip import ack, errors
from qvd_usbip.wire.words import (
    ACK_PATH,
    ATTACH_ID,
    MAX_BODY,
    MAX_HEAD,
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

Headers = tuple[tuple[str, str], ...]

_HTTP = b"HTTP/"
# What a status means where the server gives no problem of its own.
_PROBLEM_OF_STATUS = {401: errors.SLAVE_KEY_MISSING, 403: errors.SLAVE_REFUSED_KEY, 503: errors.SLAVE_LIMIT}


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

    def __init__(self, method: str, target: str, key: str | None, host: str, extra: Headers) -> None:
        if key is not None and not key:
            raise errors.QvdUsbError(errors.SLAVE_KEY_MISSING)
        self._connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD)
        known = () if key is None else (("Authorization", f"Basic {key}"),)
        headers = [("Host", host), *known, *extra]
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
                case h11.InformationalResponse():
                    continue  # it has not decided yet
                case h11.Response():
                    self._status = event.status_code
                    self._problem = header(event.headers, PROBLEM) or ""
                case h11.Data() if len(self._body) + len(event.data) > MAX_BODY:
                    return Refused(status=self._status, problem=errors.SLAVE_PROTOCOL, reason="it talks too much")
                case h11.Data():
                    self._body += bytes(event.data)
                case h11.EndOfMessage():
                    return self._body if self._status == 200 else self._refused()
                case _:  # there is no more for now
                    return None

    def _refused(self) -> Refused:
        named = errors.PROBLEMS.get(self._problem)
        by_status = _PROBLEM_OF_STATUS.get(self._status, errors.SLAVE_PROTOCOL)
        return Refused(status=self._status, problem=named or by_status, reason=f"it answered {self._status}")


class _UpgradeExchange(_Exchange):
    """Asks the server to speak another protocol on this connection, in which we have the first word."""

    def feed(self, data: bytes) -> Upgraded | Refused | None:
        """Take received bytes (empty: the peer closed); None while the answer is incomplete."""
        body = self._received(data)
        if not isinstance(body, bytes):
            return body
        if self._status != 101:
            return Refused(status=self._status, problem=errors.SLAVE_PROTOCOL, reason="it answered without upgrading")
        if self._connection.trailing_data[0]:
            return Refused(status=101, problem=errors.SLAVE_PROTOCOL, reason="it spoke before its turn")
        return Upgraded()


class UpgradeClient(_UpgradeExchange):
    """Asks the server to take a device: send `request`, feed what comes until it is an answer, send the device line."""

    def __init__(self, key: str | None, attach_id: str, host: str = "localhost") -> None:
        """Args: key as the session has it, None where it has none; attach_id: a UUID that names this attach."""
        extra = (("Connection", "Upgrade"), ("Upgrade", UPGRADE), (ATTACH_ID, attach_id))
        super().__init__("POST", PATH, key, host, extra)


class PairClient(_UpgradeExchange):
    """Asks a host to be paired with it; what is spoken then is in qvd_usbip/pairing.py."""

    def __init__(self, host: str = "localhost") -> None:
        super().__init__("POST", PAIR_PATH, None, host, (("Connection", "Upgrade"), ("Upgrade", PAIR_UPGRADE)))


class AckClient(_Exchange):
    """Asks how far a device is; the server answers at once, or within `wait` seconds as soon as something changes."""

    def __init__(self, key: str | None, attach_id: str, wait: int = 0, host: str = "localhost") -> None:
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

    def __init__(self, key: str | None, payload: str = "", host: str = "localhost") -> None:
        """Args: payload: at most 1024 letters and digits."""
        super().__init__("GET", f"{PING_PATH}?{payload}", key, host, (("Connection", "close"),))

    def feed(self, data: bytes) -> Pong | AckUnsupported | Refused | None:
        """Take received bytes (empty: the peer closed); None while the answer is incomplete."""
        body = self._received(data)
        if isinstance(body, Refused) and body.status == 404:
            return AckUnsupported()
        return Pong(payload=body) if isinstance(body, bytes) else body
