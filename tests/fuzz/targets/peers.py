"""What the other machine says: the slave channel in both directions, acknowledgements, pairing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from qvd_usbip import ack, broker, errors, json_object, pairing, wire
from qvd_usbip.system import identity
from tests.fuzz.target import chosen, target

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

KEY = "c2VjcmV0"
_SHORT = 600  # our own words for it are longer, and bounded too
ATTACH_ID = "0b2f7f2e-4c1d-4a53-9c3e-0d6a1f0c9b11"
_HOST_CERTIFICATE, _CLIENT_CERTIFICATE = b"host", b"client"
_HOST_NONCE, _CLIENT_NONCE = b"h" * pairing.NONCE_BYTES, b"c" * pairing.NONCE_BYTES


class _Exchange(Protocol):
    def feed(self, data: bytes) -> Any:
        """Takes received bytes."""


def _fed(exchange: _Exchange, chunks: list[bytes]) -> Any:
    """The first answer to the chunks; the peer hangs up behind them."""
    for chunk in filter(None, chunks):
        found = exchange.feed(chunk)
        if found is not None:
            return found
    return exchange.feed(b"")


def _halved(which: int, data: bytes) -> list[bytes]:
    return [data[:which], data[which:]]


@target(errors.SLAVE_PROTOCOL)
def device_line(data: bytes) -> Iterator[None]:
    found = wire.parse_device_line(data)
    yield
    if found is None:
        assert b"\n" not in data
        assert len(data) < wire.MAX_DEVICE_LINE
    else:
        assert wire.format_device_line(found.devid, found.speed) == data[: found.length]


@target(errors.SLAVE_PROTOCOL)
def acknowledgement(data: bytes) -> Iterator[None]:
    found = ack.decode(data)
    yield
    assert ack.decode(found.encode()) == found


@target()
def channel_server(data: bytes) -> Iterator[None]:
    which, rest = chosen(data)
    key = None if which % 2 else KEY
    server = wire.Server(key)
    request = _fed(server, [rest])
    yield
    assert len(server.excess) <= len(rest)
    pieced = wire.Server(key)
    assert _fed(pieced, _halved(which, rest)) == request or wire.head_end(rest[:which]) is not None
    if isinstance(request, wire.Refusal):
        answer = server.refuse(request)
        assert answer.startswith(b"HTTP/1.1 %d " % request.status)
        assert answer.endswith(b"\r\n\r\n")
    elif isinstance(request, wire.AckRequest):
        assert json_object.is_uuid(request.attach_id)
        assert 0 <= request.wait <= wire.MAX_WAIT
        assert server.answer_ack(ack.Ack(state=ack.AckState.READY)).endswith(b"}")
    elif isinstance(request, wire.PingRequest):
        assert server.answer_ping(request).endswith(request.payload)
    else:
        assert server.accept().startswith(b"HTTP/1.1 101 ")
        assert which % 2 or isinstance(request, wire.UpgradeRequest)


def _client(make: Callable[[], _Exchange], data: bytes) -> Iterator[None]:
    """An answer means the same in however many pieces it comes; a refusal may say why in other words."""
    which, rest = chosen(data)
    found = _fed(make(), [rest])
    yield
    pieced = _fed(make(), _halved(which, rest))
    assert found is not None
    if isinstance(found, wire.Refused):
        assert printable_error(found)
        assert isinstance(pieced, wire.Refused | wire.Upgraded)
    elif not isinstance(found, wire.AckUnsupported):
        assert pieced == found


def printable_error(refused: wire.Refused) -> bool:
    """Whether it can be told in one line."""
    return "\n" not in str(refused.error())


@target()
def channel_upgrade(data: bytes) -> Iterator[None]:
    return _client(lambda: wire.UpgradeClient(KEY, ATTACH_ID), data)


@target()
def channel_pair(data: bytes) -> Iterator[None]:
    return _client(wire.PairClient, data)


@target()
def channel_ack(data: bytes) -> Iterator[None]:
    return _client(lambda: wire.AckClient(KEY, ATTACH_ID), data)


@target()
def channel_ping(data: bytes) -> Iterator[None]:
    return _client(lambda: wire.PingClient(KEY, "x"), data)


@target(errors.BROKER_PROTOCOL)
def broker_request(data: bytes) -> Iterator[None]:
    found = broker.decode_request(data)
    yield
    assert broker.decode_request(broker.encode_request(found)) == found


@target(errors.BROKER_PROTOCOL)
def broker_answer(data: bytes) -> Iterator[None]:
    found = broker.decode_answer(data)
    yield
    if len(data) < _SHORT:
        assert broker.decode_answer(broker.encode_answer(found)) == found


@target(errors.QvdUsbError)
def broker_yes(data: bytes) -> Iterator[None]:
    found = broker.good_answer(data)
    yield
    assert found.ok


@target(errors.PAIRING_PROTOCOL, errors.PAIRING_ENDED, errors.PAIRING_CODE_WRONG)
def pairing_host(data: bytes) -> Iterator[None]:
    """The first byte says how far the client came as it should before it says this."""
    stage, rest = chosen(data)
    client, host = _sides()
    said = [client.start()]
    said.append(client.feed(host.feed(said[0])))
    fresh = pairing.HostSide(certificate=_HOST_CERTIFICATE, nonce=_HOST_NONCE)
    for line in said[: stage % 3]:
        fresh.feed(line)
    answer = fresh.feed(rest)
    yield
    assert not fresh.confirmed or fresh.code
    assert not fresh.code or (fresh.committed and pairing.is_name(fresh.name))
    assert len(answer) <= 2 * pairing.LINE_LIMIT


@target(errors.PAIRING_PROTOCOL, errors.PAIRING_ENDED, errors.PAIRING_CODE_WRONG)
def pairing_client(data: bytes) -> Iterator[None]:
    """The first byte says how far the host came as it should before it says this."""
    stage, rest = chosen(data)
    client, host = _sides()
    revealed = host.feed(client.start())
    if stage % 3:
        client.feed(revealed)
    if stage % 3 == 2:
        client.confirm()
    client.feed(rest)
    yield
    assert not client.container or (client.code and pairing.is_name(client.container) and pairing.is_name(client.name))
    assert not client.container or stage % 3 == 2


def _sides() -> tuple[pairing.ClientSide, pairing.HostSide]:
    client = pairing.ClientSide(
        certificate=_CLIENT_CERTIFICATE, name="desk", host_certificate=_HOST_CERTIFICATE, nonce=_CLIENT_NONCE
    )
    return client, pairing.HostSide(certificate=_HOST_CERTIFICATE, nonce=_HOST_NONCE)


@target()
def pairing_name(data: bytes) -> Iterator[None]:
    text = data.decode("utf-8", "surrogateescape")
    found = pairing.name_from(text)
    yield
    assert pairing.is_name(found)
    assert not pairing.is_name(text) or found == text
    assert pairing.name_from(found) == found


@target(errors.PAIRING_PROTOCOL)
def stranger_certificate(data: bytes) -> Iterator[None]:
    identity.require_certificate(data)
    yield
    assert len(pairing.fingerprint_of(data)) == 64
