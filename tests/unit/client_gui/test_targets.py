"""What a person names on the command line is one device or one entry of the share list, or a problem with a name."""

from __future__ import annotations

import pytest

from client_gui.targets import one_of, parse_target, unshare
from client_gui.wishes import Wishes
from qvd_usbip import share_list
from qvd_usbip.errors import QvdUsbError
from qvd_usbip.ids import BusId
from tests.unit.client_gui.devices import device


def test_two_at_once_are_none() -> None:
    with pytest.raises(QvdUsbError) as caught:
        parse_target("0bda:58c2@1,0441:0012")
    assert caught.value.problem.code == "vidpid-malformed"


def test_what_is_neither_listed_nor_plugged_in_is_unknown() -> None:
    with pytest.raises(QvdUsbError) as caught:
        unshare(parse_target("0441:0012"), [device()], Wishes())
    assert caught.value.problem.code == "device-unknown"


@pytest.mark.parametrize("target", ["0bda:58c2@a%20b", "0bda:58c2@a b"])
def test_an_entry_is_taken_off_the_list_however_it_is_written_there(target: str) -> None:
    listed = Wishes(share_list=share_list.parse("0441:0012, 0bda:58c2@a%20b"))
    assert str(unshare(parse_target(target), [], listed).share_list) == "0441:0012"


def test_a_port_means_what_is_plugged_in_there() -> None:
    one = device("1-4")
    assert one_of(BusId.parse("1-4"), [device("1-5"), one]) is one
    with pytest.raises(QvdUsbError) as caught:
        one_of(BusId.parse("1-6"), [one])
    assert caught.value.problem.code == "device-unknown"
