"""PURE: what an input device can do, as the kernel writes it: words in hexadecimal, the highest first.

Light module: the setuid helper imports it. Source: input_bits_to_string, drivers/input/input.c.
"""

import sys

_HEX = frozenset("0123456789abcdef")
_WORD_BITS = sys.maxsize.bit_length() + 1


def bits_of(text: str) -> "int | None":
    """The bits that are set, as one number; None for a text that is no bitmap, which may then mean anything."""
    bits = 0
    for word in text.split():
        if len(word) * 4 > _WORD_BITS or not set(word) <= _HEX:
            return None
        bits = bits << _WORD_BITS | int(word, 16)
    return bits
