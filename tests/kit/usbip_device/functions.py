"""PURE: what devices do: a serial adapter, a keyboard, a memory stick, a speaker."""

import struct
from collections import deque
from dataclasses import dataclass, field
from typing import ClassVar

from .descriptors import BULK, INTERRUPT, ISOCHRONOUS, association, descriptor, endpoint, interface
from .records import Setup

TO_HOST, CLASS_OUT, STANDARD_IN = 0x80, 0x21, 0x81
PACKET = 512  # bulk packets of a high-speed device


@dataclass(slots=True)
class Serial:
    """A serial adapter (CDC ACM) that says back what it hears; `lines` is what the host made of its control lines.

    Source: USB Class Definitions for Communications Devices 1.2; PSTN subclass 1.2, tables 13 and 18.
    """

    SET_CODING: ClassVar[int] = 0x20
    GET_CODING: ClassVar[int] = 0x21
    SET_LINES: ClassVar[int] = 0x22
    COMMUNICATIONS: ClassVar[tuple[int, int, int]] = (2, 2, 1)

    first: int = 0
    number: int = 1  # of its bulk endpoints; the one after it tells of line states
    interfaces: int = 2
    coding: bytes = struct.pack("<IBBB", 9600, 0, 0, 8)
    lines: int = 0
    heard: bytearray = field(default_factory=bytearray)

    @property
    def parts(self) -> bytes:
        """Both interfaces with their endpoints."""
        control, data = self.first, self.first + 1
        return b"".join(
            (
                association(control, 2, self.COMMUNICATIONS),
                interface(control, 1, self.COMMUNICATIONS),
                descriptor(0x24, b"\x00\x10\x01"),
                descriptor(0x24, bytes([1, 0, data])),
                descriptor(0x24, b"\x02\x02"),
                descriptor(0x24, bytes([6, control, data])),
                endpoint(TO_HOST | self.number + 1, INTERRUPT, 8, 9),
                interface(data, 2, (10, 0, 0)),
                endpoint(TO_HOST | self.number, BULK, PACKET),
                endpoint(self.number, BULK, PACKET),
            )
        )

    def owns(self, number: int) -> bool:
        """Its two endpoints."""
        return number in {self.number, self.number + 1}

    def control(self, setup: Setup, data: bytes) -> bytes | None:
        """Line coding and control lines."""
        if setup.index != self.first:
            return None
        match setup.kind, setup.request:
            case 0x21, self.SET_CODING:
                self.coding = data
            case 0x21, self.SET_LINES:
                self.lines = setup.value
            case 0xA1, self.GET_CODING:
                return self.coding
            case _:
                return None
        return b""

    def take(self, number: int, data: bytes) -> None:
        """What was typed at it comes back."""
        self.heard += data

    def give(self, number: int, length: int) -> bytes | None:
        """The echo."""
        if number != self.number or not self.heard:
            return None
        told = bytes(self.heard[:length])
        del self.heard[:length]
        return told


@dataclass(slots=True)
class Keyboard:
    """A boot keyboard; `press` types a key by its usage number.

    Source: Device Class Definition for HID 1.11, appendix B.1 and E.
    """

    REPORT: ClassVar[bytes] = bytes.fromhex(
        "05010906a101050719e029e71500250175019508810295017508810395057501050819012905910295017503910395067508150025650507"
        "190029658100c0"
    )
    REPORT_KIND: ClassVar[int] = 0x22

    first: int = 0
    number: int = 1
    interfaces: int = 1
    reports: deque[bytes] = field(default_factory=deque)

    @property
    def parts(self) -> bytes:
        """One interface with its interrupt endpoint."""
        length = len(self.REPORT)
        return (
            interface(self.first, 1, (3, 1, 1))
            + descriptor(0x21, struct.pack("<HBBBH", 0x0111, 0, 1, self.REPORT_KIND, length))
            + endpoint(TO_HOST | self.number, INTERRUPT, 8, 7)
        )

    def press(self, usage: int) -> None:
        """Down and up again."""
        self.reports += (bytes([0, 0, usage, 0, 0, 0, 0, 0]), bytes(8))

    def owns(self, number: int) -> bool:
        """Its endpoint."""
        return number == self.number

    def control(self, setup: Setup, data: bytes) -> bytes | None:
        """The report's description; how often and in which form it reports is all the same to it."""
        if setup.index != self.first:
            return None
        if (setup.kind, setup.request, setup.value >> 8) == (STANDARD_IN, 6, self.REPORT_KIND):
            return self.REPORT
        return b"" if setup.kind == CLASS_OUT else None

    def take(self, number: int, data: bytes) -> None:
        """It hears nothing."""

    def give(self, number: int, length: int) -> bytes | None:
        """The next report."""
        return self.reports.popleft()[:length] if self.reports else None


@dataclass(slots=True)
class Stick:
    """A memory stick (bulk only, SCSI) over the bytes `blocks`.

    Source: USB Mass Storage Class, Bulk-Only Transport 1.0; SPC-4 and SBC-3 for the commands.
    """

    BLOCK: ClassVar[int] = 512
    WRAPPER: ClassVar[struct.Struct] = struct.Struct("<4sIIBBB16s")
    GOOD, FAILED = 0, 1
    NOT_UNDERSTOOD: ClassVar[tuple[int, int]] = (0x05, 0x20)  # sense key and additional code
    MEDIUM_CHANGED: ClassVar[tuple[int, int]] = (0x06, 0x28)
    ALWAYS: ClassVar[frozenset[int]] = frozenset({0x03, 0x12})  # a change of the medium keeps no one from these

    blocks: bytearray
    first: int = 0
    number: int = 3
    interfaces: int = 1
    writable: bool = True
    _changed: bool = False
    _out: deque[bytes] = field(default_factory=deque)
    _write: tuple[int, int, bytes] | None = None  # where, how much is still to come, the status's head
    _sense: bytes = bytes(18)

    @property
    def parts(self) -> bytes:
        """One interface with two bulk endpoints."""
        return (
            interface(self.first, 2, (8, 6, 0x50))
            + endpoint(TO_HOST | self.number, BULK, PACKET)
            + endpoint(self.number, BULK, PACKET)
        )

    def owns(self, number: int) -> bool:
        """Its two endpoints."""
        return number == self.number

    def control(self, setup: Setup, data: bytes) -> bytes | None:
        """How many units (one), and the reset."""
        if setup.index != self.first:
            return None
        match setup.kind, setup.request:
            case 0xA1, 0xFE:
                return b"\0"
            case 0x21, 0xFF:
                self._out.clear()
                self._write = None
                return b""
        return None

    def take(self, number: int, data: bytes) -> None:
        """A command, or what it is to write."""
        if self._write is not None:
            self._written(data)
        elif len(data) == self.WRAPPER.size and data.startswith(b"USBC"):
            _, tag, wanted, _, _, _, command = self.WRAPPER.unpack(data)
            self._command(tag, wanted, command)

    def change(self, blocks: bytearray) -> None:
        """Another medium; the host hears of it when it asks for something."""
        self.blocks, self._changed = blocks, True

    def _written(self, data: bytes) -> None:
        assert self._write is not None
        place, left, status = self._write
        data = data[:left]
        self.blocks[place : place + len(data)] = data
        self._write = (place + len(data), left - len(data), status)
        if left == len(data):
            self._write = None
            self._out.append(status)

    def _command(self, tag: int, wanted: int, command: bytes) -> None:
        if self._changed and command[0] not in self.ALWAYS:
            self._changed = False
            self._refuse(tag, wanted, self.MEDIUM_CHANGED)
        else:
            self._obey(tag, wanted, command)

    def _obey(self, tag: int, wanted: int, command: bytes) -> None:
        count = len(self.blocks) // self.BLOCK
        place, blocks = struct.unpack_from(">I", command, 2)[0], struct.unpack_from(">H", command, 7)[0]
        inside = place + blocks <= count
        answer: bytes | None
        match command[0]:
            case 0x00 | 0x1B | 0x1E | 0x35:  # ready, start, lock, flush
                answer = b""
            case 0x03:
                answer, self._sense = self._sense, bytes(18)
            case 0x12 if not command[1] & 1:
                answer = bytes([0, 0x80, 4, 2, 31, 0, 0, 0]) + b"QVD     Software stick  1.0 "
            case 0x1A:
                answer = bytes([3, 0, 0 if self.writable else 0x80, 0])
            case 0x25:
                answer = struct.pack(">II", count - 1, self.BLOCK)
            case 0x28 if inside:
                answer = bytes(self.blocks[place * self.BLOCK : (place + blocks) * self.BLOCK])
            case 0x2A if inside and self.writable:
                self._write = (place * self.BLOCK, blocks * self.BLOCK, self._status(tag, self.GOOD, 0))
                return
            case _:
                answer = None
        if answer is None:
            self._refuse(tag, wanted, self.NOT_UNDERSTOOD)
            return
        answer = answer[:wanted]
        if wanted:
            self._out.append(answer)
        self._out.append(self._status(tag, self.GOOD, wanted - len(answer)))

    def _refuse(self, tag: int, wanted: int, sense: tuple[int, int]) -> None:
        key, code = sense
        self._sense = bytes([0x70, 0, key, 0, 0, 0, 0, 10, 0, 0, 0, 0, code]) + bytes(5)
        self._out += (b"", self._status(tag, self.FAILED, wanted)) if wanted else (self._status(tag, 1, 0),)

    @staticmethod
    def _status(tag: int, status: int, residue: int) -> bytes:
        return struct.pack("<4sIIB", b"USBS", tag, residue, status)

    def give(self, number: int, length: int) -> bytes | None:
        """Data, then the command's status; a transfer shorter than what there is takes a part of it."""
        if not self._out:
            return None
        data = self._out.popleft()
        if len(data) > length:
            self._out.appendleft(data[length:])
        return data[:length]


@dataclass(slots=True)
class Speaker:
    """A loudspeaker (USB Audio 1.0): a control interface, and a stream whose second setting is isochronous.

    Source: USB Device Class Definition for Audio Devices 1.0, appendix B.
    """

    first: int = 0
    number: int = 5
    interfaces: int = 2

    @property
    def parts(self) -> bytes:
        """Both interfaces; only alternate setting 1 of the stream has the endpoint."""
        stream = self.first + 1
        terminals = descriptor(0x24, bytes([2, 1, 1, 1, 0, 2, 3, 0, 0, 0])) + descriptor(
            0x24, bytes([3, 2, 1, 3, 0, 1, 0])
        )
        header = descriptor(0x24, struct.pack("<BHHBB", 1, 0x0100, 9 + len(terminals), 1, stream))
        return b"".join(
            (
                interface(self.first, 0, (1, 1, 0)),
                header,
                terminals,
                interface(stream, 0, (1, 2, 0)),
                interface(stream, 1, (1, 2, 0), alternate=1),
                descriptor(0x24, bytes([1, 1, 1, 1, 0])),
                descriptor(0x24, bytes([2, 1, 2, 2, 16, 1]) + (48000).to_bytes(3, "little")),
                self.endpoint,
                descriptor(0x25, bytes([1, 0, 0, 0, 0])),
            )
        )

    @property
    def endpoint(self) -> bytes:
        """The isochronous endpoint, in the long form that audio devices use."""
        return descriptor(5, struct.pack("<BBHBBB", self.number, 8 | ISOCHRONOUS, 192, 4, 0, 0))

    def owns(self, number: int) -> bool:
        """Its endpoint, which Device answers by itself."""
        return False

    def control(self, setup: Setup, data: bytes) -> bytes | None:
        """It has no volume."""
        return None

    def take(self, number: int, data: bytes) -> None:
        """Nobody hears it."""

    def give(self, number: int, length: int) -> bytes | None:
        """It says nothing."""
        return None


@dataclass(slots=True)
class Adapter:
    """A network adapter (CDC Ethernet) behind which nobody is; `sent` is what the host sent.

    Its address is string 4, which `Device.raw` has to have.
    Source: USB CDC Subclass Specification for Ethernet Control Model Devices 1.2, chapter 5.
    """

    CONTROL: ClassVar[tuple[int, int, int]] = (2, 6, 0)
    ADDRESS: ClassVar[int] = 4
    LONGEST: ClassVar[int] = 1514

    first: int = 0
    number: int = 6  # of its bulk endpoints; the one after it tells of the link
    interfaces: int = 2
    sent: list[bytes] = field(default_factory=list)

    @property
    def parts(self) -> bytes:
        """Both interfaces; only the second setting of the data interface has endpoints."""
        control, data = self.first, self.first + 1
        return b"".join(
            (
                association(control, 2, self.CONTROL),
                interface(control, 1, self.CONTROL),
                descriptor(0x24, b"\x00\x10\x01"),
                descriptor(0x24, bytes([6, control, data])),
                descriptor(0x24, struct.pack("<BBIHHB", 0x0F, self.ADDRESS, 0, self.LONGEST, 0, 0)),
                endpoint(TO_HOST | self.number + 1, INTERRUPT, 16, 9),
                interface(data, 0, (10, 0, 0)),
                interface(data, 2, (10, 0, 0), alternate=1),
                endpoint(TO_HOST | self.number, BULK, PACKET),
                endpoint(self.number, BULK, PACKET),
            )
        )

    def owns(self, number: int) -> bool:
        """Its two endpoints."""
        return number in {self.number, self.number + 1}

    def control(self, setup: Setup, data: bytes) -> bytes | None:
        """Which packets it is to pass on is all the same to it."""
        return b"" if setup.index == self.first and setup.kind == CLASS_OUT else None

    def take(self, number: int, data: bytes) -> None:
        """A frame, or a part of one."""
        self.sent.append(data)

    def give(self, number: int, length: int) -> bytes | None:
        """Nobody sends anything."""
        return None
