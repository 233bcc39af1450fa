"""PURE: reads the device list back out of a program as LXC makes them: a head, then one block of tests per line.

LXC answers no question about its list, but the program that is in force can be read from the kernel. A program of any
other form is refused, so that nothing is believed of it.
"""

import struct
from dataclasses import dataclass

from server_agent.device_list import EVERYTHING, Row
from server_agent.kernel import bpf

# Where LXC's head leaves what is asked for. Source: include/uapi/linux/bpf.h, struct bpf_cgroup_dev_ctx
KIND, ACCESS, MAJOR, MINOR = 2, 3, 4, 5
HEAD = {
    (bpf.LOAD_WORD, KIND, 1, 0, 0),
    (bpf.AND_WORD, KIND, 0, 0, 0xFFFF),
    (bpf.LOAD_WORD, ACCESS, 1, 0, 0),
    (bpf.SHIFT_RIGHT_WORD, ACCESS, 0, 0, 16),
    (bpf.LOAD_WORD, MAJOR, 1, 4, 0),
    (bpf.LOAD_WORD, MINOR, 1, 8, 0),
}
KINDS = {1: "b", 2: "c"}
LETTERS = {"r": 2, "w": 4, "m": 1}  # BPF_DEVCG_ACC_*

Code = tuple[int, int, int, int, int]


@dataclass(slots=True)
class _Reader:
    code: list[Code]
    at: int = 0

    def peek(self) -> Code:
        if self.at >= len(self.code):
            raise ValueError("it ends in the middle")
        return self.code[self.at]

    def next(self) -> Code:
        found = self.peek()
        self.at += 1
        return found


def decoded(program: bytes) -> list[Code]:
    """Each instruction: operation, destination, source, offset, immediate."""
    rows = struct.iter_unpack("=BBhi", program)
    return [(operation, registers & 15, registers >> 4, off, imm) for operation, registers, off, imm in rows]


def rows_of(program: bytes) -> tuple[Row, ...]:
    """The lines the program allows; EVERYTHING for one that only lists what it denies.

    Args:
        program: its instructions, as the kernel shows them.

    Raises:
        ValueError: it is none of LXC's.
    """
    if not program or len(program) % 8:
        raise ValueError("no instructions can be seen")
    reader = _Reader(decoded(program))
    if {reader.next() for _ in HEAD} != HEAD:
        raise ValueError("it begins in another way")
    allowed: list[Row] = []
    while True:
        row, allow, last = _block(reader)
        if last and not allow:
            return tuple(allowed)
        if not allow:
            return (EVERYTHING,)  # an exception from what is allowed: this list opens all the rest
        allowed.append(row)
        if last:
            return tuple(allowed)


def _block(reader: _Reader) -> tuple[Row, bool, bool]:
    """One line: what it tests, what it answers, and whether nothing comes after it."""
    tests: dict[int, int] = {}
    jumps: list[int] = []
    while reader.peek()[0] != bpf.MOVE_IMMEDIATE:
        register, value = _test(reader)
        if register in tests:
            raise ValueError("it tests one thing twice")
        tests[register] = value
        jumps.append(reader.at + reader.code[reader.at - 1][3])
    _, target, _, _, answer = reader.next()
    if target != bpf.R0 or answer not in {0, 1} or reader.next()[0] != bpf.EXIT:
        raise ValueError("it answers in another way")
    if any(jump != reader.at for jump in jumps):
        raise ValueError("it jumps elsewhere")
    last = reader.at == len(reader.code)
    if last and tests:
        raise ValueError("it has no answer for the rest")
    kind = tests.get(KIND)
    if kind is not None and kind not in KINDS:
        raise ValueError("it asks for an unknown kind")
    mask = tests.get(ACCESS, sum(LETTERS.values()))
    row = Row(
        kind="a" if kind is None else "b" if KINDS[kind] == "b" else "c", major=tests.get(MAJOR),
        minor=tests.get(MINOR), access="".join(letter for letter, bit in LETTERS.items() if mask & bit),
    )  # fmt: skip
    return row, bool(answer), last


def _test(reader: _Reader) -> tuple[int, int]:
    """The register one test is about, and the value it wants; for the access, the bits that may be asked for."""
    operation, register, _, _, value = reader.next()
    if operation == bpf.JUMP_NOT_EQUAL and register in {KIND, MAJOR, MINOR}:
        return register, value & 0xFFFFFFFF
    mask, compare = reader.next(), reader.next()
    copied = (operation, register, reader.code[reader.at - 3][2]) == (bpf.MOVE_WORD, 1, ACCESS)
    if not copied or mask[:2] != (bpf.AND_WORD, 1) or compare[:3] != (bpf.JUMP_NOT_EQUAL_REGISTER, 1, ACCESS):
        raise ValueError("it tests in another way")
    return ACCESS, mask[4]
