"""Device lists: as text, and read back out of LXC's program, which a small interpreter runs for comparison."""

from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qvd_usbip.ids import DevNum
from server_agent import device_list
from server_agent.device_list import BASE, EVERYTHING, Row
from server_agent.kernel import bpf
from server_agent.kernel.bpf import Instruction
from server_agent.kernel.lxc_program import rows_of
from server_agent.state import Right
from tests.unit.server_agent.device_machine import verdict
from tests.unit.server_agent.fake_rights import KINDS, lxc_program, mask

numbers = st.none() | st.integers(0, 4)
accesses = st.sampled_from(["r", "w", "m", "rw", "rm", "wm", "rwm"])
kinds: st.SearchStrategy[Literal["a", "b", "c"]] = st.sampled_from(["a", "b", "c"])
rows = st.builds(Row, kind=kinds, major=numbers, minor=numbers, access=accesses)
# A line that covers all there is leaves nothing after it, neither for LXC nor for the kernel.
lists = st.lists(rows.filter(lambda row: (row.kind, row.major, row.minor, row.access) != ("a", None, None, "rwm")))
rights = st.builds(
    Right, kind=st.sampled_from(["b", "c"]), number=st.builds(DevNum, st.integers(0, 5), st.integers(0, 5))
)


@given(lists)
def test_a_list_is_the_same_after_writing_and_reading(lines: list[Row]) -> None:
    assert device_list.parse("".join(f"{row}\n" for row in lines)) == tuple(lines)


@pytest.mark.parametrize(
    "text", ["c 1:3", "d 1:3 rw", "c 1:3 wr", "c -1:3 rw", "c 1 :3 rw", "c \u0661:3 rw", " c 1:3 rw", "\n"]
)
def test_what_is_no_list_is_no_list(text: str) -> None:
    with pytest.raises(ValueError, match="no line"):
        device_list.parse(text)


@given(lists, rights, st.sampled_from(["r", "w", "m", "rw", "rwm"]), st.booleans())
def test_lxcs_program_is_read_as_it_decides(lines: list[Row], right: Right, access: str, access_first: bool) -> None:
    program = lxc_program(tuple(lines), access_first=access_first)
    found = rows_of(program)
    assert found == tuple(lines)
    decides = verdict(program, {}, KINDS[right.kind], right.number.major, right.number.minor, mask(access))
    assert decides == any(row.covers(right) and set(access) <= set(row.access) for row in found)
    assert device_list.opens(found, right) >= bool(decides and access != "m")


@given(lists)
def test_a_program_that_only_lists_what_it_denies_opens_everything(lines: list[Row]) -> None:
    assert rows_of(lxc_program(tuple(lines), allow=False)) == (EVERYTHING,)
    assert device_list.too_wide(rows_of(lxc_program(tuple(lines), allow=False)))


def after_the_head(*code: Instruction) -> bytes:
    """LXC's head, then what is not LXC's."""
    return lxc_program(())[: 6 * 8] + bpf.assemble(list(code))


YES, NO, EXIT = (*(Instruction(bpf.MOVE_IMMEDIATE, 0, imm=answer) for answer in (1, 0)), Instruction(bpf.EXIT))
MINOR = Instruction(bpf.JUMP_NOT_EQUAL, 5, 0, 3, 7)


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        (b"", "no instructions"),
        (b"1234567", "no instructions"),
        (after_the_head(), "ends in the middle"),
        (after_the_head(MINOR, Instruction(bpf.JUMP_NOT_EQUAL, 5, 0, 2, 8), YES, EXIT, NO, EXIT), "one thing twice"),
        (after_the_head(Instruction(bpf.MOVE_IMMEDIATE, 0, imm=2), EXIT), "answers in another way"),
        (after_the_head(MINOR, YES, EXIT, NO, EXIT), "jumps elsewhere"),
        (after_the_head(Instruction(bpf.JUMP_NOT_EQUAL, 5, 0, 2, 7), YES, EXIT), "no answer for the rest"),
        (after_the_head(Instruction(bpf.JUMP_NOT_EQUAL, 2, 0, 2, 9), YES, EXIT, NO, EXIT), "unknown kind"),
        (after_the_head(YES, NO, EXIT, NO, EXIT), "answers in another way"),
        (after_the_head(EXIT, YES, EXIT, NO, EXIT), "tests in another way"),
    ],
)
def test_a_program_of_another_form_is_refused_with_what_is_odd_about_it(program: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        rows_of(program)


def test_without_the_answer_that_nothing_reaches_a_program_reads_the_same() -> None:
    open_list = lxc_program((EVERYTHING,))
    assert rows_of(open_list[:-16]) == (EVERYTHING,), "the kernel drops what no path leads to"


@given(lists, st.data())
def test_a_program_of_another_form_is_refused_or_read_as_it_decides(lines: list[Row], data: st.DataObject) -> None:
    program = bytearray(lxc_program(tuple(lines)))
    program[data.draw(st.integers(0, len(program) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = rows_of(bytes(program))
    except ValueError:
        return
    for right in data.draw(st.lists(rights, max_size=5)):
        for access in ("r", "w", "rw"):
            number = (KINDS[right.kind], right.number.major, right.number.minor)
            if verdict(bytes(program), {}, *number, mask(access)):
                assert device_list.opens(found, right), "open, and not seen to be"


@pytest.mark.parametrize("program", [b"", b"\0" * 7, bpf.assemble([Instruction(bpf.EXIT)]), lxc_program(BASE)[:-8]])
def test_what_is_no_program_of_lxc_is_refused(program: bytes) -> None:
    with pytest.raises(ValueError, match=r"it |no instr"):
        rows_of(program)


def test_the_program_of_another_is_refused() -> None:
    ours = bpf.assemble([Instruction(bpf.MOVE_IMMEDIATE, 0, imm=1), Instruction(bpf.EXIT)])
    with pytest.raises(ValueError, match="begins"):
        rows_of(ours * 4)


@given(rights)
def test_a_right_is_one_line_and_the_base_list_opens_no_device(right: Right) -> None:
    row = device_list.row_of(right)
    assert device_list.rights_of([*BASE, row]) == frozenset({right})
    assert device_list.allows([*BASE, row], right)
    assert not device_list.too_wide([*BASE, row])
    usb = Right(kind=right.kind, number=DevNum(189, right.number.minor))
    assert not device_list.opens(BASE, usb)


def test_what_an_administrator_added_is_not_the_agents_and_what_is_too_wide_is_named() -> None:
    tun, serial = Row(kind="c", major=10, minor=200, access="rwm"), Row(kind="c", major=188, access="rw")
    assert device_list.rights_of([*BASE, tun]) == frozenset()
    assert device_list.too_wide([*BASE, tun, serial]) == (serial,)
    assert device_list.too_wide([Row(kind="c", access="rm")])
