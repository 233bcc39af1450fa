"""EFFECT: the slave channel seen from the client: asks for the upgrade, and on a second connection how far it is.

Nothing here waits: `advance` goes on as far as it can, and says by `descriptor` and `interest` what to wait for.
"""

from __future__ import annotations

import os
import selectors
import socket
import ssl
import time
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from client_gui import relay
from client_gui.dial import Dial
from client_gui.tls import Handshake, broken
from client_gui.troubles import Fault, fault_of
from qvd_usbip.encryption import Way
from qvd_usbip.errors import PEER_GONE, SLAVE_UNREACHABLE, QvdUsbError
from qvd_usbip.system.tls import take_from_openssl, way_of
from qvd_usbip.wire import Ack, AckClient, AckUnsupported, PingClient, Pong, Refused, UpgradeClient, Upgraded

if TYPE_CHECKING:
    from client_gui.dial import Candidate
    from client_gui.session import Session

READ_SIZE = 4096

Heard = TypeVar("Heard")
Heard_co = TypeVar("Heard_co", covariant=True)


class Exchange(Protocol[Heard_co]):
    """One request and the reading of its answer, as `qvd_usbip.wire` has them."""

    request: bytes

    def feed(self, data: bytes) -> Heard_co | Refused | None:
        """Takes received bytes; None while the answer is incomplete."""


class _Kernel:
    """Whether this computer's kernel does TLS, as far as it is known: the first connection finds out."""

    serves = True


KERNEL = _Kernel()


class _Conversation(Generic[Heard]):
    """One connection: dialled, one request sent, one answer read."""

    for_kernel = False
    """Whether the connection goes to the kernel afterwards, which takes none of OpenSSL's."""

    def __init__(self, session: Session, candidates: list[Candidate], exchange: Exchange[Heard]) -> None:
        self._session = session
        self._candidates = candidates
        self._exchange = exchange
        self._dial = Dial(session.address, candidates)
        self._handshake: Handshake | None = None
        self._socket: socket.socket | None = None
        self.way: Way | None = None
        self._unsent = b""
        self.sent = 0.0

    @property
    def descriptor(self) -> int:
        """The socket to wait for, or -1."""
        shaking = None if self._handshake is None else self._handshake.connection
        waiting = self._socket or shaking or self._dial.socket
        return -1 if waiting is None else waiting.fileno()

    @property
    def interest(self) -> int:
        """What to wait for, as a mask of `selectors`."""
        if self._handshake is not None:
            return self._handshake.interest
        return selectors.EVENT_WRITE if self._socket is None or self._unsent else selectors.EVENT_READ

    def close(self) -> None:
        """Gives up."""
        self._dial.close()
        if self._handshake is not None:
            self._handshake.connection.close()
            self._handshake = None
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _converse(self) -> Heard | Fault | None:
        """Goes on; the answer, a fault, or None while it is not over."""
        try:
            if self._socket is None:
                connected = self._connected()
                if not isinstance(connected, socket.socket):
                    return connected
                self._socket = connected
                self._unsent = self._exchange.request
                self.sent = time.monotonic()
            return self._talk(self._socket)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return None
        except QvdUsbError as error:
            return fault_of(error)
        except ssl.SSLError as error:
            return fault_of(broken(error, self._session.address))
        except OSError as error:
            reason = os.strerror(error.errno or 0)
            return fault_of(QvdUsbError(SLAVE_UNREACHABLE, address=self._session.address, reason=reason))

    def _connected(self) -> socket.socket | Fault | None:
        """Goes on with dialling and shaking hands: what the request may be sent into, or None while it is not over."""
        if self._handshake is None:
            dialled = self._dial.finish()
            if dialled is not True:
                return dialled or None
            connection = self._dial.take()
            if self._session.encryption == "none":
                return connection
            if self.for_kernel and not KERNEL.serves:
                self.way = Way.RELAY
                return relay.start(connection, self._session)
            self._handshake = Handshake(connection, self._session)
        secured = self._handshake.advance()
        if secured is None:
            return None
        self._handshake = None
        self.way = way_of(secured)
        if self.for_kernel and self.way is Way.RELAY:  # too late for this one: a relay shakes hands itself
            KERNEL.serves = False
            secured.close()
            self._dial = Dial(self._session.address, self._candidates)
            return self._connected()
        return secured

    def _talk(self, connection: socket.socket) -> Heard | Fault | None:
        while self._unsent:
            self._unsent = self._unsent[connection.send(self._unsent) :]
        while True:
            data = connection.recv(READ_SIZE)
            heard = self._exchange.feed(data)
            if isinstance(heard, Refused):
                return _fault_of_refusal(heard)
            if heard is not None:
                return heard
            if not data:
                return fault_of(QvdUsbError(PEER_GONE))


def _fault_of_refusal(refused: Refused) -> Fault:
    return fault_of(refused.error())


def _host_of(session: Session) -> str:
    return "localhost" if session.address.path else str(session.address)


class Upgrade(_Conversation[Upgraded]):
    """Asks the other end to take a device; what comes of it is the connection, ready to be handed to the kernel."""

    for_kernel = True

    def __init__(self, session: Session, candidates: list[Candidate], attach_id: str) -> None:
        super().__init__(session, candidates, UpgradeClient(session.key or None, attach_id, _host_of(session)))

    def advance(self) -> socket.socket | Fault | None:
        """Goes on: the upgraded connection, why there is none, or None while it is not over."""
        heard = self._converse()
        if not isinstance(heard, Upgraded):
            return heard
        connection, self._socket = self._socket, None
        if not isinstance(connection, ssl.SSLSocket):
            return connection
        try:
            return take_from_openssl(connection)
        except QvdUsbError as error:
            connection.close()
            return fault_of(error)


class Absent:
    """The other end is an older one that cannot say how far the device is."""


class Acknowledgement(_Conversation[Ack | AckUnsupported]):
    """Asks once how far the device is."""

    def __init__(self, session: Session, candidates: list[Candidate], attach_id: str, wait: int) -> None:
        super().__init__(session, candidates, AckClient(session.key or None, attach_id, wait, _host_of(session)))
        self.asked = time.monotonic()

    def advance(self) -> Ack | Absent | Fault | None:
        """Goes on: the answer, why there is none, or None while it is not over."""
        heard = self._converse()
        return Absent() if isinstance(heard, AckUnsupported) else heard


class Echo:
    """Somebody is there who takes our key; `round_trip` in seconds, None for an older peer that echoes nothing."""

    def __init__(self, round_trip: float | None) -> None:
        self.round_trip = round_trip


class Probe(_Conversation[Pong | AckUnsupported]):
    """Asks once for an echo."""

    def __init__(self, session: Session, candidates: list[Candidate]) -> None:
        super().__init__(session, candidates, PingClient(session.key or None, "here", _host_of(session)))

    def advance(self) -> Echo | Fault | None:
        """Goes on: the echo, why there is none, or None while it is not over."""
        heard = self._converse()
        if heard is None or isinstance(heard, Fault):
            return heard
        return Echo(time.monotonic() - self.sent if isinstance(heard, Pong) else None)
