"""The device program, run by a small interpreter of the same instructions: what it allows, by number and access."""

import struct

from hypothesis import given
from hypothesis import strategies as st

from qvd_usbip.ids import DevNum
from server_agent.kernel import bpf
from server_agent.kernel.cgroup_v2_map import ANY, BASE, KINDS, MKNOD, READ, WRITE, key_of, program, right_of
from server_agent.state import Right
from tests.unit.server_agent.device_machine import Entries, verdict

MAP_FD = 77


def allowed(entries: Entries, kind: int, major: int, minor: int, access: int) -> int:
    return verdict(bpf.assemble(program(MAP_FD)), entries, kind, major, minor, access)


numbers = st.integers(0, 5)
accesses = st.integers(1, 7)
entries = st.dictionaries(
    st.tuples(st.sampled_from([1, 2]), numbers | st.just(ANY), numbers | st.just(ANY)), st.integers(0, 7), max_size=12
)


@given(entries, st.sampled_from([1, 2]), numbers, numbers, accesses)
def test_allowed_exactly_when_one_entry_has_every_asked_bit(
    entries: dict[tuple[int, int, int], int], kind: int, major: int, minor: int, access: int
) -> None:
    keys = ((kind, major, minor), (kind, major, ANY), (kind, ANY, ANY))
    expected = any(entries.get(key, 0) & access == access for key in keys)
    assert allowed(entries, kind, major, minor, access) == int(expected)


def test_the_base_list_lets_nodes_be_made_but_no_device_be_opened() -> None:
    for kind in KINDS.values():
        assert allowed(BASE, kind, 189, 5, MKNOD)
        for access in (READ, WRITE, READ | WRITE, MKNOD | READ):
            assert not allowed(BASE, kind, 189, 5, access)
            assert not allowed(BASE, kind, 8, 0, access)
            assert not allowed(BASE, kind, 5, 1, access), "the host's console"


def test_the_base_list_has_what_a_system_needs() -> None:
    for major, minor in (
        (1, 3),
        (1, 5),
        (1, 7),
        (1, 8),
        (1, 9),
        (5, 0),
        (5, 2),
        (136, 0),
        (136, 77),
        (10, 229),
    ):
        assert allowed(BASE, KINDS["c"], major, minor, MKNOD | READ | WRITE)
        assert not allowed(BASE, KINDS["b"], major, minor, READ)


def test_a_right_is_for_one_kind_and_one_number() -> None:
    right = Right(kind="c", number=DevNum(189, 5))
    granted = {**BASE, struct.unpack("=III", key_of(right)): READ | WRITE}
    assert allowed(granted, KINDS["c"], 189, 5, READ | WRITE)
    assert not allowed(granted, KINDS["b"], 189, 5, READ)
    assert not allowed(granted, KINDS["c"], 189, 6, READ)
    assert not allowed(granted, KINDS["c"], 188, 5, READ)


def test_keys_say_which_right_they_are_and_the_base_list_is_none() -> None:
    right = Right(kind="b", number=DevNum(8, 17))
    assert right_of(key_of(right)) == right
    assert [right_of(struct.pack("=III", *key)) for key in BASE] == [None] * len(BASE)
