"""PURE: text of devices and peers, made safe to show. Light module: it uses no other one at all."""

# Printable letters and marks that show as nothing at all; str.isprintable() lets them pass.
_INVISIBLE = "\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0"


def printable(text: str) -> str:
    r"""Make a device's or peer's text safe to show: one line, control, bidi and invisible characters as escapes.

    Returns: the text with every such character written as \xNN, \uNNNN or \UNNNNNNNN; nothing else is changed.
    """
    if text.isprintable() and text.isascii():
        return text
    return "".join(char if char.isprintable() and char not in _INVISIBLE else _escaped(char) for char in text)


def _escaped(char: str) -> str:
    number = ord(char)
    if 0xDC80 <= number <= 0xDCFF:  # a byte that was no UTF-8, as os.fsdecode keeps it
        return f"\\x{number - 0xDC00:02x}"
    if number <= 0xFF:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number <= 0xFFFF else f"\\U{number:08x}"
