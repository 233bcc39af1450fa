"""A small interpreter of the instructions that device programs are made of."""

import struct
from typing import Any

from server_agent.kernel import bpf
from server_agent.kernel.lxc_program import decoded

STACK = 512
Entries = dict[tuple[int, int, int], int]


def verdict(program: bytes, entries: Entries, kind: int, major: int, minor: int, access: int) -> int:  # noqa: C901, PLR0912 (one table)
    """Run a program as the kernel would; `entries` is the one map it may use.

    Pointers are ("ctx" | "fp" | "map" | "value", offset or value); anything else is a number.
    """
    context = struct.pack("=III", access << 16 | kind, major & 0xFFFFFFFF, minor & 0xFFFFFFFF)
    stack = bytearray(STACK)
    registers: list[Any] = [None] * 11
    registers[1], registers[10] = ("ctx", 0), ("fp", 0)
    code = decoded(program)
    at = 0
    for _ in range(2000):
        operation, dst, src, off, imm = code[at]
        at += 1
        match operation:
            case bpf.LOAD_MAP:
                assert src == bpf.PSEUDO_MAP_FD
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
            case bpf.JUMP_NOT_EQUAL:
                at += off if registers[dst] != imm & 0xFFFFFFFF else 0
            case bpf.JUMP_NOT_EQUAL_REGISTER:
                at += off if registers[dst] != registers[src] else 0
            case bpf.EXIT:
                return int(registers[0])
            case _:
                raise AssertionError(operation)
    raise AssertionError("does not end")
