"""PURE: %XX in serial numbers, for what a share list or a rule cannot hold as it is; XX are their UTF-8 bytes.

Light module: the helper reads rules under root.
"""

_HEX = "0123456789abcdefABCDEF"


def escaped(char: str) -> str:
    """The character as %XX for each of its bytes."""
    return "".join(f"%{byte:02X}" for byte in char.encode("utf-8", "surrogatepass"))


def starts_escape(text: str, at: int) -> bool:
    """Whether the % at this place would be read as the beginning of %XX."""
    digits = text[at + 1 : at + 3]
    return len(digits) == 2 and all(digit in _HEX for digit in digits)


def decoded(text: str) -> str:
    """The text with each %XX read; a % that begins none stands for itself. Raises: UnicodeDecodeError."""
    if "%" not in text:
        return text
    first, *pieces = text.split("%")
    data = [first.encode("utf-8", "surrogatepass")]
    for piece in pieces:
        if starts_escape("%" + piece, 0):
            data += (bytes((int(piece[:2], 16),)), piece[2:].encode("utf-8", "surrogatepass"))
        else:
            data += (b"%", piece.encode("utf-8", "surrogatepass"))
    return b"".join(data).decode("utf-8", "surrogatepass")
