"""Ids are read strictly, print exactly as they were read, and refuse everything else with their own problem."""

import copy
import pickle
import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qvd_usbip import errors, ids
from qvd_usbip.errors import QvdUsbError
from qvd_usbip.ids import BusId, DevNum, HubId, VidPid, VmId
from tests.unit.qvd_usbip.strategies import busids, devnums, hostile_text, hubs, vidpids

BUSID = re.compile(r"[1-9][0-9]*-[1-9][0-9]*(\.[1-9][0-9]*){0,6}", re.ASCII)
VM_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}", re.ASCII)
PARSERS = (BusId.parse, VidPid.parse, DevNum.parse, HubId.parse, VmId.parse)


def refused(parse: Callable[[str], object], text: str) -> errors.Problem:
    with pytest.raises(QvdUsbError) as caught:
        parse(text)
    return caught.value.problem


@pytest.mark.parametrize(
    ("values", "parse"),
    [(busids, BusId.parse), (vidpids, VidPid.parse), (devnums, DevNum.parse), (hubs, HubId.parse)],
)
@given(data=st.data())
def test_round_trip(
    values: st.SearchStrategy[ids.Value], parse: Callable[[str], ids.Value], data: st.DataObject
) -> None:
    value = data.draw(values)
    assert parse(str(value)) == value


@pytest.mark.parametrize("parse", PARSERS)
@given(text=hostile_text)
def test_hostile_text_gives_a_value_that_prints_the_same_or_our_error(
    parse: Callable[[str], object], text: str
) -> None:
    try:
        value = parse(text)
    except QvdUsbError:
        return
    assert str(value) == (text.lower() if parse == VidPid.parse else text)


@given(st.text(alphabet="0123456789-. \n\uff11", max_size=34) | hostile_text)
def test_busid_is_exactly_the_grammar(text: str) -> None:
    if BUSID.fullmatch(text) and len(text) <= 31:
        assert str(BusId.parse(text)) == text
    else:
        assert refused(BusId.parse, text) is errors.BUSID_MALFORMED


@pytest.mark.parametrize(
    "text",
    [
        *("", "1", "1-", "-1", "0-1", "1-0", "01-1", "1-01", "1-1.", "1-.1", "1-1..2", "1-1.0", "usb1", "1-1:1.0"),
        *(" 1-1", "1-1\n", "1-1/..", "../1-1", "1-1.1.1.1.1.1.1.1", "\uff11-1", "1-\u0661", "1--1", "+1-1", "1_1-1"),
        "1-" + "1" * 30,
    ],
)
def test_busid_refuses(text: str) -> None:
    assert refused(BusId.parse, text) is errors.BUSID_MALFORMED


def test_busid_parts_and_order() -> None:
    assert (BusId.parse("3-1.4.2").bus, BusId.parse("3-1.4.2").ports) == (3, (1, 4, 2))
    texts = ["1-2", "1-2.1", "1-10", "2-1", "10-1"]
    assert [str(busid) for busid in sorted(map(BusId.parse, reversed(texts)))] == texts


@pytest.mark.parametrize("text", ["0bda:58c2", "0BDA:58C2", "0000:0000", "ffff:FFFF"])
def test_vidpid_reads_both_cases_and_prints_the_lower(text: str) -> None:
    assert str(VidPid.parse(text)) == text.lower()


@pytest.mark.parametrize("text", ["", "0bda", "0bda:", "0bda:58c", "0bda:58c23", "0x0b:58c2", "0bda-58c2", "0bda:58g2"])
def test_vidpid_refuses(text: str) -> None:
    assert refused(VidPid.parse, text) is errors.VIDPID_MALFORMED


@pytest.mark.parametrize(
    "text", ["", "189", ":", "189:", ":5", "189:05", "-1:5", "4096:1", "1:1048576", "1:1:1", "1: 1"]
)
def test_devnum_refuses(text: str) -> None:
    assert refused(DevNum.parse, text) is errors.DEVICE_NUMBER_MALFORMED


@pytest.mark.parametrize("text", ["", "vhci_hcd", "vhci_hcd.", "vhci_hcd.01", "vhci_hcd.128", "vhci_hcd.1.1", "usb.1"])
def test_hub_refuses(text: str) -> None:
    assert refused(HubId.parse, text) is errors.HUB_NAME_MALFORMED


@given(hostile_text | st.text(alphabet="aZ0_.-", max_size=70))
def test_container_name_is_exactly_the_grammar(text: str) -> None:
    if VM_NAME.fullmatch(text):
        assert VmId.parse(text).name == text
    else:
        assert refused(VmId.parse, text) is errors.CONTAINER_NAME_MALFORMED


def test_values_are_immutable_hashable_and_equal_in_their_class_only() -> None:
    busid = BusId.parse("1-4")
    with pytest.raises(AttributeError):
        busid.bus = 2
    with pytest.raises(AttributeError):
        del busid.bus
    assert {busid: 1}[BusId.parse("1-4")] == 1
    assert VidPid(1, 2) != DevNum(1, 2)
    with pytest.raises(TypeError):
        sorted([VidPid(1, 2), DevNum(1, 3)])
    assert pickle.loads(pickle.dumps(busid)) == copy.deepcopy(busid) == busid
    assert repr(busid) == "BusId(bus=1, ports=(4,))"


def test_devid_is_bus_and_address() -> None:
    assert ids.devid(1, 2) == 65538


@pytest.mark.parametrize(("number", "sane"), [(65538, True), (0x10001, True), (0, False), (2, False), (0x10000, False)])
def test_devid_is_sane(number: int, sane: bool) -> None:
    assert ids.devid_is_sane(number) is sane
    assert not ids.devid_is_sane(0x100000000 + number)
    assert not ids.devid_is_sane(0x10080)
