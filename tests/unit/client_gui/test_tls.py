"""The client's end of an encrypted session: who is trusted, what is sent before, and what the kernel gets."""

from __future__ import annotations

import selectors
import socket
import ssl
import time
import uuid
from typing import TYPE_CHECKING

import pytest

from client_gui import channel, relay, tls
from client_gui.channel import Acknowledgement, Echo, Probe, Upgrade
from client_gui.dial import candidates_without_lookup
from client_gui.session import Session, parse_address, view_of
from client_gui.troubles import Fault
from qvd_usbip.ack import Ack, AckState
from qvd_usbip.encryption import Way
from qvd_usbip.system.identity import Identity, load_or_make
from qvd_usbip.system.tls import take_from_openssl, way_of
from tests.unit.server_agent.porter_at_work import PATIENCE, House

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ATTACH_ID = str(uuid.UUID(int=9))


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    (tmp_path / "host").mkdir()
    house = House(tmp_path / "host")
    yield house
    house.close()


@pytest.fixture
def client(tmp_path: Path, house: House, monkeypatch: pytest.MonkeyPatch) -> Iterator[Identity]:
    found = load_or_make(tmp_path / "client", "client")
    house.pair(found)
    monkeypatch.setattr(tls.own_files, "__defaults__", (tmp_path / "client",))
    monkeypatch.setattr(channel.KERNEL, "serves", True)
    yield found
    for process in relay._running:
        process.wait(PATIENCE)


def session(house: House, fingerprint: str = "") -> Session:
    address = parse_address(f"127.0.0.1:{house.port}")
    pin = fingerprint or house.identity.fingerprint
    return Session(name="s", address=address, key="", encryption="tls", host_fingerprint=pin)


def outcome(talk: Upgrade | Probe | Acknowledgement) -> object:
    """Advances as the engine does."""
    end = time.monotonic() + PATIENCE
    while (found := talk.advance()) is None:
        assert time.monotonic() < end
        with selectors.DefaultSelector() as selector:
            selector.register(talk.descriptor, talk.interest)
            selector.select(1.0)
    talk.close()
    return found


def upgrade(of: Session) -> Upgrade:
    return Upgrade(of, candidates_without_lookup(of.address) or [], ATTACH_ID)


def test_a_device_goes_to_the_paired_host_through_what_the_kernel_can_be_given(house: House, client: Identity) -> None:
    talk = upgrade(session(house))
    connection = outcome(talk)
    assert isinstance(connection, socket.socket)
    assert not isinstance(connection, ssl.SSLSocket), "the kernel would write readable bytes into OpenSSL's"
    assert talk.way is (Way.RELAY if connection.family == socket.AF_UNIX else Way.KERNEL)
    with connection, house.device_after(connection, b"65538 3\n") as near:
        near.settimeout(PATIENCE)
        connection.setblocking(True)
        near.sendall(b"from the host")
        assert connection.recv(100) == b"from the host"
        connection.sendall(b"from the client")
        assert near.recv(100) == b"from the client"
        connection.shutdown(socket.SHUT_RDWR)
        assert near.recv(1) == b""


def test_another_host_hears_no_word_of_ours(house: House, client: Identity) -> None:
    for talk in (upgrade(session(house, "0" * 64)), Probe(session(house, "0" * 64), [(2, ("127.0.0.1", house.port))])):
        found = outcome(talk)
        assert isinstance(found, Fault)
        assert found.code == "host-changed"
    house.until_quiet()
    said = house.close()
    assert house.introductions == []
    assert "peer-gone" in said or "slave-protocol" in said


def test_a_host_that_forgot_this_computer_is_named_as_the_reason(house: House, client: Identity) -> None:
    for record in (house.folder / "clients").iterdir():
        record.unlink()
    found = outcome(Probe(session(house), [(2, ("127.0.0.1", house.port))]))
    assert isinstance(found, Fault)
    assert found.code == "not-paired"


def test_a_computer_without_a_key_says_so(house: House, client: Identity, tmp_path: Path) -> None:
    (tmp_path / "client/key.pem").unlink()
    found = outcome(upgrade(session(house)))
    assert isinstance(found, Fault)
    assert found.code == "encryption-failed"


def test_echo_and_acknowledgement_come_back(house: House, client: Identity) -> None:
    there = [(2, ("127.0.0.1", house.port))]
    assert isinstance(outcome(Probe(session(house), list(there))), Echo)
    answer = outcome(Acknowledgement(session(house), list(there), ATTACH_ID, 1))
    assert answer == Ack(state=AckState.ATTACHED)


def test_what_openssl_has_is_never_handed_over(house: House, client: Identity) -> None:
    connection = house.dial(client)
    with connection:
        if way_of(connection) is Way.KERNEL:
            connection.sendall(b"GET /usbip/ping?x HTTP/1.1\r\n\r\n")
            connection.recv(1)
            with pytest.raises(Exception, match="before its turn"):
                take_from_openssl(connection)
        else:
            with pytest.raises(ValueError, match="OpenSSL"):
                take_from_openssl(connection)


@pytest.mark.parametrize(("way", "words"), [(None, "encrypted"), *((way, f"by the {way}") for way in (Way.KERNEL,))])
def test_the_session_says_who_encrypts(way: Way | None, words: str) -> None:
    shown = view_of(
        Session(name="s", address=parse_address("10.0.0.1:9"), key="-", encryption="tls"), connected=True, way=way
    )
    assert words in shown.text
    assert shown.way == ("" if way is None else str(way))
