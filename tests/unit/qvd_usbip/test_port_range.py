"""Ports of a shared hub, as the agent writes and the image reads them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qvd_usbip.port_range import ALL_PORTS, PortRange

numbers = st.integers(0, 254)
ranges = st.tuples(numbers, numbers).map(lambda pair: PortRange(min(pair), max(pair)))


@given(ranges)
def test_what_is_written_is_read_again(ports: PortRange) -> None:
    assert PortRange.parse(str(ports)) == ports


@given(ranges, ranges)
def test_two_ranges_meet_where_they_have_a_port_in_common(one: PortRange, other: PortRange) -> None:
    common = [number for number in range(255) if number in one and number in other]
    assert one.meets(other) == other.meets(one) == bool(common)


def test_numbers_are_written_as_in_bus_ids() -> None:
    assert str(PortRange(5, 9)) == "6-10"
    assert 0 in ALL_PORTS
    assert 254 in ALL_PORTS


@pytest.mark.parametrize("text", ["", "-", "1", "1-", "-1", "0-1", "2-1", "1-256", "1-2-3", "+1-2", "1 -2", "01-2"])
def test_anything_else_is_no_range(text: str) -> None:
    assert PortRange.parse(text) is None


@given(st.text(max_size=12))
def test_no_text_upsets_it(text: str) -> None:
    found = PortRange.parse(text)
    assert found is None or str(found) == text
