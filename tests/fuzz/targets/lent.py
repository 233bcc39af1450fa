"""What a device says of itself before any driver has it: the judgement about it must not be led astray."""

from __future__ import annotations

from typing import TYPE_CHECKING

from client_gui.helper.descriptors import interfaces_of
from qvd_usbip import errors
from server_agent import descriptors
from tests.fuzz.target import target
from tests.fuzz.targets.names import BUSID

if TYPE_CHECKING:
    from collections.abc import Iterator

_ATTRIBUTES = {
    "idVendor": "0bda",
    "idProduct": "58c2",
    "bDeviceClass": "ef",
    "speed": "480",
    "busnum": "7",
    "devnum": "2",
}


@target(errors.DEVICE_REFUSED)
def device_descriptors(data: bytes) -> Iterator[None]:
    found = descriptors.enumerated(BUSID, _ATTRIBUTES, data)
    yield
    assert found.isochronous == _has_isochronous(data)
    assert not found.complete or _walked(data) == len(data)
    codes = [(each.cls, each.subclass, each.protocol) for each in interfaces_of(data)]
    said = {(each.cls, each.subclass, each.protocol) for each in found.device.interfaces}
    assert said <= set(codes)


def _walked(data: bytes) -> int:
    """How far one comes from length to length."""
    at = 0
    while at < len(data) and data[at] >= 2 and at + data[at] <= len(data):
        at += data[at]
    return at


def _has_isochronous(data: bytes) -> bool:
    """The gate's rule, written down a second time: an endpoint descriptor whose type is 1."""
    at, end = 0, _walked(data)
    while at < end:
        if data[at] >= 7 and data[at + 1] == 5 and data[at + 3] & 3 == 1:
            return True
        at += data[at]
    return False


@target()
def helper_descriptors(data: bytes) -> Iterator[None]:
    found = interfaces_of(data)
    yield
    assert len(found) <= len(data) // 8
