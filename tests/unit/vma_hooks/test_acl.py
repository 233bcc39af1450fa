"""The access list of a node: its words and the permissions setting."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vma_hooks.acl import encode_group_acl, format_permissions, mode_under, parse_permissions


@pytest.mark.parametrize(
    ("text", "bits"),
    [("rw", 6), ("rw-", 6), ("r", 4), ("r--", 4), ("wr", 6), ("rwx", 7), ("-w-", 2), ("---", 0), ("xwr", 7), ("x", 1)],
)
def test_permissions_that_mean_something(text: str, bits: int) -> None:
    assert parse_permissions(text) == bits


@pytest.mark.parametrize("text", ["", "rr", "rwxr", "RW", "6", "rw ", "-", "--", "w-r", "r-w", "rw,", "rwX", "r\n"])
def test_anything_else_is_refused(text: str) -> None:
    assert parse_permissions(text) is None


@given(st.integers(0, 7))
def test_the_long_form_round_trips(bits: int) -> None:
    assert parse_permissions(format_permissions(bits)) == bits


@given(st.text(max_size=6))
def test_a_permission_never_comes_from_another_letter(text: str) -> None:
    bits = parse_permissions(text)
    assert bits is None or all(
        (letter in text) == bool(bits & bit) for letter, bit in zip("rwx", (4, 2, 1), strict=True)
    )


def test_the_list_as_setfacl_writes_it() -> None:
    # getfattr -n system.posix_acl_access -e hex, after: chmod 600 node; setfacl -m g:1000:rw node
    assert encode_group_acl(1000, 6) == bytes.fromhex(
        "0200000001000600ffffffff04000000ffffffff08000600e803000010000600ffffffff20000000ffffffff"
    )


@given(st.integers(0, 2**32 - 2), st.integers(0, 7))
def test_only_the_owner_and_the_group_get_anything(gid: int, bits: int) -> None:
    value = encode_group_acl(gid, bits)
    (version,) = struct.unpack_from("<I", value)
    entries = [struct.unpack_from("<HHI", value, offset) for offset in range(4, len(value), 8)]
    assert version == 2
    assert [tag for tag, _bits, _who in entries] == [0x01, 0x04, 0x08, 0x10, 0x20]
    assert {tag: granted for tag, granted, _who in entries} == {0x01: 6, 0x04: 0, 0x08: bits, 0x10: bits, 0x20: 0}
    assert entries[2][2] == gid
    assert mode_under(bits) & 0o707 == 0o600
