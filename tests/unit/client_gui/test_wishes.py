"""Ticking a device ticks that device alone; unticking it leaves every other as it was."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client_gui import wishes
from client_gui.wishes import Wishes, format_ports, is_ticked, parse_ports, tick, untick
from qvd_usbip import share_list
from qvd_usbip.errors import QvdUsbError
from qvd_usbip.usb import UsbDevice
from tests.unit.client_gui.devices import device

TWIN_A = device("1-1", "0441:0012", "")
TWIN_B = device("1-2", "0441:0012", "")
SINGLE = device("1-4", "0bda:58c2", "1234")


def wished(text: str, ports: str = "", *, share_all: bool = False) -> Wishes:
    return Wishes(share_list=share_list.parse(text), ports=parse_ports(ports), share_all=share_all)


def test_a_ticked_device_with_a_serial_is_written_as_the_guide_says() -> None:
    after = tick(SINGLE, [SINGLE], Wishes())
    assert str(after.share_list) == "0bda:58c2@1234"
    assert not after.ports


def test_a_device_without_a_serial_is_written_by_vendor_and_product() -> None:
    after = tick(TWIN_A, [TWIN_A], Wishes())
    assert str(after.share_list) == "0441:0012"
    assert not after.ports


def test_of_twins_only_the_ticked_one_is_shared() -> None:
    after = tick(TWIN_B, [TWIN_A, TWIN_B], Wishes())
    assert not is_ticked(TWIN_A, after)
    assert is_ticked(TWIN_B, after)
    assert str(after.share_list) == "0441:0012"
    assert format_ports(after.ports) == "0441:0012/1-2"


def test_a_twin_plugged_in_later_is_shared_too() -> None:
    """As QVD's share list has it; README.md says so."""
    assert is_ticked(TWIN_B, tick(TWIN_A, [TWIN_A], Wishes()))


def test_both_twins_ticked_one_by_one_are_shared_and_one_can_be_taken_back() -> None:
    both = [TWIN_A, TWIN_B]
    after = tick(TWIN_A, both, tick(TWIN_B, both, Wishes()))
    assert is_ticked(TWIN_A, after)
    assert is_ticked(TWIN_B, after)
    after = untick(TWIN_B, both, after)
    assert is_ticked(TWIN_A, after)
    assert not is_ticked(TWIN_B, after)
    after = untick(TWIN_A, both, after)
    assert after == Wishes()


def test_an_entry_by_hand_stands_for_every_twin_and_unticking_one_keeps_the_other() -> None:
    both = [TWIN_A, TWIN_B]
    by_hand = wished("0441:0012")
    assert is_ticked(TWIN_A, by_hand)
    assert is_ticked(TWIN_B, by_hand)
    after = untick(TWIN_A, both, by_hand)
    assert not is_ticked(TWIN_A, after)
    assert is_ticked(TWIN_B, after)


def test_unticking_one_of_many_that_an_entry_stood_for_keeps_the_others() -> None:
    first, second = device("1-1", serial="1"), device("1-2", serial="2")
    after = untick(first, [first, second], wished("0bda:58c2, 1111:2222"))
    assert str(after.share_list) == "1111:2222, 0bda:58c2@2"


def test_share_all_leaves_no_single_device_to_untick() -> None:
    with pytest.raises(QvdUsbError) as caught:
        untick(SINGLE, [SINGLE], wished("", share_all=True))
    assert caught.value.problem.code == "share-all-on"


@pytest.mark.parametrize("text", ["0441:0012", "0441:0012/", "/1-1", "x/1-1", "0441:0012/1-0", "0441:0012/../x"])
def test_ports_that_cannot_be_read_are_named(text: str) -> None:
    with pytest.raises(QvdUsbError) as caught:
        parse_ports(text)
    assert caught.value.problem.code == "settings-malformed"
    assert f"client.usb.share_ports has '{text}'" in str(caught.value)


def test_forgetting_an_entry_forgets_its_ports() -> None:
    entry = share_list.parse("0441:0012").entries[0]
    assert wishes.forget(entry, wished("0441:0012", "0441:0012/1-1")) == Wishes()
    assert wishes.add(entry, wished("0441:0012", "0441:0012/1-1")) == wished("0441:0012")


devices = st.lists(
    st.tuples(
        st.integers(min_value=1, max_value=9),
        st.sampled_from(["0441:0012", "0bda:58c2"]),
        st.sampled_from(["", "", "1", "a/b", "a,b", "x@y", "1%2C"]),
    ),
    min_size=1,
    max_size=6,
    unique_by=lambda found: found[0],
).map(lambda found: [device(f"1-{port}", vidpid, serial) for port, vidpid, serial in found])
lists = st.lists(st.sampled_from(["0441:0012", "0bda:58c2", "0441:0012@1", "9999:0001@z"]), max_size=4).map(
    lambda entries: wished(", ".join(entries))
)


@given(devices, lists, st.lists(st.tuples(st.integers(min_value=0, max_value=5), st.booleans()), max_size=12))
def test_whatever_is_ticked_or_unticked_nothing_else_changes(
    present: list[UsbDevice], now: Wishes, clicks: list[tuple[int, bool]]
) -> None:
    for place, on in clicks:
        chosen = present[place % len(present)]
        before = {found.busid: is_ticked(found, now) for found in present}
        now = (tick if on else untick)(chosen, present, now)
        after = {found.busid: is_ticked(found, now) for found in present}
        assert after == {**before, chosen.busid: on}
        assert parse_ports(format_ports(now.ports)) == dict(now.ports)
        assert share_list.parse(str(now.share_list)) == now.share_list
