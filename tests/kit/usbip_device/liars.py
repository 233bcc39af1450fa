"""PURE: devices that lie: in their records, in their descriptors, and by when they say what.

Each liar is named by its lie. `EXPECTED` is how an agent that refuses isochronous devices must end it: with the Problem
it is refused for, as a failure, or let through because the lie harms nobody; where kernels differ in that, either.
"""

import random
import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from .descriptors import (
    BULK,
    CONFIGURATION,
    DEVICE,
    ISOCHRONOUS,
    MISCELLANEOUS,
    STRING,
    Identity,
    configuration,
    descriptor,
    endpoint,
    interface,
)
from .device import GET_DESCRIPTOR, SET_CONFIGURATION, Device
from .functions import Serial, Speaker
from .records import Packet, Reply, Request, Returned, Submit, Unlinked, encode

REFUSED_ISOCHRONOUS = "isochronous-unsafe"
REFUSED = "device-refused"
REFUSED_HUB = "device-is-hub"
FAILED = "failed"
HARMLESS = "harmless"
EITHER = "harmless or failed"
Lie = Callable[[Request, list[Reply]], Iterable[Reply | bytes]]
HANG_UP = b""
IDENTITY = Identity(vendor=0x1209, product=0x00EE, serial="liar", name="Honest speaker")


@dataclass(slots=True, kw_only=True)
class Liar:
    """A device, what it makes of its answers, and what it declares before it is asked anything."""

    device: Device
    lie: Lie | None = None
    expected: str = FAILED
    speed: int = 3
    delay: float = 0  # seconds before each answer

    def answer(self, request: Request) -> Iterable[Reply | bytes]:
        """What it says instead of the truth."""
        replies = list(self.device.answer(request))
        return self.lie(request, replies) if self.lie is not None else replies


# lies in records -----------------------------------------------------------------------------------------------------
def every(**changes: Any) -> Lie:
    """Each answer with these fields instead."""

    def lie(_: Request, replies: list[Reply]) -> Iterator[Reply]:
        for each in replies:
            yield replace(each, **changes) if isinstance(each, Returned) else each

    return lie


def cut(length: int) -> Lie:
    """The first answer up to a byte, then the connection ends."""

    def lie(_: Request, replies: list[Reply]) -> Iterator[Reply | bytes]:
        if replies:
            yield encode(replies[0])[:length]
            yield HANG_UP

    return lie


def raw(*parts: bytes) -> Lie:
    """These bytes, whatever was asked, then the connection ends."""

    def lie(_: Request, __: list[Reply]) -> Iterator[bytes]:
        yield from parts
        yield HANG_UP

    return lie


def silence(_: Request, __: list[Reply]) -> Iterator[Reply]:
    """Nothing, ever."""
    return iter(())


def twice(_: Request, replies: list[Reply]) -> Iterator[Reply]:
    """Every answer once more."""
    for each in replies:
        yield each
        yield each


def unasked(_: Request, replies: list[Reply]) -> Iterator[Reply]:
    """Answers to what nobody asked, before the true one."""
    yield Unlinked(seqnum=0x7FFFFFFF)
    yield Unlinked(seqnum=0, status=-104)
    yield from replies


def stall_configuration(request: Request, replies: list[Reply]) -> Iterator[Reply]:
    """It will not be configured."""
    asked = isinstance(request, Submit) and (request.setup.kind, request.setup.request) == (0, SET_CONFIGURATION)
    for each in replies:
        yield replace(each, status=-32, actual=0) if asked and isinstance(each, Returned) else each


# lies in descriptors -------------------------------------------------------------------------------------------------
HARMLESS_PART = interface(0, 2, (255, 0, 0)) + endpoint(0x81, BULK, 512) + endpoint(0x01, BULK, 512)
STREAM_PART = interface(0, 1, (255, 0, 0)) + endpoint(0x83, ISOCHRONOUS, 1024, 4)
HUB_PART = interface(0, 1, (9, 0, 0)) + endpoint(0x81, 3, 1, 12)
BAD_LENGTH = b"\x00\x05"


def described(*configurations: bytes, identity: Identity = IDENTITY, told: int | None = None) -> Device:
    """A device with these configurations, `told` of them in its device descriptor."""
    count = len(configurations) if told is None else told
    found = {(CONFIGURATION, number): blob for number, blob in enumerate(configurations)}
    return Device(identity=identity, raw={(DEVICE, 0): identity.descriptor(count), **found})


def device_descriptor(blob: bytes) -> Device:
    """A device whose device descriptor is this."""
    return Device(identity=IDENTITY, functions=(Serial(),), raw={(DEVICE, 0): blob})


def vendor(parts: bytes = HARMLESS_PART, **words: int) -> bytes:
    """A configuration of one interface."""
    return configuration(parts, 1, **words)


def full_length() -> bytes:
    """A configuration as long as one can be, with nothing in it that a driver wants."""
    filler = descriptor(0x24, bytes(253))
    room = 65535 - 9 - len(HARMLESS_PART)
    parts = HARMLESS_PART + filler * (room // 255)
    rest = 65535 - 9 - len(parts)
    return configuration(parts + (descriptor(0x24, bytes(rest - 2)) if rest >= 2 else b""), 1)


@dataclass(slots=True)
class Changing:
    """A configuration that becomes another one after some reads of it."""

    before: bytes
    after: bytes
    reads: int
    _read: int = 0

    def lie(self, request: Request, replies: list[Reply]) -> Iterator[Reply]:
        """The truth, except about the configuration."""
        if not isinstance(request, Submit) or request.setup.request != GET_DESCRIPTOR:
            return iter(replies)
        if request.setup.value >> 8 != CONFIGURATION:
            return iter(replies)
        self._read += 1
        blob = (self.before if self._read <= self.reads else self.after)[: request.setup.length]
        return iter([Returned(seqnum=request.seqnum, actual=len(blob), data=blob)])


def serial() -> Device:
    """An honest device, for those who lie otherwise."""
    return Device(identity=replace(IDENTITY, classes=MISCELLANEOUS), functions=(Serial(),))


def speaker() -> Device:
    """An honest speaker."""
    return Device(identity=IDENTITY, functions=(Speaker(),))


def _records() -> dict[str, Liar]:
    noise = random.Random(31607)
    unknown = struct.pack(">5I", 0x7777, 1, 0, 0, 0) + bytes(28)
    return {
        "length-huge": Liar(device=speaker(), lie=every(actual=0x7FFFFFFF)),
        "length-negative": Liar(device=speaker(), lie=every(actual=-1)),
        "length-one-more": Liar(device=speaker(), lie=every(actual=66)),
        "packets-many": Liar(device=serial(), lie=every(packets_told=1024), expected=EITHER),
        "packets-negative": Liar(device=serial(), lie=every(packets_told=-2), expected=EITHER),
        "errors-and-frames": Liar(device=serial(), lie=every(errors=-5, start_frame=-9), expected=HARMLESS),
        "status-odd": Liar(device=speaker(), lie=every(status=12345), expected=REFUSED_ISOCHRONOUS),
        "status-shutdown": Liar(device=speaker(), lie=every(status=-108)),
        "seqnum-wrong": Liar(device=speaker(), lie=every(seqnum=0x7FFFFFF0)),
        "answers-twice": Liar(device=speaker(), lie=twice),
        "answers-unasked": Liar(device=serial(), lie=unasked, expected=HARMLESS),
        "command-unknown": Liar(device=speaker(), lie=every(command=0x7777)),
        "command-of-the-host": Liar(device=speaker(), lie=every(command=1)),
        "cut-in-the-head": Liar(device=speaker(), lie=cut(20)),
        "cut-in-the-data": Liar(device=speaker(), lie=cut(50)),
        "noise": Liar(device=speaker(), lie=raw(noise.randbytes(4096))),
        "unknown-record": Liar(device=speaker(), lie=raw(unknown)),
        "silence": Liar(device=speaker(), lie=silence),
        "late": Liar(device=speaker(), delay=0.15, expected=REFUSED_ISOCHRONOUS),
        "not-configured": Liar(device=serial(), lie=stall_configuration),
    }


def _descriptions() -> dict[str, Liar]:
    stream, plain = vendor(STREAM_PART), vendor()
    behind = vendor(HARMLESS_PART + BAD_LENGTH + STREAM_PART)
    keyboard = replace(IDENTITY, name="Keyboard", classes=(3, 1, 1))
    odd = replace(IDENTITY, maker="\u202egnp.exe\x1b[2J\n", name="\ud800\x07" * 40, serial="../../etc\0")
    found = {
        "speaker": Liar(device=speaker(), expected=REFUSED_ISOCHRONOUS),
        "declared-super-speed": Liar(device=speaker(), speed=5),
        "declared-low-speed": Liar(device=speaker(), speed=1),
        "says-keyboard": Liar(device=described(stream, identity=keyboard), expected=REFUSED_ISOCHRONOUS),
        "alternate-setting": Liar(
            device=described(vendor(HARMLESS_PART + interface(0, 1, (255, 0, 0), 7) + endpoint(0x83, 0x25, 64, 1))),
            expected=REFUSED_ISOCHRONOUS,
        ),
        "second-configuration": Liar(device=described(plain, stream), expected=REFUSED_ISOCHRONOUS),
        "behind-a-long-configuration": Liar(device=described(full_length(), stream), expected=REFUSED),
        "behind-a-bad-length": Liar(device=described(behind), expected=HARMLESS),
        "total-length-short": Liar(device=described(vendor(HARMLESS_PART + STREAM_PART, total=9)), expected=HARMLESS),
        "total-length-long": Liar(device=described(vendor(STREAM_PART, total=65535)), expected=REFUSED_ISOCHRONOUS),
        "total-length-zero": Liar(device=described(vendor(STREAM_PART, total=0)), expected=HARMLESS),
        "descriptor-of-no-length": Liar(device=described(vendor(b"\0" * 64)), expected=HARMLESS),
        "interfaces-many": Liar(device=described(configuration(STREAM_PART * 60, 255)), expected=REFUSED_ISOCHRONOUS),
        "configurations-many": Liar(device=described(plain, told=255), expected=EITHER),
        "configurations-none": Liar(device=described(told=0)),
        "endpoints-reserved": Liar(
            device=described(vendor(interface(0, 255, (255, 0, 0)) + endpoint(0x70, 1, 0xFFFF, 255))),
            expected=REFUSED_ISOCHRONOUS,
        ),
        "hub": Liar(device=described(vendor(HUB_PART)), expected=REFUSED_HUB),
        "strings": Liar(device=described(stream, identity=odd), expected=REFUSED_ISOCHRONOUS),
        "device-descriptor-short": Liar(device=device_descriptor(IDENTITY.descriptor()[:8])),
        "device-descriptor-empty": Liar(device=device_descriptor(b"")),
        "device-descriptor-other": Liar(device=device_descriptor(descriptor(STRING, bytes(16)))),
    }
    for name, before, after, expected in (
        ("shows-it-second", plain, stream, REFUSED_ISOCHRONOUS),
        ("hides-it-second", stream, plain, HARMLESS),
    ):
        changing = Changing(before=before, after=after, reads=1)
        found[name] = Liar(device=described(plain), lie=changing.lie, expected=expected)
    return found


def all_liars() -> dict[str, Liar]:
    """Every liar by its name, each new."""
    return {**_records(), **_descriptions()}


def streams() -> dict[str, Liar]:
    """Devices with an isochronous endpoint (0x83) that tell the truth until something is streamed.

    Source: CVE-2026-31607: what each lie would have done to a kernel without the fix.
    """

    def lying(**changes: Any) -> Liar:
        def lie(request: Request, replies: list[Reply]) -> Iterator[Reply]:
            streaming = isinstance(request, Submit) and bool(request.packets)
            for each in replies:
                yield replace(each, **changes) if streaming and isinstance(each, Returned) else each

        return Liar(device=described(vendor(STREAM_PART)), lie=lie, expected=HARMLESS)

    wraps = tuple(Packet(offset=0, length=64, actual=0xFFFFFFF0) for _ in range(8))
    outside = tuple(Packet(offset=0x7FFFFF00, length=64, actual=64) for _ in range(8))
    return {
        "more-packets": lying(packets_told=4096),
        "packets-below-zero": lying(packets_told=-1),
        "fewer-packets": lying(packets_told=1),
        "packets-that-wrap": lying(packets=wraps, actual=512),
        "packets-outside": lying(packets=outside, actual=512),
        "longer-than-asked": lying(actual=1 << 20),
    }


def after_reset() -> Liar:
    """Plain as long as it is enumerated; whoever resets it finds a stream. The kernel reads a configuration twice."""
    changing = Changing(before=vendor(), after=vendor(STREAM_PART), reads=2)
    return Liar(device=described(vendor()), lie=changing.lie, expected=HARMLESS)
