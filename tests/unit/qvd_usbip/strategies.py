"""What property tests draw from: valid values, and text that hostile devices and peers could send."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from hypothesis import strategies as st

from qvd_usbip.errors import Problem, QvdUsbError
from qvd_usbip.ids import BusId, DevNum, HubId, VidPid

if TYPE_CHECKING:
    from collections.abc import Callable

Given = TypeVar("Given")
Read = TypeVar("Read")

# Few letters that mean something to our grammars are worth more than all of Unicode.
HOSTILE = "\0\n\r\t \x1b\\/.,:;@%-=#!${}[]\"'0123456789abcdefXYZ_\u202e\u2028\uff11\u0663\udc80é"

hostile_text = st.text(alphabet=HOSTILE, max_size=60) | st.text(max_size=40)
hostile_bytes = st.binary(max_size=200) | hostile_text.map(lambda text: text.encode("utf-8", "surrogatepass"))

ports = st.lists(st.integers(1, 255), min_size=1, max_size=7).map(tuple)
busids = st.builds(BusId, st.integers(1, 999), ports).filter(lambda busid: len(str(busid)) <= 31)
vidpids = st.builds(VidPid, st.integers(0, 0xFFFF), st.integers(0, 0xFFFF))
devnums = st.builds(DevNum, st.integers(0, 0xFFF), st.integers(0, 0xFFFFF))
hubs = st.builds(HubId, st.integers(0, 127))
devids = st.builds(lambda bus, dev: bus << 16 | dev, st.integers(1, 0xFFFF), st.integers(1, 127))
uuids = st.uuids(version=4).map(str)
keys = st.text(
    alphabet="abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+/=:_-.", min_size=1, max_size=64
)


def only(problem: Problem, parse: Callable[[Given], Read], given: Given) -> Read | None:
    """What `parse` reads, None if it refuses with this problem; whatever else it raises fails the test."""
    try:
        return parse(given)
    except QvdUsbError as error:
        if error.problem is problem:
            return None
        raise
