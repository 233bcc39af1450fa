"""Broker messages go both ways unchanged, and anything that is not exactly one of them is refused."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qvd_usbip import ack, broker, errors
from qvd_usbip.ack import Ack, AckState
from qvd_usbip.broker import Answer, Attach, Detach, Ping, Ready, Request, Status
from tests.unit.qvd_usbip.strategies import devids, hostile_bytes, only, uuids

ID = "12345678-1234-4234-8234-123456789abc"
states = st.sampled_from(AckState)
nodes = st.sampled_from(["bus/usb/007/005", "ttyACM0", "/dev/sdb1", "snd/pcmC1D0p"])
problems = st.sampled_from(["", *errors.PROBLEMS])
acks = st.builds(
    Ack,
    state=states,
    at=st.dictionaries(states, st.integers(0, 9_999_999_999)),
    problem=problems,
    node=st.just("") | nodes,
)
requests = st.one_of(
    st.builds(Attach, devid=devids, speed=st.integers(1, 6), attach_id=uuids),
    st.builds(Detach, attach_id=uuids),
    st.builds(Status, attach_id=uuids, wait=st.integers(0, 30), seen=st.none() | states),
    st.builds(Ready, attach_id=uuids, node=nodes),
    st.builds(Ping),
)
answers = st.builds(
    Answer,
    ok=st.booleans(),
    problem=problems,
    ack=st.none() | acks,
    nodes=st.lists(nodes, max_size=64).map(tuple),
)


@given(requests)
def test_request_round_trip(request: Request) -> None:
    data = broker.encode_request(request)
    assert len(data) <= broker.MAX_MESSAGE
    assert broker.decode_request(data) == request


@given(answers)
def test_answer_round_trip(answer: Answer) -> None:
    data = broker.encode_answer(answer)
    assert len(data) <= broker.MAX_ANSWER
    assert broker.decode_answer(data) == answer


@given(acks)
def test_ack_round_trip(given_ack: Ack) -> None:
    assert ack.decode(given_ack.encode()) == given_ack


def test_a_device_gone_after_a_year_is_still_told() -> None:
    year = 365 * 24 * 3600 * 1000
    assert ack.decode(Ack(state=AckState.GONE, at={AckState.GONE: year}).encode()).state is AckState.GONE


def test_the_words_on_the_wire() -> None:
    assert json.loads(broker.encode_request(Attach(devid=65538, speed=3, attach_id=ID))) == {
        "v": 1,
        "op": "attach",
        "devid": 65538,
        "speed": 3,
        "id": ID,
    }
    assert json.loads(broker.encode_request(Status(attach_id=ID, wait=5, seen=AckState.GRANTED))) == {
        "v": 1,
        "op": "status",
        "id": ID,
        "wait": 5,
        "seen": "granted",
    }
    assert json.loads(broker.encode_answer(Answer(ok=True))) == {"v": 1, "ok": True}
    assert json.loads(Ack(state=AckState.READY, at={AckState.ATTACHED: 3}, node="/dev/x").encode()) == {
        "v": 1,
        "state": "ready",
        "at": {"attached": 3},
        "problem": "",
        "node": "/dev/x",
    }


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"v": 1},
        {"v": 2, "op": "ping"},
        {"v": True, "op": "ping"},
        {"v": 1.0, "op": "ping"},
        {"v": 1, "op": "reboot"},
        {"v": 1, "op": ["ping"]},
        {"v": 1, "op": "ping", "more": 1},
        {"v": 1, "op": "detach"},
        {"v": 1, "op": "detach", "id": "../x"},
        {"v": 1, "op": "detach", "id": ID.upper()},
        {"v": 1, "op": "detach", "id": 7},
        {"v": 1, "op": "attach", "id": ID, "devid": 65538},
        {"v": 1, "op": "attach", "id": ID, "devid": "65538", "speed": 3},
        {"v": 1, "op": "attach", "id": ID, "devid": 2, "speed": 3},
        {"v": 1, "op": "attach", "id": ID, "devid": -1, "speed": 3},
        {"v": 1, "op": "attach", "id": ID, "devid": 65538, "speed": 0},
        {"v": 1, "op": "attach", "id": ID, "devid": 65538, "speed": 7},
        {"v": 1, "op": "attach", "id": ID, "devid": 65538, "speed": True},
        {"v": 1, "op": "attach", "id": ID, "devid": 65538, "speed": 3, "port": 0},
        {"v": 1, "op": "status", "id": ID, "wait": 31},
        {"v": 1, "op": "status", "id": ID, "seen": "happy"},
        {"v": 1, "op": "ready", "id": ID, "node": ""},
        {"v": 1, "op": "ready", "id": ID, "node": "/dev/../etc"},
        {"v": 1, "op": "ready", "id": ID, "node": "/dev/\u202e"},
        {"v": 1, "op": "ready", "id": ID, "node": "/dev/" + "x" * 300},
    ],
)
def test_request_refused(fields: dict[str, object]) -> None:
    assert only(errors.BROKER_PROTOCOL, broker.decode_request, json.dumps(fields).encode()) is None


@pytest.mark.parametrize(
    "data",
    [
        *(b"", b"null", b"[]", b'"x"', b"{", b"\xff", b'{"v":1,"op":"ping"} ' + b" " * 512, b"[" * 500),
        *(b'{"v":1,"v":1,"op":"ping"}', b'{"v":NaN,"op":"ping"}', b'{"v":1e999,"op":"ping"}', b'{"v":1,"op":"ping"}x'),
        b'{"v":' + b"1" * 490 + b"}",
    ],
)
def test_no_object_is_refused(data: bytes) -> None:
    assert only(errors.BROKER_PROTOCOL, broker.decode_request, data) is None
    assert only(errors.BROKER_PROTOCOL, broker.decode_answer, data) is None


def test_deep_nesting_is_no_recursion() -> None:
    assert only(errors.SLAVE_PROTOCOL, ack.decode, b"[" * ack.MAX_BYTES) is None
    assert only(errors.BROKER_PROTOCOL, broker.decode_answer, b'{"v":' * 800) is None


@pytest.mark.parametrize(
    "fields",
    [
        {"v": 1},
        {"v": 1, "ok": 1},
        {"v": 1, "ok": True, "more": 1},
        {"v": 1, "ok": True, "ack": {}},
        {"v": 1, "ok": True, "ack": {"state": "ready", "at": {}, "extra": 1}},
        {"v": 1, "ok": True, "ack": {"state": "ready", "at": {"ready": -1}}},
        {"v": 1, "ok": True, "ack": {"state": "ready", "at": {"happy": 1}}},
        {"v": 1, "ok": True, "ack": {"state": "ready", "at": {}, "node": "\x1b"}},
        {"v": 1, "ok": True, "nodes": "ttyACM0"},
        {"v": 1, "ok": True, "nodes": [1]},
        {"v": 1, "ok": True, "nodes": ["../sda"]},
    ],
)
def test_answer_refused(fields: dict[str, object]) -> None:
    assert only(errors.BROKER_PROTOCOL, broker.decode_answer, json.dumps(fields).encode()) is None


def test_a_newer_servers_ack_may_hold_more() -> None:
    data = json.dumps({"v": 1, "state": "ready", "at": {}, "speed": "fast"}).encode()
    assert ack.decode(data) == Ack(state=AckState.READY)


@given(
    hostile_bytes | requests.map(broker.encode_request).flatmap(lambda data: st.just(data[:-1]) | st.just(data + b"}"))
)
def test_hostile_messages_raise_only_our_error(data: bytes) -> None:
    only(errors.BROKER_PROTOCOL, broker.decode_request, data)
    only(errors.BROKER_PROTOCOL, broker.decode_answer, data)
    only(errors.SLAVE_PROTOCOL, ack.decode, data)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


@given(
    st.dictionaries(
        st.sampled_from(["v", "op", "id", "devid", "speed", "wait", "seen", "node", "ok", "ack", "at"]), json_values
    )
)
def test_hostile_objects_raise_only_our_error(fields: dict[str, object]) -> None:
    for operation in ("attach", "detach", "status", "ready", "ping"):
        data = json.dumps({"v": 1, "op": operation, "id": ID} | fields).encode()
        only(errors.BROKER_PROTOCOL, broker.decode_request, data)
    only(errors.BROKER_PROTOCOL, broker.decode_answer, json.dumps({"v": 1, "ok": True} | fields).encode())


@pytest.mark.parametrize("state", AckState)
def test_what_is_final(state: AckState) -> None:
    assert state.is_final == (state in {"refused", "failed", "gone"})
