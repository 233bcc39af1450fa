"""What old peers write is read, and what ours write is read by them, where the contract has words for it."""

import socket
from collections.abc import Iterator

import pytest

from qvd_usbip import share_list
from qvd_usbip.ids import BusId, VidPid
from qvd_usbip.share_list import Entry, ShareList
from qvd_usbip.usb import UsbDevice
from qvd_usbip.wire import (
    AckClient,
    AckUnsupported,
    PingClient,
    Refused,
    Server,
    UpgradeClient,
    Upgraded,
    UpgradeRequest,
)
from tests.kit.old_peers.client import read_share_list, request, write_share_list
from tests.kit.old_peers.image import OldImage
from tests.unit.client_gui.slave_peer import KEY
from tests.unit.vma_hooks.fake_broker import ATTACH_ID

DEVICES = [("0441:0012", ""), ("0bda:58c2", "1234"), ("046d:c31c", "A B-ñ"), ("0781:5567", "4C53@01")]


@pytest.fixture
def old_image() -> Iterator[OldImage]:
    image = OldImage(KEY, lambda connection: None)
    yield image
    image.close()


def ask(image: OldImage, exchange: UpgradeClient | AckClient | PingClient) -> object:
    host, _, port = image.address.partition(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(exchange.request)
        while True:
            data = connection.recv(4096)
            heard = exchange.feed(data)
            if heard is not None or not data:
                return heard


def test_a_share_list_that_an_old_client_wrote_is_read() -> None:
    read = share_list.parse(write_share_list(DEVICES))
    assert [(str(entry.vidpid), entry.serial or "") for entry in read.entries] == DEVICES


@pytest.mark.parametrize("serial", ["AB%20CD", "1%ff2", "50%", "a@b", "a:b"])
def test_a_serial_that_an_old_client_wrote_is_no_other_to_us_and_stays_so_to_it(serial: str) -> None:
    written = write_share_list([("0bda:58c2", serial)])
    read = share_list.parse(written)
    assert read.matches(
        UsbDevice(busid=BusId(1, (4,)), vidpid=VidPid(0x0BDA, 0x58C2), serial=serial, busnum=1, devnum=2)
    )
    assert read_share_list(str(read)) == [("0bda:58c2", serial)]


def test_a_share_list_of_ours_is_read_by_an_old_client() -> None:
    entries = tuple(Entry(vidpid=VidPid.parse(vidpid), serial=serial or None) for vidpid, serial in DEVICES)
    assert read_share_list(str(ShareList(entries=entries))) == DEVICES


@pytest.mark.parametrize("serial", ["a,b", " end", "${x}", "a\x01b"])
def test_a_serial_that_the_grammar_cannot_hold_means_no_device_to_an_old_client(serial: str) -> None:
    ours = str(ShareList(entries=(Entry(vidpid=VidPid(0x0BDA, 0x58C2), serial=serial),)))
    assert share_list.parse(ours).entries[0].serial == serial
    ((vidpid, seen),) = read_share_list(ours)
    assert (vidpid, seen == serial) == ("0bda:58c2", False)


def test_the_request_of_an_old_client_is_taken() -> None:
    assert Server(KEY).feed(request(KEY)) == UpgradeRequest(attach_id="")


def test_our_request_is_taken_by_an_old_image(old_image: OldImage) -> None:
    assert isinstance(ask(old_image, UpgradeClient(KEY, ATTACH_ID, old_image.address)), Upgraded)
    assert old_image.answered == [101]


@pytest.mark.parametrize(("key", "status", "code"), [("wrong", 403, "slave-refused-key"), (KEY, 404, "")])
def test_what_an_old_image_refuses_is_understood(old_image: OldImage, key: str, status: int, code: str) -> None:
    heard = ask(old_image, AckClient(key, ATTACH_ID, 1, old_image.address))
    assert old_image.answered == [status]
    if code:
        assert isinstance(heard, Refused)
        assert heard.error().problem.code == code
    else:
        assert isinstance(heard, AckUnsupported)
        assert isinstance(ask(old_image, PingClient(KEY, "here", old_image.address)), AckUnsupported)
