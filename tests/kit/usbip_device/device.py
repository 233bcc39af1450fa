"""PURE: a device: it answers what vhci_hcd asks; transfers that have nothing to say yet wait."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Protocol

from .descriptors import CONFIGURATION, DEVICE, STRING, Identity, configuration, languages, string
from .records import ECONNRESET, EPIPE, Reply, Request, Returned, Setup, Submit, Unlinked

GET_STATUS, SET_ADDRESS, GET_DESCRIPTOR, GET_CONFIGURATION, GET_INTERFACE = 0, 5, 6, 8, 10
CLEAR_FEATURE, SET_FEATURE, SET_CONFIGURATION, SET_INTERFACE = 1, 3, 9, 11
TO_HOST = 0x80
KIND, STANDARD = 0x60, 0x00
QUIET = frozenset({CLEAR_FEATURE, SET_FEATURE, SET_ADDRESS, SET_CONFIGURATION, SET_INTERFACE})
SMALL = {GET_STATUS: b"\0\0", GET_CONFIGURATION: b"\1", GET_INTERFACE: b"\0"}


class Function(Protocol):
    """What a device does, on interfaces and endpoints of its own."""

    @property
    def interfaces(self) -> int:
        """How many interfaces it has."""

    @property
    def parts(self) -> bytes:
        """Their descriptors, endpoints included."""

    def owns(self, number: int) -> bool:
        """Whether an endpoint (without its direction) is this function's."""

    def control(self, setup: Setup, data: bytes) -> bytes | None:
        """The answer to a class or interface request; None: it is not known here."""

    def take(self, number: int, data: bytes) -> None:
        """Bytes for the device."""

    def give(self, number: int, length: int) -> bytes | None:
        """Bytes for the host, at most so many; None: nothing yet."""


@dataclass(slots=True, kw_only=True)
class Device:
    """Identity and functions behind one connection.

    Args:
        raw: descriptors that replace what the functions would say; by kind and number.
    """

    identity: Identity
    functions: tuple[Function, ...] = ()
    raw: dict[tuple[int, int], bytes] = field(default_factory=dict)
    _waiting: dict[int, deque[Submit]] = field(default_factory=dict)

    def descriptor(self, kind: int, number: int) -> bytes | None:
        """A descriptor, or None for one that it has not."""
        if (kind, number) in self.raw:
            return self.raw[kind, number]
        if kind == DEVICE:
            return self.identity.descriptor()
        if kind == CONFIGURATION and number == 0:
            parts = b"".join(each.parts for each in self.functions)
            return configuration(parts, sum(each.interfaces for each in self.functions))
        if kind == STRING and number == 0:
            return languages()
        if kind == STRING and number <= len(self.identity.strings) and self.identity.strings[number - 1]:
            return string(self.identity.strings[number - 1])
        return None

    def answer(self, request: Request) -> Iterator[Reply]:
        """What is answered now: to this request, and to earlier ones that it gives something to say."""
        if not isinstance(request, Submit):
            yield self._unlink(request.victim, request.seqnum)
        elif request.endpoint == 0:
            yield self._control(request)
        elif request.packets:
            yield isochronous(request)
        elif request.to_host:
            self._waiting.setdefault(request.endpoint, deque()).append(request)
        else:
            for function in self._of(request.endpoint):
                function.take(request.endpoint, request.data)
            yield Returned(seqnum=request.seqnum, actual=len(request.data))
        yield from self.due()

    def due(self) -> Iterator[Reply]:
        """Answers to transfers that waited and have something to say by now."""
        for number, waiting in self._waiting.items():
            for function in self._of(number):
                while waiting and (data := function.give(number, waiting[0].length)) is not None:
                    yield Returned(seqnum=waiting.popleft().seqnum, actual=len(data), data=data)

    def _of(self, number: int) -> Iterator[Function]:
        return (function for function in self.functions if function.owns(number))

    def _unlink(self, victim: int, seqnum: int) -> Unlinked:
        for waiting in self._waiting.values():
            for each in waiting:
                if each.seqnum == victim:
                    waiting.remove(each)
                    return Unlinked(seqnum=seqnum, status=-ECONNRESET)
        return Unlinked(seqnum=seqnum)

    def _control(self, request: Submit) -> Returned:
        data = self._controlled(request.setup, request.data)
        if data is None:
            return Returned(seqnum=request.seqnum, status=-EPIPE)
        if not request.to_host:
            return Returned(seqnum=request.seqnum, actual=len(request.data))
        data = data[: min(request.length, request.setup.length)]
        return Returned(seqnum=request.seqnum, actual=len(data), data=data)

    def _controlled(self, setup: Setup, data: bytes) -> bytes | None:
        if setup.kind & KIND == STANDARD:
            if setup.request == GET_DESCRIPTOR and setup.kind == TO_HOST:
                return self.descriptor(setup.value >> 8, setup.value & 0xFF)
            if setup.request in QUIET:
                return b""
            if setup.request in SMALL:
                return SMALL[setup.request]
        answers = (function.control(setup, data) for function in self.functions)
        return next((answer for answer in answers if answer is not None), None)


def isochronous(request: Submit) -> Returned:
    """The honest answer: every packet went, or came as silence."""
    packets = tuple(replace(packet, actual=packet.length) for packet in request.packets)
    data = bytes(sum(packet.length for packet in packets)) if request.to_host else b""
    return Returned(seqnum=request.seqnum, actual=sum(each.length for each in packets), data=data, packets=packets)
