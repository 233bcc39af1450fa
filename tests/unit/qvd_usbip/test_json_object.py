"""One small JSON object of a peer: ours read back as they were written, and any bytes are an object or refused."""

import contextlib
import json
from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from qvd_usbip import json_object
from qvd_usbip.errors import BROKER_PROTOCOL, QvdUsbError
from qvd_usbip.json_object import JsonObject

LIMIT = 4096
KEYS = st.text(min_size=1, max_size=12)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=6,
)
READERS: tuple[Callable[[JsonObject, str], object], ...] = (
    JsonObject.text, JsonObject.number, JsonObject.truth, JsonObject.texts, JsonObject.nested,
)  # fmt: skip


def parse(data: bytes) -> JsonObject:
    return json_object.parse(data, LIMIT, BROKER_PROTOCOL)


@given(st.dictionaries(KEYS, st.text(max_size=40) | st.integers(0, 9_999_999_999) | st.booleans(), max_size=6))
def test_what_was_written_reads_back(fields: dict[str, str | int | bool]) -> None:
    read = parse(json_object.write(fields, LIMIT))
    assert read.names() == tuple(fields)
    readers: dict[type, Callable[[str], object]] = {str: read.text, bool: read.truth, int: read.number}
    for key, value in fields.items():
        assert readers[type(value)](key) == value
    read.only(fields)


@given(st.binary(max_size=200) | VALUES.map(lambda value: json.dumps(value).encode()))
@example(b'{"a":1,"a":2}')
@example(b'{"a":NaN}')
@example(b"[" * 3000)
@example(b'{"a":' * 700)
@example(b'{"a":' + b"9" * 4000 + b"}")
@example(b"\xff{}")
@example(b"[]")
def test_any_bytes_are_an_object_or_refused(data: bytes) -> None:
    with contextlib.suppress(QvdUsbError):
        read = parse(data)
        assert set(json.loads(data)) == set(read.names())


@given(st.dictionaries(KEYS, VALUES, max_size=4), KEYS)
def test_each_reader_gives_its_own_type_or_refuses_with_the_same_problem(fields: dict[str, object], key: str) -> None:
    read = JsonObject(fields, BROKER_PROTOCOL)
    for reader, kinds in zip(READERS, (str, int, bool, tuple, JsonObject), strict=True):
        try:
            found = reader(read, key)
        except QvdUsbError as error:
            assert error.problem is BROKER_PROTOCOL  # noqa: PT017 (the other half of the property)
        else:
            assert isinstance(found, kinds)
            assert key in fields or found == ()


@pytest.mark.parametrize("value", [-1, 11, True, 1.0, "1", None])
def test_a_number_is_whole_and_within_its_limit(value: object) -> None:
    with pytest.raises(QvdUsbError, match="no number up to 10"):
        JsonObject({"n": value}, BROKER_PROTOCOL).number("n", 10)


def test_what_is_too_long_is_refused_before_it_is_read() -> None:
    with pytest.raises(QvdUsbError, match="longer than 4096 bytes"):
        parse(b"{" + b" " * LIMIT + b"}")


@given(st.uuids().map(str), st.text(max_size=40))
def test_a_uuid_is_known_by_its_shape(uuid: str, other: str) -> None:
    assert json_object.is_uuid(uuid)
    assert json_object.is_uuid(uuid.upper()) == (uuid.upper() == uuid)
    assert not json_object.is_uuid(other) or len(other) == 36
