"""Bitmaps of input devices are read as the kernel writes them, and nothing else is one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qvd_usbip.bitmaps import bits_of

WORD = 1 << 64


@given(st.lists(st.integers(0, WORD - 1), min_size=1, max_size=12))
def test_the_first_word_is_the_highest(words: list[int]) -> None:
    text = " ".join(f"{word:x}" for word in words)
    assert bits_of(text) == sum(word * WORD**place for place, word in enumerate(reversed(words)))


def test_no_word_is_no_bit() -> None:
    assert bits_of("") == bits_of("0") == bits_of(" \n") == 0


@pytest.mark.parametrize("text", ["-1", "0x1", "1_0", "g", "\uff11", "1" * 17, "1 -2", "F", "\0"])
def test_what_python_alone_takes_for_a_number_is_no_bitmap(text: str) -> None:
    assert bits_of(text) is None
