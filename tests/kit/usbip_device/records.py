"""PURE: the records of USB/IP after the handover: what vhci_hcd asks, and what a device answers.

Source: Documentation/usb/usbip_protocol.rst; drivers/usb/usbip/usbip_common.h
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

SUBMIT, UNLINK, RET_SUBMIT, RET_UNLINK = 1, 2, 3, 4
HEAD = 48  # bytes of every record's fixed part
IN = 1
EPIPE, ECONNRESET = 32, 104
_BASE = struct.Struct(">5I")  # command, seqnum, devid, direction, endpoint
_SUBMIT = struct.Struct(">I4i8s")  # flags, length, start frame, packets, interval, setup
_RETURNED = struct.Struct(">5i8x")  # status, actual length, start frame, packets, errors
_PACKET = struct.Struct(">4I")  # offset, length, actual length, status
NO_PACKETS = frozenset({0, -1})
LARGEST = 1 << 20  # vhci_hcd sends no transfer that is longer


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """The eight bytes of a control request."""

    kind: int
    request: int
    value: int
    index: int
    length: int

    @classmethod
    def parse(cls, raw: bytes) -> "Setup":
        """The fields; they are little-endian, as on the bus."""
        kind, request, value, index, length = struct.unpack("<BBHHH", raw)
        return cls(kind=kind, request=request, value=value, index=index, length=length)


@dataclass(frozen=True, slots=True, kw_only=True)
class Packet:
    """One isochronous packet."""

    offset: int
    length: int
    actual: int = 0
    status: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Submit:
    """A transfer is asked for; `data` is what goes to the device."""

    seqnum: int
    devid: int
    endpoint: int
    to_host: bool
    length: int
    setup: Setup
    data: bytes = b""
    packets: tuple[Packet, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Unlink:
    """An earlier transfer is not wanted any more."""

    seqnum: int
    victim: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Returned:
    """A transfer is over. What a liar says of its length and packets may differ from what it sends."""

    seqnum: int
    status: int = 0
    actual: int = 0
    data: bytes = b""
    packets: tuple[Packet, ...] = ()
    start_frame: int = 0
    packets_told: int | None = None
    errors: int = 0
    command: int = RET_SUBMIT


@dataclass(frozen=True, slots=True, kw_only=True)
class Unlinked:
    """The answer to Unlink: -ECONNRESET when the transfer was still waiting, 0 when it had been answered."""

    seqnum: int
    status: int = 0


Request = Submit | Unlink
Reply = Returned | Unlinked


class BrokenRecordError(Exception):
    """What came is no record of vhci_hcd."""


class Reader:
    """Turns the bytes of a connection into records, however they were cut."""

    def __init__(self) -> None:
        self._held = bytearray()

    def feed(self, data: bytes) -> Iterator[Request]:
        """Every record that is complete with these bytes.

        Raises:
            BrokenRecordError: an unknown command or an impossible length.
        """
        self._held += data
        while (length := self._length()) is not None and len(self._held) >= length:
            raw = bytes(self._held[:length])
            del self._held[:length]
            yield _request(raw)

    def _length(self) -> int | None:
        """How long the record at the start is; None while its head is not there."""
        if len(self._held) < HEAD:
            return None
        command, _, _, direction, _ = _BASE.unpack_from(self._held)
        if command == UNLINK:
            return HEAD
        if command != SUBMIT:
            raise BrokenRecordError(f"command {command}")
        _, length, _, packets, _, _ = _SUBMIT.unpack_from(self._held, _BASE.size)
        count = 0 if packets in NO_PACKETS else packets
        if not 0 <= length <= LARGEST or not 0 <= count <= LARGEST:
            raise BrokenRecordError(f"length {length}, packets {packets}")
        return HEAD + (0 if direction == IN else length) + count * _PACKET.size


def _request(raw: bytes) -> Request:
    command, seqnum, devid, direction, endpoint = _BASE.unpack_from(raw)
    if command == UNLINK:
        return Unlink(seqnum=seqnum, victim=struct.unpack_from(">I", raw, _BASE.size)[0])
    _, length, _, packets, _, setup = _SUBMIT.unpack_from(raw, _BASE.size)
    count = 0 if packets in NO_PACKETS else packets
    end = len(raw) - count * _PACKET.size
    rows = (_PACKET.unpack_from(raw, end + each * _PACKET.size) for each in range(count))
    return Submit(
        seqnum=seqnum, devid=devid, endpoint=endpoint, to_host=direction == IN, length=length,
        setup=Setup.parse(setup), data=raw[HEAD:end],
        packets=tuple(Packet(offset=row[0], length=row[1]) for row in rows),
    )  # fmt: skip


def encode(reply: Reply) -> bytes:
    """A reply as it goes over the connection."""
    if isinstance(reply, Unlinked):
        return _BASE.pack(RET_UNLINK, reply.seqnum, 0, 0, 0) + struct.pack(">i24x", reply.status)
    told = len(reply.packets) if reply.packets_told is None else reply.packets_told
    head = _BASE.pack(reply.command, reply.seqnum, 0, 0, 0) + _RETURNED.pack(
        reply.status, reply.actual, reply.start_frame, told, reply.errors
    )
    rows = (_PACKET.pack(each.offset, each.length, each.actual, each.status) for each in reply.packets)
    return head + reply.data + b"".join(rows)
