"""Descriptors as the kernel shows them of a device that is not authorised."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qvd_usbip.errors import QvdUsbError
from qvd_usbip.ids import BusId
from server_agent.descriptors import LONGEST, descriptors, enumerated, interfaces

DEVICE = bytes([18, 1, 0, 2, 0, 0, 0, 64, 0xDA, 0x0B, 0xC2, 0x58, 0, 1, 1, 2, 3, 1])
CONFIGURATION = bytes([9, 2, 32, 0, 1, 1, 0, 0x80, 50])
STORAGE = bytes([9, 4, 0, 0, 2, 8, 6, 80, 0])
ENDPOINTS = bytes([7, 5, 0x81, 2, 0, 2, 0, 7, 5, 2, 2, 0, 2, 0])
ATTRIBUTES = {
    "idVendor": "0bda", "idProduct": "58c2", "bDeviceClass": "00", "busnum": "7", "devnum": "2", "speed": "480",
    "serial": "1234",
}  # fmt: skip


def test_a_device_is_read_with_its_interfaces() -> None:
    found = enumerated(BusId.parse("7-1"), ATTRIBUTES, DEVICE + CONFIGURATION + STORAGE + ENDPOINTS)
    device = found.device
    assert str(device.vidpid) == "0bda:58c2"
    assert [(i.number, i.cls, i.subclass, i.protocol) for i in device.interfaces] == [(0, 8, 6, 80)]
    assert device.below_vhci
    assert (found.isochronous, found.complete) == (False, True)


def test_a_class_in_an_alternate_setting_or_a_second_configuration_is_seen() -> None:
    hub = bytes([9, 4, 0, 1, 1, 9, 0, 0, 0])
    blob = DEVICE + CONFIGURATION + STORAGE + CONFIGURATION + hub
    assert [i.cls for i in interfaces(blob)] == [8, 9]


@pytest.mark.parametrize("blob", [b"", b"\x12", CONFIGURATION * 3, bytes(18)])
def test_bytes_without_a_device_descriptor_are_refused(blob: bytes) -> None:
    with pytest.raises(QvdUsbError, match="descriptor"):
        list(interfaces(blob))


@given(st.binary(max_size=300))
def test_whatever_a_device_sends_ends(tail: bytes) -> None:
    blob = DEVICE + tail
    found = list(descriptors(blob))
    assert b"".join(body for _, body in found) == blob[: sum(len(body) for _, body in found)]
    assert all(len(body) >= 2 for _, body in found)
    list(interfaces(blob))


SPEAKER = bytes([9, 4, 1, 1, 1, 1, 2, 0, 0])
ISOCHRONOUS = bytes([9, 5, 1, 0x0D, 192, 0, 1, 0, 0])


@pytest.mark.parametrize(
    "blob",
    [
        DEVICE + CONFIGURATION + SPEAKER + ISOCHRONOUS,
        DEVICE + CONFIGURATION + STORAGE + ENDPOINTS + CONFIGURATION + SPEAKER + ISOCHRONOUS,
        DEVICE + CONFIGURATION + STORAGE + bytes([9, 4, 0, 9, 0, 255, 0, 0, 0]) + bytes([7, 5, 0x83, 1, 0, 0, 1]),
        DEVICE + CONFIGURATION + ISOCHRONOUS,
        DEVICE + CONFIGURATION + STORAGE + bytes([200, 0x24]) + bytes(198) + bytes([7, 5, 0x83, 0x25, 0, 0, 1]),
    ],
)
def test_an_isochronous_endpoint_is_found_wherever_it_stands(blob: bytes) -> None:
    assert enumerated(BusId.parse("7-1"), ATTRIBUTES, blob).isochronous


def test_what_only_looks_like_an_isochronous_endpoint_is_none() -> None:
    hidden = bytes([16, 0x24]) + ISOCHRONOUS + bytes(5)  # inside another descriptor
    short = bytes([6, 5, 0x83, 1, 0, 0])
    found = enumerated(BusId.parse("7-1"), ATTRIBUTES, DEVICE + CONFIGURATION + STORAGE + hidden + short)
    assert (found.isochronous, found.complete) == (False, True)


@pytest.mark.parametrize("rest", [b"\x09", b"\x00\x05", b"\x09\x05\x01"])
def test_a_rest_that_is_no_descriptor_is_told(rest: bytes) -> None:
    assert not enumerated(BusId.parse("7-1"), ATTRIBUTES, DEVICE + CONFIGURATION + STORAGE + rest).complete


def test_more_than_the_kernel_shows_is_told() -> None:
    """A second configuration behind one of full length stands in no file."""
    filler = bytes([255, 0x24]) + bytes(253)
    whole = (DEVICE + CONFIGURATION + filler * 257)[: LONGEST - 255]
    last = LONGEST - len(whole)
    assert not enumerated(BusId.parse("7-1"), ATTRIBUTES, whole + bytes([last, 0x24]) + bytes(last - 2)).complete
