"""The slave channel: each end understands the other however the bytes are split, and nothing follows a refusal."""

from __future__ import annotations

import hmac
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qvd_usbip import errors, wire
from qvd_usbip.errors import QvdUsbError
from qvd_usbip.wire import Ack, AckClient, AckState, PairClient, PingClient, Server, UpgradeClient
from qvd_usbip.wire.words import MAX_BODY
from tests.unit.qvd_usbip.strategies import hostile_bytes, hostile_text, keys, uuids

if TYPE_CHECKING:
    from collections.abc import Iterable

    from qvd_usbip.errors import Problem

ID = "12345678-1234-4234-8234-123456789abc"
# As QVD's own client says it: no Host.
OLD = b"POST /usbip HTTP/1.1\r\nAuthorization: Basic k3y\r\nConnection: Upgrade\r\nUpgrade: qvd:usbip/1.0\r\n\r\n"
CLIENTS = (UpgradeClient("k3y", ID), AckClient("k3y", ID), PingClient("k3y"))
REFUSALS = {
    "no key": (OLD.replace(b"Authorization: Basic k3y\r\n", b""), 401, errors.SLAVE_KEY_MISSING),
    "wrong key": (OLD.replace(b"k3y", b"k3"), 403, errors.SLAVE_REFUSED_KEY),
    "longer key": (OLD.replace(b"k3y", b"k3y1"), 403, errors.SLAVE_REFUSED_KEY),
    "empty key": (OLD.replace(b"k3y", b""), 403, errors.SLAVE_REFUSED_KEY),
    "key not as it stands": (OLD.replace(b"k3y", b"azN5"), 403, errors.SLAVE_REFUSED_KEY),
    "other scheme": (OLD.replace(b"Basic", b"Bearer"), 403, errors.SLAVE_REFUSED_KEY),
    "two keys": (
        OLD.replace(b"Connection:", b"Authorization: Basic k3y\r\nConnection:"),
        403,
        errors.SLAVE_REFUSED_KEY,
    ),
    "no upgrade": (OLD.replace(b"Upgrade: qvd:usbip/1.0\r\n", b""), 400, errors.SLAVE_PROTOCOL),
    "other upgrade": (OLD.replace(b"qvd:usbip/1.0", b"websocket"), 400, errors.SLAVE_PROTOCOL),
    "no connection header": (OLD.replace(b"Connection: Upgrade\r\n", b""), 400, errors.SLAVE_PROTOCOL),
    "body": (OLD.replace(b"Connection:", b"Content-Length: 3\r\nConnection:"), 400, errors.SLAVE_PROTOCOL),
    "chunked": (OLD.replace(b"Connection:", b"Transfer-Encoding: chunked\r\nConnection:"), 400, errors.SLAVE_PROTOCOL),
    "attach id": (OLD.replace(b"Connection:", b"Usbip-Attach-Id: ../x\r\nConnection:"), 400, errors.SLAVE_PROTOCOL),
    "two hosts": (OLD.replace(b"Connection:", b"Host: a\r\nHost: b\r\nConnection:"), 400, errors.SLAVE_PROTOCOL),
    "other path": (OLD.replace(b"/usbip", b"/vma"), 404, errors.SLAVE_PROTOCOL),
    "GET of the upgrade": (OLD.replace(b"POST", b"GET"), 404, errors.SLAVE_PROTOCOL),
    "POST of an ack": (
        OLD.replace(b"/usbip HTTP", b"/usbip/attach/" + ID.encode() + b" HTTP"),
        404,
        errors.SLAVE_PROTOCOL,
    ),
    "ack of no uuid": (AckClient("k3y", ID).request.replace(ID.encode(), b"%2e%2e"), 404, errors.SLAVE_PROTOCOL),
    "ack with an odd wait": (AckClient("k3y", ID).request.replace(b"wait=0", b"wait=-1"), 404, errors.SLAVE_PROTOCOL),
    "ack with another query": (AckClient("k3y", ID).request.replace(b"wait=0", b"7"), 404, errors.SLAVE_PROTOCOL),
    "no HTTP": (b"\x16\x03\x01 hello\r\n\r\n", 400, errors.SLAVE_PROTOCOL),
    "HTTP/1.0": (OLD.replace(b"HTTP/1.1", b"HTTP/1.0"), 400, errors.SLAVE_PROTOCOL),
    "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\n", 400, errors.SLAVE_PROTOCOL),
    "empty lines": (b"\r\n\r\n\r\n", 400, errors.SLAVE_PROTOCOL),
}


def pieces(data: bytes, cuts: Iterable[int]) -> list[bytes]:
    """The data cut at these places, without empty pieces: an empty piece means that the peer closed."""
    places = [0, *sorted({cut % (len(data) + 1) for cut in cuts}), len(data)]
    return [piece for start, end in pairwise(places) if (piece := data[start:end])]


def fed(end: Server | UpgradeClient | AckClient | PingClient, parts: Iterable[bytes]) -> object:
    """The first event that comes out; every byte before must give none."""
    for part in parts:
        event = end.feed(part)
        if event is not None:
            return event
    return None


cuts = st.lists(st.integers(0, 500), max_size=8)


@given(keys, uuids, cuts, cuts)
def test_upgrade(key: str, attach_id: str, there: list[int], back: list[int]) -> None:
    client, server = UpgradeClient(key, attach_id, "10.9.1.11:11100"), Server(key)
    assert fed(server, pieces(client.request, there)) == wire.UpgradeRequest(attach_id=attach_id)
    assert server.excess == b""
    assert fed(client, pieces(server.accept(), back)) == wire.Upgraded()


def test_upgrade_byte_by_byte() -> None:
    client, server = UpgradeClient("k3y", ID), Server("k3y")
    assert [server.feed(bytes((byte,))) for byte in client.request[:-1]] == [None] * (len(client.request) - 1)
    assert server.feed(client.request[-1:]) == wire.UpgradeRequest(attach_id=ID)
    answer = server.accept()
    assert [client.feed(bytes((byte,))) for byte in answer[:-1]] == [None] * (len(answer) - 1)
    assert client.feed(answer[-1:]) == wire.Upgraded()


def test_the_bytes_of_the_contract() -> None:
    server = Server("k3y")
    assert server.feed(OLD) == wire.UpgradeRequest(attach_id="")
    assert server.accept() == b"HTTP/1.1 101 Switching Protocols\r\n\r\n"


def test_our_request_is_the_contracts_with_two_headers_more() -> None:
    lines = UpgradeClient("k3y", ID).request.split(b"\r\n")
    assert set(OLD.split(b"\r\n")) == set(lines) - {b"Host: localhost", b"Usbip-Attach-Id: " + ID.encode()}
    assert lines[0] == b"POST /usbip HTTP/1.1"


def test_an_old_server_with_headers_is_understood() -> None:
    answer = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: qvd:usbip/1.0\r\n\r\n"
    assert UpgradeClient("k3y", ID).feed(answer) == wire.Upgraded()


@given(st.binary(max_size=80), cuts)
def test_what_follows_the_head_is_left_alone(after: bytes, there: list[int]) -> None:
    server = Server("k3y")
    parts = pieces(OLD + after, there)
    fed(server, parts)
    taken = server.excess
    assert after.startswith(taken)
    assert wire.head_end(OLD + after) == len(OLD)


@pytest.mark.parametrize("name", REFUSALS)
@given(there=cuts)
def test_refusal(name: str, there: list[int]) -> None:
    request, status, problem = REFUSALS[name]
    server = Server("k3y")
    refusal = fed(server, pieces(request, there))
    assert isinstance(refusal, wire.Refusal)
    assert (refusal.status, refusal.problem) == (status, problem)


@pytest.mark.parametrize("name", REFUSALS)
def test_nothing_follows_a_refusal(name: str) -> None:
    request, status, problem = REFUSALS[name]
    server = Server("k3y")
    refusal = server.feed(request)
    assert isinstance(refusal, wire.Refusal)
    answer = server.refuse(refusal)
    head, end, rest = answer.partition(b"\r\n\r\n")
    assert (end, rest) == (b"\r\n\r\n", b"")
    assert head.startswith(f"HTTP/1.1 {status} ".encode())
    assert b"Content-Length: 0" in head
    assert b"Connection: close" in head
    assert (b'WWW-Authenticate: Basic realm="QVD"' in head) == (status == 401)
    assert UpgradeClient("k3y", ID).feed(answer) == wire.Refused(
        status=status, problem=problem, reason=f"it answered {status}"
    )


@pytest.mark.parametrize("size", [wire.MAX_HEAD - 1, wire.MAX_HEAD, wire.MAX_HEAD + 1, 100_000])
def test_the_head_has_a_limit(size: int) -> None:
    filling = b"X-Filling: " + b"x" * (size - len(OLD) - len(b"X-Filling: \r\n")) + b"\r\n"
    request = OLD.replace(b"Connection:", filling + b"Connection:")
    assert len(request) == size
    event = Server("k3y").feed(request)
    assert isinstance(event, wire.Refusal if size > wire.MAX_HEAD else wire.UpgradeRequest)


def test_a_head_without_end_is_refused_at_the_limit() -> None:
    server = Server("k3y")
    assert server.feed(b"x" * wire.MAX_HEAD) is None
    refusal = server.feed(b"x")
    assert isinstance(refusal, wire.Refusal)
    assert server.refuse(refusal).startswith(b"HTTP/1.1 431 ")


def test_a_peer_that_closes_in_its_head() -> None:
    server = Server("k3y")
    server.feed(OLD[:20])
    refusal = server.feed(b"")
    assert isinstance(refusal, wire.Refusal)
    assert refusal.problem is errors.PEER_GONE


def test_keys_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[bytes, bytes]] = []

    def noted(given_key: bytes, own_key: bytes) -> bool:
        compared.append((given_key, own_key))
        return given_key == own_key

    monkeypatch.setattr(hmac, "compare_digest", noted)
    Server("k3y").feed(OLD)
    Server("other").feed(OLD)
    assert compared == [(b"k3y", b"k3y"), (b"k3y", b"other")]


def test_an_empty_key_never_serves_nor_asks() -> None:
    for make in (lambda: Server(""), lambda: UpgradeClient("", ID), lambda: AckClient("", ID)):
        with pytest.raises(QvdUsbError) as caught:
            make()
        assert caught.value.problem is errors.SLAVE_KEY_MISSING


@given(hostile_text)
def test_a_hostile_key_or_host_cannot_add_a_header(text: str) -> None:
    for key, host in ((text, "localhost"), ("k3y", text)):
        try:
            request = UpgradeClient(key, ID, host).request
        except QvdUsbError:
            continue
        assert request.count(b"\r\n") == UpgradeClient("k3y", ID).request.count(b"\r\n")


@given(hostile_bytes, cuts)
def test_hostile_requests_give_an_answer_or_wait(data: bytes, there: list[int]) -> None:
    for request in (data, data + b"\r\n\r\n", OLD[:-2] + data + b"\r\n\r\n"):
        server = Server("k3y")
        event = fed(server, pieces(request, there))
        if isinstance(event, wire.Refusal):
            assert server.refuse(event)


@given(hostile_bytes, cuts)
def test_hostile_answers_give_an_event_or_wait(data: bytes, back: list[int]) -> None:
    for answer in (
        data,
        data + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n" + data,
        b"HTTP/1.1 101 \r\n" + data + b"\r\n\r\n",
    ):
        for client in (UpgradeClient("k3y", ID), AckClient("k3y", ID), PingClient("k3y")):
            fed(client, [*pieces(answer, back), b""])


def test_a_server_that_speaks_before_the_device_line_is_refused() -> None:
    answer = Server("k3y")
    answer.feed(OLD)
    refused = UpgradeClient("k3y", ID).feed(answer.accept() + b"\0")
    assert isinstance(refused, wire.Refused)
    assert refused.problem is errors.SLAVE_PROTOCOL


@pytest.mark.parametrize(
    ("answer", "status", "problem"),
    [
        (b"", 0, errors.PEER_GONE),
        (b"HTTP/1.1 101 Swi", 0, errors.PEER_GONE),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", 200, errors.PEER_GONE),
        (b"HTTP/1.1 403 Forbidden\r\n\r\n", 403, errors.SLAVE_REFUSED_KEY),
        (b'HTTP/1.1 401 No\r\nWWW-Authenticate: Basic realm="QVD"\r\n\r\n', 401, errors.SLAVE_KEY_MISSING),
        (b"HTTP/1.1 400 Bad\r\n\r\n", 400, errors.SLAVE_PROTOCOL),
        (b"HTTP/1.1 503 Busy\r\n\r\n", 503, errors.SLAVE_LIMIT),
        (b"HTTP/1.1 403 No\r\nUsbip-Problem: broker-missing\r\n\r\n", 403, errors.BROKER_MISSING),
        (b"HTTP/1.1 403 No\r\nUsbip-Problem: never-heard\r\n\r\n", 403, errors.SLAVE_REFUSED_KEY),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK", 200, errors.SLAVE_PROTOCOL),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 5000, 200, errors.SLAVE_PROTOCOL),
        (b"HTTQ", 0, errors.SLAVE_PROTOCOL),
        (b"SSH-2.0-OpenSSH\r\n", 0, errors.SLAVE_PROTOCOL),
        (b"X: " + b"x" * 20_000, 0, errors.SLAVE_PROTOCOL),
    ],
)
def test_refused(answer: bytes, status: int, problem: Problem) -> None:
    refused = fed(UpgradeClient("k3y", ID), [part for part in (answer,) if part] + [b""])
    assert isinstance(refused, wire.Refused)
    assert (refused.status, refused.problem) == (status, problem)
    assert str(refused.error())


def test_who_talks_without_end_is_refused_before_the_end() -> None:
    client = PingClient("k3y")
    assert client.feed(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * MAX_BODY) is None
    refused = client.feed(b"x")
    assert isinstance(refused, wire.Refused)
    assert refused.problem is errors.SLAVE_PROTOCOL


def test_who_speaks_another_protocol_is_refused_at_once() -> None:
    refused = UpgradeClient("k3y", ID).feed(b"SS")
    assert isinstance(refused, wire.Refused)
    assert refused.problem is errors.SLAVE_PROTOCOL


def test_a_client_that_asks_to_be_paired_gives_no_key_and_has_the_first_word() -> None:
    request = PairClient("host.example").request
    assert request.startswith(b"POST /usbip/pair HTTP/1.1\r\n")
    assert b"Upgrade: qvd:pair/1.0\r\n" in request
    assert b"authorization" not in request.lower()
    switched = b"HTTP/1.1 101 Switching Protocols\r\n\r\n"
    assert PairClient().feed(switched) == wire.Upgraded()
    assert isinstance(PairClient().feed(switched + b"{"), wire.Refused)


def test_only_a_server_that_knows_clients_by_their_connection_pairs_them() -> None:
    asked = PairClient().request
    assert Server(None).feed(asked) == wire.PairRequest()
    refused = Server("k3y").feed(asked.replace(b"Connection:", b"Authorization: Basic k3y\r\nConnection:"))
    assert isinstance(refused, wire.Refusal)
    assert refused.status == 404
    odd = Server(None).feed(asked.replace(b"qvd:pair/1.0", b"qvd:usbip/1.0"))
    assert isinstance(odd, wire.Refusal)
    assert odd.status == 400


def test_a_server_that_knows_clients_by_their_connection_asks_for_no_key() -> None:
    assert Server(None).feed(UpgradeClient(None, ID).request) == wire.UpgradeRequest(attach_id=ID)


def test_an_answer_that_says_only_that_it_is_coming_is_not_the_answer() -> None:
    interim = b"HTTP/1.1 100 Continue\r\n\r\n"
    client = UpgradeClient("k3y", ID)
    assert client.feed(interim) is None
    assert client.feed(interim + b"HTTP/1.1 101 Switching Protocols\r\n\r\n") == wire.Upgraded()


def test_a_host_that_waits_for_no_client_says_so() -> None:
    answer = b"HTTP/1.1 403 Forbidden\r\nUsbip-Problem: pairing-closed\r\nContent-Length: 0\r\n\r\n"
    refused = PairClient().feed(answer)
    assert isinstance(refused, wire.Refused)
    assert refused.problem is errors.PAIRING_CLOSED


@given(keys, uuids, st.integers(0, 99), cuts, cuts)
def test_ack(key: str, attach_id: str, wait: int, there: list[int], back: list[int]) -> None:
    client, server = AckClient(key, attach_id, wait), Server(key)
    assert fed(server, pieces(client.request, there)) == wire.AckRequest(attach_id=attach_id, wait=min(wait, 30))
    state = Ack(state=AckState.READY, at={AckState.ATTACHED: 12, AckState.READY: 340}, node="/dev/ttyACM0")
    assert fed(client, pieces(server.answer_ack(state), back)) == state


@pytest.mark.parametrize("close", [False, True])
def test_an_old_server_knows_no_ack(close: bool) -> None:
    answer = (
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\n\r\nnot found" if not close else b"HTTP/1.0 404 No\r\n\r\nx"
    )
    parts = [answer, b""] if close else [answer]
    assert fed(AckClient("k3y", ID), parts) == wire.AckUnsupported()
    assert fed(PingClient("k3y"), parts) == wire.AckUnsupported()


def test_an_ack_that_is_none_is_refused() -> None:
    refused = AckClient("k3y", ID).feed(b'HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n{"v":2}')
    assert isinstance(refused, wire.Refused)
    assert refused.problem is errors.SLAVE_PROTOCOL


@given(st.text(alphabet="abcXYZ019", max_size=1100), cuts)
def test_ping(payload: str, back: list[int]) -> None:
    client, server = PingClient("k3y", payload), Server("k3y")
    request = server.feed(client.request)
    assert isinstance(request, wire.PingRequest)
    assert fed(client, pieces(server.answer_ping(request), back)) == wire.Pong(payload=payload[:1024].encode())
