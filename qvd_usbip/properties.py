"""PURE: QVD's configuration files: key=value lines in layers, `${other.key}`, and an edit that keeps all the rest.

Light module. The format is the Java properties file: `#` and `!` comments, `=`, `:` or a space between key and value,
a backslash to continue a line or to escape. Source: java.util.Properties.load; QVD's guide on configuration files.
"""

import io

from qvd_usbip import errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_BLANK = " \t\f"
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "f": "\f"}
_WRITTEN = {"\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r", "\f": "\\f"}
_HEX = "0123456789abcdefABCDEF"
_MAX_EXPANDED = 4 << 20


def parse(text: str) -> dict[str, str]:
    r"""Read a file's content; of two equal keys the last counts, values are not expanded.

    Raises: QvdUsbError settings-malformed for a `\u` without four hexadecimal digits.
    """
    return {key: value for _, _, logical in _logical_lines(text) for key, value in (_split(logical),)}


def numbered(text: str) -> "Iterator[tuple[int, str]]":
    """Each line that sets a key, continued ones whole, as it is written; with its number in the file, from 1."""
    line, counted = 1, 0
    for start, end, _ in _logical_lines(text):
        line += _ends(text[counted:start])
        counted = start
        yield line, text[start:end]


def _ends(text: str) -> int:
    return text.count("\n") + text.count("\r") - text.count("\r\n")


def layered(*layers: "Mapping[str, str]") -> dict[str, str]:
    """One mapping of several: a later layer wins, key by key."""
    merged: dict[str, str] = {}
    for layer in layers:
        merged.update(layer)
    return merged


def expand(settings: "Mapping[str, str]") -> dict[str, str]:
    """Replace each `${key}` by that key's expanded value; one that is not set is left as it is written.

    Raises: QvdUsbError settings-malformed for keys that lead back to themselves, or values that grow without bound.
    """
    done: dict[str, str] = {}
    room = _MAX_EXPANDED
    for key in _dependencies_first(settings):
        done[key] = _filled(settings[key], done, room)
        room -= len(done[key])
    return {key: done[key] for key in settings}


def _dependencies_first(settings: "Mapping[str, str]") -> "Iterator[str]":
    # Its own stack: a chain of a thousand keys in a hostile file must not end in a RecursionError.
    finished: set[str] = set()
    open_keys: set[str] = set()
    for first in settings:
        stack = [(first, _references(settings[first]))] if first not in finished else []
        open_keys.update(key for key, _ in stack)
        while stack:
            key, references = stack[-1]
            name = next((name for name in references if name in settings and name not in finished), None)
            if name is None:
                stack.pop()
                open_keys.discard(key)
                finished.add(key)
                yield key
            elif name in open_keys:
                raise errors.QvdUsbError(errors.SETTINGS_MALFORMED, reason=f"{name} refers to itself", key=name)
            else:
                stack.append((name, _references(settings[name])))
                open_keys.add(name)


def _references(value: str) -> "Iterator[str]":
    for piece in value.split("${")[1:]:
        name, end, _ = piece.partition("}")
        if end:
            yield name


def _filled(value: str, done: dict[str, str], room: int) -> str:
    head, *pieces = value.split("${")
    written = [head]
    room -= len(head)
    for piece in pieces:
        name, end, rest = piece.partition("}")
        written += (done[name], rest) if end and name in done else ("${", piece)
        room -= len(written[-2]) + len(written[-1])
        if room < 0:
            raise _malformed(f"expanded, they are longer than {_MAX_EXPANDED} characters")
    return "".join(written)


def edit(text: str, key: str, value: str) -> str:
    """The content with `key` set to `value`: the line that counts is replaced, or one is added at the end.

    Everything else stays as it is, byte for byte: comments, order, other keys, line ends.
    Raises: QvdUsbError settings-malformed if the content cannot be read.
    """
    newline = "\r\n" if "\r\n" in text else "\n"
    line = f"{_written(key, ' =:')}={_written(value, '')}"
    place = places(text).get(key)
    if place is None:
        gap = "" if not text or text.endswith(("\n", "\r")) else newline
        if _is_continued(text.rstrip("\r\n")):  # the last line waits for more, which must not be ours
            gap += "\r" if text.endswith("\r") else newline  # which "\n" would only make one end of
        return f"{text}{gap}{line}{newline}"
    start, end = place
    return text[:start] + line + text[end:]


def places(text: str) -> "dict[str, tuple[int, int]]":
    """Where the line that counts for each key stands: start and end, without the line end."""
    return {_split(logical)[0]: (start, end) for start, end, logical in _logical_lines(text)}


def _logical_lines(text: str) -> "Iterator[tuple[int, int, str]]":
    """Start, end (without the line end) and content of each line that sets a key; continued lines are joined."""
    position = 0
    start = end = 0
    pieces: list[str] = []
    for line in io.StringIO(text, newline=""):  # ends lines at \n, \r and \r\n only, and keeps their ends
        bare = line.rstrip("\r\n")
        content = bare.lstrip(_BLANK)
        if not pieces:
            start = position
            if not content or content[0] in "#!":
                position += len(line)
                continue
        end = position + len(bare)
        position += len(line)
        if _is_continued(content):
            pieces.append(content[:-1])
            continue
        yield start, end, "".join((*pieces, content))
        pieces = []
    if pieces:
        yield start, end, "".join(pieces)


def _is_continued(line: str) -> bool:
    return (len(line) - len(line.rstrip("\\"))) % 2 == 1


def _split(logical: str) -> tuple[str, str]:
    at = 0
    while at < len(logical) and logical[at] not in _BLANK + "=:":
        at += 2 if logical[at] == "\\" else 1
    key, rest = logical[:at], logical[at:].lstrip(_BLANK)
    if rest[:1] in ("=", ":"):
        rest = rest[1:].lstrip(_BLANK)
    return _unescaped(key, key), _unescaped(rest, key)


def _unescaped(text: str, key: str) -> str:
    if "\\" not in text:
        return text
    written: list[str] = []
    at = 0
    while at < len(text):
        char = text[at]
        at += 1
        if char == "\\" and at < len(text):
            char = text[at]
            at += 1
            if char == "u":
                char, at = _code_point(text, at, key), at + 4
            else:
                char = _ESCAPES.get(char, char)
        written.append(char)
    return "".join(written)


def _code_point(text: str, at: int, key: str) -> str:
    digits = text[at : at + 4]
    if len(digits) != 4 or not all(digit in _HEX for digit in digits):
        raise _malformed(f"the line of {key} has '\\u{digits}', which is no character")
    return chr(int(digits, 16))


def _written(text: str, separators: str) -> str:
    """The text so that it reads back as itself; `separators` are escaped wherever they stand."""
    escaped = "".join(_WRITTEN.get(char, f"\\{char}" if char in separators else char) for char in text)
    return f"\\{escaped}" if escaped[:1] in (" ", "#", "!") and escaped else escaped


def _malformed(reason: str) -> errors.QvdUsbError:
    return errors.QvdUsbError(errors.SETTINGS_MALFORMED, reason=reason)
