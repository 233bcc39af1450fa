"""EFFECT: `qvd-usb pair HOST`: both sides make sure of each other by a code that people compare."""

from __future__ import annotations

import getpass
import json
import os
import secrets
import select
import socket
import ssl
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from client_gui import sessions
from client_gui.session import Session, parse_address
from client_gui.settings import Files
from qvd_usbip.errors import (
    HOST_UNREACHABLE,
    KEYS_UNAVAILABLE,
    PAIRING_CLOSED,
    PAIRING_CODE_WRONG,
    PAIRING_ENDED,
    SLAVE_PROTOCOL,
    SLAVE_SILENT,
    USAGE,
    QvdUsbError,
)
from qvd_usbip.pairing import NONCE_BYTES, ClientSide, fingerprint_of, is_name, name_from, shown, typed
from qvd_usbip.wire import PairClient, Upgraded

if TYPE_CHECKING:
    from client_gui.session import Address

DEFAULT_PORT = 9020
STEP_SECONDS = 10.0
"""How long the host may take for what no person has to answer."""

PERSON_SECONDS = 330.0
"""How long people may take; the host gives up some seconds earlier and says so."""

_CHUNK = 4096


class Person(Protocol):
    """Whoever compares the codes."""

    def asked(self, code: str) -> None:
        """Shows the code and asks whether the host shows it too."""

    def answer(self, connection: ssl.SSLSocket) -> bool | None:
        """Waits for the answer, or (None) until something comes from the host."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Paired:
    """What came of it: which container we may use, how the host calls us, and its certificate."""

    container: str
    client: str
    fingerprint: str


def pair(where: str, name: str | None, *, as_json: bool) -> int:
    """Pairs this user with a host, and stores the session.

    Args:
        where: HOST or HOST:PORT.
        name: what to call the session; None: after container and host.
        as_json: one JSON object a line, instead of sentences.

    Raises:
        QvdUsbError: pairing-…, what is wrong with the address, or what stands in the way.
    """
    address = address_of(where)
    if sys.stdin is None:
        raise QvdUsbError(USAGE, reason="it is asked whether the codes are the same, and there is no standard input")
    files = Files.of_user()
    if name is not None:
        _require_free(files, name, address)
    found = talk(address, identity_folder(files), own_name(), _Terminal(as_json=as_json))
    called = name or name_of(found.container, address)
    session = Session(name=called, address=address, key="", encryption="tls", host_fingerprint=found.fingerprint)
    sessions.save(files, session)
    if as_json:
        said = {"session": called, "container": found.container, "client": found.client}
        print(json.dumps({"v": 1, "event": "paired", **said, "host_fingerprint": found.fingerprint}))
    else:
        print(f"Paired with {found.container} on {address}, where this computer is called {found.client}.")
        print(f"  Share the ticked devices with it: qvd-usb connect {called}")
    return 0


def address_of(where: str) -> Address:
    """Decides which address is meant by HOST, HOST:PORT, [IPv6] or [IPv6]:PORT.

    Raises:
        QvdUsbError: usage, session-malformed.
    """
    has_port = ":" in where.rpartition("]")[2]
    address = parse_address(where if has_port else f"{where}:{DEFAULT_PORT}")
    if address.path:
        raise QvdUsbError(USAGE, reason="a host of the network is paired: HOST or HOST:PORT")
    return address


def name_of(container: str, address: Address) -> str:
    """Decides what a session is called that nobody gave a name: no two containers and hosts have the same."""
    port = "" if address.port == DEFAULT_PORT else f":{address.port}"
    return name_from(f"{container}@{address.host}{port}")


def identity_folder(files: Files) -> Path:
    """Where this user's key and certificate are."""
    return Path(files.own_folder) / "identity"


def own_name() -> str:
    """What to be called by the host: who, and on which computer."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # an account without a name
        user = str(os.geteuid())
    return name_from(f"{user}@{socket.gethostname()}")


def _require_free(files: Files, name: str, address: Address) -> None:
    if not is_name(name):
        raise QvdUsbError(USAGE, reason="a session's name has letters, digits and ._-@: only, the first no mark")
    if name in sessions.names(files) and sessions.load(files, name).address != address:
        raise QvdUsbError(USAGE, reason=f"there is a session {name} with another host; first: qvd-usb forget {name}")


def talk(address: Address, folder: Path, name: str, person: Person) -> Paired:
    """Pairs with the host at this address.

    Args:
        address: where its agent listens.
        folder: of the user's key and certificate; made if it is not there.
        name: what to be called.
        person: who compares the codes.

    Raises:
        QvdUsbError: what stood in the way; nothing is stored on either side then, but our own key.
    """
    certificate = _own_certificate(folder, name)
    try:
        with _connected(address) as connection:
            _upgrade(connection, address)
            side = ClientSide(
                certificate=certificate,
                name=name,
                host_certificate=connection.getpeercert(binary_form=True) or b"",
                nonce=secrets.token_bytes(NONCE_BYTES),
            )
            return _converse(connection, side, person)
    except TimeoutError as error:
        raise QvdUsbError(SLAVE_SILENT, seconds=int(STEP_SECONDS)) from error
    except ConnectionError as error:
        raise QvdUsbError(PAIRING_ENDED, reason="the connection was lost") from error


def _own_certificate(folder: Path, name: str) -> bytes:
    try:
        from qvd_usbip.system.identity import load_or_make  # noqa: PLC0415  # a missing library is a sentence, no traceback
    except ImportError as error:
        raise QvdUsbError(KEYS_UNAVAILABLE, reason=str(error)) from error
    return load_or_make(folder, name).der


def _connected(address: Address) -> ssl.SSLSocket:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # nobody vouches for this host yet: the code will, its certificate is in it
    try:
        plain = socket.create_connection((address.host, address.port), STEP_SECONDS)
    except OSError as error:
        reason = error.strerror or str(error)
        raise QvdUsbError(HOST_UNREACHABLE, address=address, reason=reason) from error
    try:
        return context.wrap_socket(plain)
    except ssl.SSLError as error:
        raise QvdUsbError(SLAVE_PROTOCOL, reason="it does not speak TLS 1.3") from error


def _upgrade(connection: ssl.SSLSocket, address: Address) -> None:
    request = PairClient(str(address).rpartition(":")[0])
    connection.sendall(request.request)
    answer = None
    while answer is None:
        answer = request.feed(connection.recv(_CHUNK))
    if isinstance(answer, Upgraded):
        return
    if answer.problem is PAIRING_CLOSED or answer.status == 403:
        raise QvdUsbError(PAIRING_CLOSED, address=address)
    raise answer.error()


def _converse(connection: ssl.SSLSocket, side: ClientSide, person: Person) -> Paired:
    connection.sendall(side.start())
    while not side.code:
        connection.sendall(side.feed(connection.recv(_CHUNK)))
    person.asked(side.code)
    try:
        _hear_answer(connection, side, person)
        while not side.container:
            side.feed(connection.recv(_CHUNK))
    except TimeoutError as error:
        raise QvdUsbError(PAIRING_ENDED, reason="the host did not confirm it in time") from error
    certificate = connection.getpeercert(binary_form=True) or b""
    return Paired(container=side.container, client=side.name, fingerprint=fingerprint_of(certificate))


def _hear_answer(connection: ssl.SSLSocket, side: ClientSide, person: Person) -> None:
    """Takes the person's answer, unless the host ends it before; from then on the host has its time."""
    deadline = time.monotonic() + PERSON_SECONDS
    said: bool | None = None
    while said is None:
        said = person.answer(connection)
        if said is None:
            _listen(connection, side)
    connection.settimeout(max(0.0, deadline - time.monotonic()))
    if not said:
        connection.sendall(side.refuse())
        raise QvdUsbError(PAIRING_CODE_WRONG)
    connection.sendall(side.confirm())


def _listen(connection: ssl.SSLSocket, side: ClientSide) -> None:
    connection.settimeout(0)
    try:
        side.feed(connection.recv(_CHUNK))
    except (ssl.SSLWantReadError, BlockingIOError):
        return  # a record of TLS's own


class _Terminal:
    """A person at standard input and output, or a program in their place."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._code = ""

    def asked(self, code: str) -> None:
        self._code = code
        if self._as_json:
            print(json.dumps({"v": 1, "event": "code", "code": code}), flush=True)
        else:
            print(f"Does the host show the code  {shown(code)}  too? [y/N] ", end="", flush=True)

    def answer(self, connection: ssl.SSLSocket) -> bool | None:
        ready, _, _ = select.select([sys.stdin, connection], [], [], PERSON_SECONDS)
        if sys.stdin not in ready:
            return None if ready else False
        line = sys.stdin.readline()
        if not line:
            raise QvdUsbError(PAIRING_ENDED, reason="nobody said whether the codes are the same")
        return typed(line).lower() in {"y", "yes", self._code}
