"""The endpoint's door, over loopback: who gets in, what is said to the others, and that nobody can hold it shut."""

from __future__ import annotations

import contextlib
import os
import resource
import socket
import ssl
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from qvd_usbip import broker, wire
from qvd_usbip.errors import NOT_PAIRED, PAIRING_CLOSED, SLAVE_LIMIT
from qvd_usbip.system.identity import Identity, load_or_make
from server_agent import doorstep, paired, porter
from tests.unit.server_agent.porter_at_work import PATIENCE, House, everything

if TYPE_CHECKING:
    from collections.abc import Iterator

UPGRADE = b"POST /usbip HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: qvd:usbip/1.0\r\n\r\n"
ACCEPTED = b"HTTP/1.1 101 Switching Protocols\r\n\r\n"
ATTACH_ID = str(uuid.UUID(int=7))


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    house = House(tmp_path)
    yield house
    house.close()


@pytest.fixture
def client(tmp_path: Path, house: House) -> Identity:
    found = load_or_make(tmp_path / "client", "client")
    house.pair(found)
    return found


def upgraded(house: House, client: Identity) -> ssl.SSLSocket:
    connection = house.dial(client)
    connection.sendall(UPGRADE)
    assert connection.recv(4096) == ACCEPTED
    return connection


def refused(connection: ssl.SSLSocket, head: bytes) -> bytes:
    """The answer to a head that is refused; nothing follows it."""
    connection.sendall(head)
    said, _, body = everything(connection).partition(b"\r\n\r\n")
    assert body == b""
    return said.split(b"\r\n")[0].removeprefix(b"HTTP/1.1 ")[:3]


def test_a_paired_clients_device_goes_to_the_agent_and_its_bytes_go_both_ways(house: House, client: Identity) -> None:
    with upgraded(house, client) as far:
        far.sendall(b"65538 3\n")
        with house.device() as near:
            assert house.introductions[-1].fingerprint == client.fingerprint
            assert house.introductions[-1].peer.startswith("127.0.0.1:")
            (attach,) = house.requests
            assert isinstance(attach, broker.Attach)
            assert (attach.devid, attach.speed) == (65538, 3)
            near.settimeout(PATIENCE)
            near.sendall(b"first" * 50_000)
            assert read(far, 250_000) == b"first" * 50_000
            far.sendall(b"second" * 50_000)
            assert read(near, 300_000) == b"second" * 50_000


def read(connection: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        came = connection.recv(count - len(data))
        assert came, f"ended after {len(data)} bytes"
        data += came
    return data


@pytest.mark.parametrize("first", ["far", "near"])
def test_the_relay_ends_when_either_end_does(house: House, client: Identity, first: str) -> None:
    far = upgraded(house, client)
    far.sendall(b"65538 3\n")
    near = house.device()
    near.settimeout(PATIENCE)
    ended, other = (far, near) if first == "far" else (near, far)
    ended.sendall(b"last words")
    time.sleep(0.1)
    ended.close()
    assert read(other, 10) == b"last words"
    assert other.recv(1) == b""
    other.close()
    house.until_quiet()


def until(holds: object) -> None:
    end = time.monotonic() + PATIENCE
    while not holds():  # type: ignore[operator]
        assert time.monotonic() < end
        time.sleep(0.02)


def test_half_a_record_and_a_wrong_tag_end_the_relay_without_a_byte_of_it(house: House, client: Identity) -> None:
    for broken in (b"\x17\x03\x03\x00\x64half", b"\x17\x03\x03\x00\x20" + bytes(32)):
        far = upgraded(house, client)
        far.sendall(b"65538 3\n")
        with house.device() as near, socket.socket(fileno=far.detach()) as raw:
            near.settimeout(PATIENCE)
            raw.sendall(broken)
            raw.shutdown(socket.SHUT_WR)
            assert near.recv(100) == b""


def test_whoever_has_no_certificate_is_refused_whatever_it_asks_for(house: House, client: Identity) -> None:
    house.problem = PAIRING_CLOSED.code
    pair = b"POST /usbip/pair HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: qvd:pair/1.0\r\n\r\n"
    for head in (UPGRADE, b"GET /usbip/ping?x HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", pair):
        with house.dial(None) as connection:
            assert refused(connection, head) == b"403"
    assert all(not met.fingerprint for met in house.introductions)
    assert len(house.introductions) == 1, "only who wants to be paired is shown to the agent"


def test_a_stranger_who_may_be_paired_talks_to_the_agent(house: House, client: Identity) -> None:
    with house.dial(None) as stranger:
        stranger.sendall(b"POST /usbip/pair HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: qvd:pair/1.0\r\n\r\n")
        assert stranger.recv(4096) == ACCEPTED
        with house.device() as desk:
            desk.settimeout(PATIENCE)
            stranger.sendall(b"commit")
            assert desk.recv(100) == b"commit"
            desk.sendall(b"nonce")
            assert stranger.recv(100) == b"nonce"


def test_an_unknown_certificate_gets_no_answer(house: House, client: Identity, tmp_path: Path) -> None:
    other = load_or_make(tmp_path / "other", "client")
    is_shut_to(house, other)
    assert house.introductions == []


def is_shut_to(house: House, client: Identity) -> None:
    """Its certificate is refused: the first word that it hears is that."""
    connection = house.dial(client)
    with connection, pytest.raises(ssl.SSLError, match="alert"):
        connection.recv(1)


def test_a_client_that_was_removed_is_out_at_once(house: House, client: Identity) -> None:
    upgraded(house, client).close()
    paired.remove(house.folder / "clients", "client")
    is_shut_to(house, client)


def test_whoever_is_removed_within_one_tick_of_the_kernels_clock_is_out_too(house: House, client: Identity) -> None:
    clients = house.folder / "clients"
    trust = porter.Trust(house.folder, clients)
    before = trust.context()
    assert before.cert_store_stats()["x509"] == 1
    assert trust.context() is before, "nothing changed"
    time_of_it = clients.stat().st_mtime_ns
    paired.remove(clients, "client")
    os.utime(clients, ns=(time_of_it, time_of_it))
    assert trust.context().cert_store_stats()["x509"] == 0


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", b"404"),
        (b"POST /usbip HTTP/1.1\r\n\r\n", b"400"),
        (b"nonsense\r\n\r\n", b"400"),
        (b"GET /usbip/ping HTTP/1.1\r\nX: " + b"x" * wire.MAX_HEAD + b"\r\n\r\n", b"431"),
        (UPGRADE + b"65538 3\n", b"400"),
        (b"POST /usbip HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", b"400"),
    ],
)
def test_a_hostile_head_is_refused_and_nothing_follows(
    house: House, client: Identity, head: bytes, status: bytes
) -> None:
    with house.dial(client) as connection:
        assert refused(connection, head) == status
    assert house.requests == []


@pytest.mark.parametrize("line", [b"x\n", b"65538 9\n", b"6" * 64, b"65538 3\nmore"])
def test_a_device_line_that_is_none_reaches_nobody(house: House, client: Identity, line: bytes) -> None:
    with upgraded(house, client) as connection:
        connection.sendall(line)
        assert everything(connection) == b""
    assert house.requests == []


def test_what_the_agent_refuses_the_client_is_told(house: House, client: Identity) -> None:
    for problem, status in ((NOT_PAIRED, b"403"), (SLAVE_LIMIT, b"503")):
        house.problem = problem.code
        with house.dial(client) as connection:
            connection.sendall(UPGRADE)
            said = everything(connection)
        assert said[9:12] == status
        assert f"Usbip-Problem: {problem.code}".encode().lower() in said.lower()


def test_ping_and_acknowledgement_are_answered(house: House, client: Identity) -> None:
    with house.dial(client) as connection:
        connection.sendall(b"GET /usbip/ping?hello HTTP/1.1\r\n\r\n")
        assert everything(connection).endswith(b"\r\n\r\nhello")
    with house.dial(client) as connection:
        connection.sendall(f"GET /usbip/attach/{ATTACH_ID}?wait=3 HTTP/1.1\r\n\r\n".encode())
        assert b'"state":"attached"' in everything(connection).replace(b" ", b"")
    assert house.requests == [broker.Status(attach_id=ATTACH_ID, wait=3)]


def test_who_asks_how_far_its_device_is_is_answered_also_where_the_agent_cannot_say(
    house: House, client: Identity
) -> None:
    house.status_problem = SLAVE_LIMIT.code
    with house.dial(client) as connection:
        connection.sendall(f"GET /usbip/attach/{ATTACH_ID} HTTP/1.1\r\n\r\n".encode())
        said = everything(connection).lower()
    assert said.startswith(b"http/1.1 503 ")
    assert f"usbip-problem: {SLAVE_LIMIT.code}".encode() in said


def test_who_speaks_no_tls_is_hung_up_on(house: House, client: Identity) -> None:
    with socket.create_connection(("127.0.0.1", house.port), PATIENCE) as plain:
        plain.sendall(UPGRADE)
        with contextlib.suppress(ConnectionResetError):
            while data := plain.recv(4096):
                assert b"HTTP" not in data
    older = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    older.check_hostname, older.verify_mode = False, ssl.CERT_NONE
    older.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(ssl.SSLError), socket.create_connection(("127.0.0.1", house.port), PATIENCE) as plain:
        older.wrap_socket(plain)
    assert house.introductions == []


def test_the_silent_cannot_keep_others_out(house: House, client: Identity) -> None:
    silent = [socket.create_connection(("127.0.0.1", house.port), PATIENCE) for _ in range(porter.OF_ONE_ADDRESS)]
    until(lambda: house.processes() == porter.OF_ONE_ADDRESS)
    with pytest.raises((ConnectionError, ssl.SSLError)):
        house.dial(client)
    silent.pop().close()
    until(lambda: house.processes() < porter.OF_ONE_ADDRESS)
    upgraded(house, client).close()
    for connection in silent:
        connection.close()


@pytest.mark.deep
def test_who_says_nothing_is_left_after_the_deadline(house: House, client: Identity) -> None:
    began = time.monotonic()
    with socket.create_connection(("127.0.0.1", house.port), 2 * doorstep.HEAD_SECONDS) as plain:
        assert plain.recv(1) == b""
    with upgraded(house, client) as connection:
        connection.settimeout(2 * doorstep.LINE_SECONDS)
        assert everything(connection) == b""
    assert time.monotonic() - began < 3 * doorstep.HEAD_SECONDS


@pytest.mark.parametrize("left", range(5))
def test_with_no_descriptor_left_it_lives_on_and_serves_whoever_comes_later(
    house: House, client: Identity, left: int
) -> None:
    upgraded(house, client).close()
    house.until_quiet()
    pid = house.porter.pid
    limits = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    highest = max(int(each.name) for each in Path(f"/proc/{pid}/fd").iterdir())
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (highest + 1 + left, limits[1]))
    with socket.create_connection(("127.0.0.1", house.port)) as unserved, contextlib.suppress(OSError):
        unserved.settimeout(0.5)  # it is hung up on, or nobody takes it
        unserved.recv(1)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)
    upgraded(house, client).close()
    assert house.porter.poll() is None
