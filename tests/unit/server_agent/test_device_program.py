"""The device program, run by a small interpreter of the same instructions: what it allows, by number and access."""

import struct
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from qvd_usbip.ids import DevNum
from server_agent.kernel import bpf
from server_agent.kernel.cgroup_v2_map import ANY, BASE, KINDS, MKNOD, READ, WRITE, key_of, program, right_of
from server_agent.state import Right

MAP_FD = 77
STACK = 512


def decoded(code: bytes) -> list[tuple[int, int, int, int, int]]:
    rows = struct.iter_unpack("=BBhi", code)
    return [(operation, registers & 15, registers >> 4, off, imm) for operation, registers, off, imm in rows]


def verdict(entries: dict[tuple[int, int, int], int], kind: int, major: int, minor: int, access: int) -> int:  # noqa: C901, PLR0912 (one table)
    """Run the assembled bytes as the kernel would.

    Pointers are ("ctx" | "fp" | "map" | "value", offset or value); anything else is a number.
    """
    context = struct.pack("=III", access << 16 | kind, major & 0xFFFFFFFF, minor & 0xFFFFFFFF)
    stack = bytearray(STACK)
    registers: list[Any] = [None] * 11
    registers[1], registers[10] = ("ctx", 0), ("fp", 0)
    code = decoded(bpf.assemble(program(MAP_FD)))
    at = 0
    for _ in range(200):
        operation, dst, src, off, imm = code[at]
        at += 1
        match operation:
            case bpf.LOAD_MAP:
                assert (src, imm) == (bpf.PSEUDO_MAP_FD, MAP_FD)
                assert code[at] == (0, 0, 0, 0, 0)
                registers[dst], at = ("map", 0), at + 1
            case bpf.MOVE:
                registers[dst] = registers[src]
            case bpf.MOVE_WORD:
                registers[dst] = int(registers[src]) & 0xFFFFFFFF
            case bpf.MOVE_IMMEDIATE:
                registers[dst] = imm
            case bpf.ADD:
                name, place = registers[dst]
                registers[dst] = (name, place + imm)
            case bpf.AND:
                registers[dst] = int(registers[dst]) & int(registers[src])
            case bpf.AND_WORD:
                registers[dst] = int(registers[dst]) & imm & 0xFFFFFFFF
            case bpf.SHIFT_RIGHT_WORD:
                registers[dst] = int(registers[dst]) >> imm
            case bpf.LOAD_WORD:
                name, place = registers[src]
                if name == "ctx":
                    registers[dst] = struct.unpack_from("=I", context, off)[0]
                else:
                    assert name == "value"
                    registers[dst] = place
            case bpf.STORE_WORD | bpf.STORE_IMMEDIATE:
                value = registers[src] if operation == bpf.STORE_WORD else imm & 0xFFFFFFFF
                assert registers[dst] == ("fp", 0)
                struct.pack_into("=I", stack, STACK + off, value)
            case bpf.CALL:
                assert imm == bpf.MAP_LOOKUP_ELEM
                assert registers[1] == ("map", 0)
                name, place = registers[2]
                key = struct.unpack_from("=III", stack, STACK + place)
                found = entries.get(key)
                registers[:6] = [0 if found is None else ("value", found), *[None] * 5]
            case bpf.JUMP_EQUAL:
                at += off if registers[dst] == imm else 0
            case bpf.JUMP_NOT_EQUAL_REGISTER:
                at += off if registers[dst] != registers[src] else 0
            case bpf.EXIT:
                return int(registers[0])
            case _:
                raise AssertionError(operation)
    raise AssertionError("does not end")


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
    assert verdict(entries, kind, major, minor, access) == int(expected)


def test_the_base_list_lets_nodes_be_made_but_no_device_be_opened() -> None:
    for kind in KINDS.values():
        assert verdict(BASE, kind, 189, 5, MKNOD)
        for access in (READ, WRITE, READ | WRITE, MKNOD | READ):
            assert not verdict(BASE, kind, 189, 5, access)
            assert not verdict(BASE, kind, 8, 0, access)


def test_the_base_list_has_what_a_system_needs() -> None:
    for major, minor in (
        (1, 3),
        (1, 5),
        (1, 7),
        (1, 8),
        (1, 9),
        (5, 0),
        (5, 1),
        (5, 2),
        (136, 0),
        (136, 77),
        (10, 229),
    ):
        assert verdict(BASE, KINDS["c"], major, minor, MKNOD | READ | WRITE)
        assert not verdict(BASE, KINDS["b"], major, minor, READ)


def test_a_right_is_for_one_kind_and_one_number() -> None:
    right = Right(kind="c", number=DevNum(189, 5))
    granted = {**BASE, struct.unpack("=III", key_of(right)): READ | WRITE}
    assert verdict(granted, KINDS["c"], 189, 5, READ | WRITE)
    assert not verdict(granted, KINDS["b"], 189, 5, READ)
    assert not verdict(granted, KINDS["c"], 189, 6, READ)
    assert not verdict(granted, KINDS["c"], 188, 5, READ)


def test_keys_say_which_right_they_are_and_the_base_list_is_none() -> None:
    right = Right(kind="b", number=DevNum(8, 17))
    assert right_of(key_of(right)) == right
    assert [right_of(struct.pack("=III", *key)) for key in BASE] == [None] * len(BASE)
