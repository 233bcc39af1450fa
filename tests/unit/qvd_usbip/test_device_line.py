"""The device line is two decimal numbers within 64 bytes, and what follows it is not looked at."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qvd_usbip import errors
from qvd_usbip.device_line import format_device_line, parse_device_line
from tests.unit.qvd_usbip.strategies import devids, hostile_bytes, only


@given(devids, st.integers(1, 6), st.binary(max_size=80))
def test_round_trip_whatever_follows(devid: int, speed: int, after: bytes) -> None:
    line = format_device_line(devid, speed)
    read = parse_device_line(line + after)
    assert read is not None
    assert (read.devid, read.speed, read.length) == (devid, speed, len(line))
    assert [parse_device_line(line[:length]) for length in range(len(line))] == [None] * len(line)


@pytest.mark.parametrize(
    "data",
    [
        *(b"\n", b" \n", b"65538\n", b"65538 \n", b"65538 3 \n", b"65538  3\n", b" 65538 3\n", b"65538\t3\n"),
        *(b"65538 3\r\n", b"065538 3\n", b"0x10002 3\n", b"-65538 3\n", b"65538 0\n", b"65538 7\n", b"65538 -3\n"),
        *(b"2 3\n", b"65536 3\n", b"4294967296 3\n", b"65538 3 1\n", b"\xb2 3\n", b"GET / HTTP/1.1\n"),
        *(b"x" * 64, b"x" * 65 + b"\n", b"0" * 63 + b"\n"),
    ],
)
def test_refused(data: bytes) -> None:
    with pytest.raises(errors.QvdUsbError) as caught:
        parse_device_line(data)
    assert caught.value.problem is errors.SLAVE_PROTOCOL


@given(hostile_bytes)
def test_hostile_bytes_raise_only_our_error(data: bytes) -> None:
    only(errors.SLAVE_PROTOCOL, parse_device_line, data)
