"""The software devices: what vhci_hcd asks of them, asked here by hand."""

import os
import socket
import struct
import threading
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server_agent.descriptors import descriptors, is_isochronous
from tests.kit.usbip_device.descriptors import CONFIGURATION, DEVICE, STRING, Identity, string
from tests.kit.usbip_device.device import Device
from tests.kit.usbip_device.functions import Adapter, Keyboard, Serial, Speaker, Stick
from tests.kit.usbip_device.liars import HARMLESS, Liar, after_reset, all_liars, streams
from tests.kit.usbip_device.records import (
    BrokenRecordError,
    Packet,
    Reader,
    Returned,
    Setup,
    Submit,
    Unlink,
    Unlinked,
    encode,
)
from tests.kit.usbip_device.serve import pair

IDENTITY = Identity(serial="1234", name="Thing")
READ, WRITE = 0xA1, 0x21


def submit(number: int, *, length: int = 0, data: bytes = b"", to_host: bool | None = None, seqnum: int = 1) -> Submit:
    return Submit(
        seqnum=seqnum, devid=0x10002, endpoint=number, to_host=not data if to_host is None else to_host,
        length=length or len(data), setup=Setup.parse(bytes(8)), data=data,
    )  # fmt: skip


def control(kind: int, request: int, value: int = 0, index: int = 0, *, length: int = 0, data: bytes = b"") -> Submit:
    size = len(data) or length
    return Submit(
        seqnum=1, devid=0x10002, endpoint=0, to_host=bool(kind & 0x80), length=size, data=data,
        setup=Setup(kind=kind, request=request, value=value, index=index, length=size),
    )  # fmt: skip


def answers(device: Device, *requests: Submit | Unlink) -> list[Returned]:
    found = [reply for request in requests for reply in device.answer(request)]
    assert all(isinstance(reply, Returned) for reply in found)
    return [reply for reply in found if isinstance(reply, Returned)]


def description(device: Device, kind: int, number: int = 0, length: int = 255) -> bytes:
    (reply,) = answers(device, control(0x80, 6, kind << 8 | number, length=length))
    assert reply.actual == len(reply.data)
    return reply.data


# records -------------------------------------------------------------------------------------------------------------
def as_asked(request: Submit | Unlink) -> bytes:
    """What vhci_hcd would send, written out once more from the kernel's documentation."""
    if isinstance(request, Unlink):
        return struct.pack(">IIIII I 24x", 2, request.seqnum, 0x10002, 0, 0, request.victim)
    setup = request.setup
    head = struct.pack(
        ">IIIII IIiII", 1, request.seqnum, request.devid, int(request.to_host), request.endpoint,
        0, request.length, 0, len(request.packets), 1,
    )  # fmt: skip
    raw = struct.pack("<BBHHH", setup.kind, setup.request, setup.value, setup.index, setup.length)
    rows = b"".join(struct.pack(">IIII", each.offset, each.length, 0, 0) for each in request.packets)
    return head + raw + request.data + rows


setups = st.builds(Setup, **{name: st.integers(0, 255) for name in ("kind", "request", "value", "index", "length")})
packets = st.lists(st.builds(Packet, offset=st.integers(0, 99), length=st.integers(0, 99)), max_size=3).map(tuple)
numbers = st.integers(0, 2**32 - 1)
incoming = st.builds(
    Submit, seqnum=numbers, devid=numbers, endpoint=st.integers(0, 15), to_host=st.just(value=True),
    length=st.integers(0, 4096), setup=setups, packets=packets,
)  # fmt: skip


def outgoing_with(data: bytes) -> st.SearchStrategy[Submit]:
    return st.builds(
        Submit, seqnum=numbers, devid=numbers, endpoint=st.integers(0, 15), to_host=st.just(value=False),
        length=st.just(len(data)), setup=setups, data=st.just(data), packets=packets,
    )  # fmt: skip


outgoing = st.binary(max_size=40).flatmap(outgoing_with)
unlinks = st.builds(Unlink, seqnum=numbers, victim=numbers)


@given(st.lists(incoming | outgoing | unlinks, max_size=5), st.integers(1, 60))
def test_records_are_read_however_they_are_cut(requests: list[Submit | Unlink], size: int) -> None:
    stream = b"".join(map(as_asked, requests))
    reader = Reader()
    found = [each for place in range(0, len(stream), size) for each in reader.feed(stream[place : place + size])]
    assert found == requests


@pytest.mark.parametrize(
    "head", [struct.pack(">I44x", 7), struct.pack(">IIIII IiiiI 8x", 1, 1, 1, 0, 1, 0, -1, 0, 0, 0)]
)
def test_what_is_no_record_is_told(head: bytes) -> None:
    with pytest.raises(BrokenRecordError):
        list(Reader().feed(head))


def test_an_answer_has_the_kernels_form() -> None:
    said = encode(
        Returned(seqnum=7, status=-32, actual=3, data=b"abc", packets=(Packet(offset=1, length=2, actual=3),))
    )
    assert said == struct.pack(">IIIII iiiii 8x", 3, 7, 0, 0, 0, -32, 3, 0, 1, 0) + b"abc" + struct.pack(
        ">4I", 1, 2, 3, 0
    )
    assert encode(Unlinked(seqnum=8, status=-104)) == struct.pack(">IIIII i 24x", 4, 8, 0, 0, 0, -104)


# devices -------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("functions", "classes", "isochronous"),
    [
        ((Serial(),), [2, 10], False),
        ((Keyboard(),), [3], False),
        ((Stick(bytearray(1024)),), [8], False),
        ((Speaker(),), [1, 1, 1], True),
        ((Serial(), Stick(bytearray(1024), first=2, number=3)), [2, 10, 8], False),
        ((Serial(), Adapter(first=2)), [2, 10, 2, 10, 10], False),
    ],
)
def test_a_device_describes_itself(functions: tuple[Serial], classes: list[int], *, isochronous: bool) -> None:
    device = Device(identity=IDENTITY, functions=functions)
    head = description(device, DEVICE)
    assert (len(head), head[8:12]) == (18, bytes.fromhex("09120100"))
    whole = description(device, CONFIGURATION, length=4096)
    assert struct.unpack_from("<H", whole, 2)[0] == len(whole)
    assert description(device, CONFIGURATION, length=9) == whole[:9]
    found = list(descriptors(head + whole))
    assert sum(len(body) for _, body in found) == len(head + whole)
    assert [body[5] for kind, body in found if kind == 4] == classes
    assert len({body[2] for kind, body in found if kind == 4}) == whole[4]
    assert any(map(is_isochronous, found)) == isochronous
    assert description(device, STRING, 3) == b"\x0a\x031\x002\x003\x004\x00"


def test_what_a_device_has_not_it_refuses() -> None:
    device = Device(identity=Identity(), functions=(Serial(),))
    for request in (control(0x80, 6, 6 << 8, length=10), control(0x80, 6, 0x0303, length=9), control(READ, 0x77)):
        (reply,) = answers(device, request)
        assert (reply.status, reply.data) == (-32, b"")


def test_a_serial_adapter_says_back_what_it_hears_when_it_is_asked() -> None:
    device = Device(identity=IDENTITY, functions=(Serial(),))
    assert answers(device, submit(1, length=4, seqnum=9)) == []
    said = answers(device, submit(1, data=b"abcdef"))
    assert [(reply.seqnum, reply.actual, reply.data) for reply in said] == [(1, 6, b""), (9, 4, b"abcd")]
    coding = struct.pack("<IBBB", 115200, 0, 0, 8)
    answers(device, control(WRITE, 0x20, data=coding))
    assert answers(device, control(READ, 0x21, length=7))[0].data == coding


def test_what_waits_can_be_taken_back_and_what_was_answered_cannot() -> None:
    device = Device(identity=IDENTITY, functions=(Serial(),))
    answers(device, submit(1, length=4, seqnum=9))
    assert list(device.answer(Unlink(seqnum=10, victim=9))) == [Unlinked(seqnum=10, status=-104)]
    assert list(device.answer(Unlink(seqnum=11, victim=9))) == [Unlinked(seqnum=11)]
    assert len(answers(device, submit(1, data=b"x"))) == 1


def test_a_keyboard_types() -> None:
    keyboard = Keyboard()
    device = Device(identity=IDENTITY, functions=(keyboard,))
    assert answers(device, control(0x81, 6, 0x2200, length=63))[0].data == Keyboard.REPORT
    assert answers(device, control(WRITE, 0x0A))[0].status == 0
    assert answers(device, submit(1, length=8, seqnum=5), submit(1, length=8, seqnum=6)) == []
    keyboard.press(4)
    assert [reply.data for reply in device.due() if isinstance(reply, Returned)] == [
        bytes([0, 0, 4, *[0] * 5]),
        bytes(8),
    ]


def scsi(command: bytes, wanted: int = 0) -> Submit:
    return submit(3, data=struct.pack("<4sIIBBB16s", b"USBC", 77, wanted, 0x80, 0, len(command), command))


def finished(device: Device, *requests: Submit) -> tuple[bytes, int, int]:
    """The data of a command, its status and its residue."""
    reads = (submit(3, length=4096, seqnum=8), submit(3, length=13, seqnum=9))
    replies = answers(device, *requests, *reads)
    *data, status = [reply.data for reply in replies if reply.seqnum in {8, 9}]
    mark, tag, residue, result = struct.unpack("<4sIIB", status)
    assert (mark, tag) == (b"USBS", 77)
    return b"".join(data), result, residue


def test_a_stick_is_read_and_written() -> None:
    stick = Stick(bytearray(4 * 512))
    device = Device(identity=IDENTITY, functions=(stick,))
    assert finished(device, scsi(b"\x25" + bytes(9), 8))[0] == struct.pack(">II", 3, 512)
    inquiry, result, residue = finished(device, scsi(b"\x12" + bytes(5), 96))
    assert (inquiry[8:11], result, residue) == (b"QVD", 0, 60)
    replies = answers(device, scsi(bytes.fromhex("2a000000000200000100"), 512), submit(3, data=b"z" * 512))
    assert [reply.status for reply in replies] == [0, 0]
    assert [reply.data[12] for reply in answers(device, submit(3, length=13))] == [0]
    assert finished(device, scsi(bytes.fromhex("28000000000100000200"), 1024))[0] == bytes(512) + b"z" * 512
    assert finished(device, scsi(bytes.fromhex("28000000000300000200"), 1024)) == (b"", 1, 1024)
    assert finished(device, scsi(b"\x03" + bytes(5), 18))[0][2] == 5


def test_a_host_is_told_once_of_another_medium_and_may_ask_who_it_is_all_the_time() -> None:
    stick = Stick(bytearray(4 * 512))
    device = Device(identity=IDENTITY, functions=(stick,))
    stick.change(bytearray(8 * 512))
    who, capacity = scsi(b"\x12" + bytes(5), 36), scsi(b"\x25" + bytes(9), 8)
    assert finished(device, who)[1] == 0
    assert finished(device, capacity) == (b"", 1, 8)
    sense = finished(device, scsi(b"\x03" + bytes(5), 18))[0]
    assert (sense[2], sense[12]) == (0x06, 0x28)
    assert finished(device, capacity)[0] == struct.pack(">II", 7, 512)


def test_an_adapter_keeps_what_the_host_sends_and_sends_nothing() -> None:
    adapter = Adapter()
    device = Device(identity=IDENTITY, functions=(adapter,), raw={(STRING, Adapter.ADDRESS): string("020000000001")})
    assert description(device, STRING, Adapter.ADDRESS)[2:].decode("utf-16-le") == "020000000001"
    assert answers(device, submit(adapter.number, length=1514)) == []
    assert answers(device, submit(adapter.number, data=b"frame"))[0].actual == 5
    assert adapter.sent == [b"frame"]


def test_a_speaker_takes_every_packet() -> None:
    request = Submit(
        seqnum=4, devid=1, endpoint=5, to_host=False, length=20, setup=Setup.parse(bytes(8)), data=bytes(20),
        packets=(Packet(offset=0, length=12), Packet(offset=12, length=8)),
    )  # fmt: skip
    (reply,) = answers(Device(identity=IDENTITY, functions=(Speaker(),)), request)
    assert (reply.actual, [each.actual for each in reply.packets], reply.data) == (20, [12, 8], b"")


def test_a_device_on_a_socket_answers_and_ends_with_it() -> None:
    heard = threading.Event()
    device = Device(identity=IDENTITY, functions=(Serial(),))
    with pair(device, lambda _: heard.set()) as (connection, fd), socket.socket(fileno=os.dup(fd)) as host:
        host.settimeout(10)
        host.sendall(as_asked(control(0x80, 6, DEVICE << 8, length=18)))
        assert host.recv(1000)[48:] == IDENTITY.descriptor()
        assert heard.is_set()
        connection.close()
        assert host.recv(1) == b""


# liars ---------------------------------------------------------------------------------------------------------------
def enumeration() -> Iterator[Submit]:
    yield control(0x80, 6, DEVICE << 8, length=64)
    yield control(0x80, 6, DEVICE << 8, length=18)
    for length in (9, 4096):
        yield control(0x80, 6, CONFIGURATION << 8, length=length)


def said(liar: Liar) -> list[bytes]:
    found = []
    for request in enumeration():
        for each in liar.answer(request):
            found.append(each if isinstance(each, bytes) else encode(each))
            if each == b"":
                return found
    return found


def test_every_liar_lies_in_its_records_its_descriptors_or_by_being_late() -> None:
    truth = {name: said(Liar(device=liar.device)) for name, liar in all_liars().items()}
    for name, liar in all_liars().items():
        in_records = liar.lie is not None and name != "not-configured"  # which comes after the enumeration
        assert (said(liar) != truth[name]) == in_records, name
        assert in_records or liar.delay or liar.speed != 3 or name == "not-configured" or truth[name] != honest(), name


def honest() -> list[bytes]:
    return said(Liar(device=Device(identity=IDENTITY, functions=(Serial(),))))


def test_one_changes_after_the_first_enumeration() -> None:
    liar = after_reset()
    assert liar.expected == HARMLESS
    first, second = said(liar), said(liar)
    assert first[:2] == second[:2]
    assert first[3] != second[3]


def test_streams_lie_only_while_something_is_streamed() -> None:
    asked = Submit(
        seqnum=4, devid=1, endpoint=3, to_host=True, length=512, setup=Setup.parse(bytes(8)),
        packets=tuple(Packet(offset=64 * each, length=64) for each in range(8)),
    )  # fmt: skip
    lies = set()
    for name, liar in streams().items():
        assert said(liar) == said(Liar(device=liar.device)), name
        (reply,) = liar.answer(asked)
        assert not isinstance(reply, bytes)
        lies.add(encode(reply))
    assert len(lies) == len(streams())
