"""PURE: the text of a desktop entry: what a key says, and the same text with one key changed and all else as it was.

Source: the Desktop Entry Specification, and the Desktop Application Autostart Specification.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

GROUP = "[Desktop Entry]"
HIDDEN = f"{GROUP}\nHidden=true\n"
"""An entry that stands for none at all, also where the machine has one of its name."""
_FALSE = frozenset({"false", "0"})
_TRUE = frozenset({"true", "1"})
_GNOMES_SWITCH = "X-GNOME-Autostart-enabled"


def value_of(text: str, key: str) -> str | None:
    """What the key says in the entry's main group; None where it is not there."""
    lines = text.split("\n")
    return next((lines[at].partition("=")[2].strip() for at in _places(lines, key)), None)


def with_value(text: str, key: str, value: str) -> str:
    """The text with the key set in its main group: in its place, or as the group's first line; once only."""
    lines = text.split("\n")
    places = list(_places(lines, key))
    for at in reversed(places):
        del lines[at]
    place = places[0] if places else _start(lines)
    lines.insert(place, f"{key}={value}")
    return "\n".join(lines)


def can_start(text: str) -> bool:
    """Whether it says what to start at all; an entry that only hides another one does not."""
    return bool(value_of(text, "Exec"))


def starts(text: str) -> bool:
    """Whether a desktop that finds it among what begins with it starts it: not hidden, and not switched off."""
    hidden = (value_of(text, "Hidden") or "").lower() in _TRUE
    off = (value_of(text, _GNOMES_SWITCH) or "").lower() in _FALSE
    return can_start(text) and not hidden and not off


def switched_on(text: str) -> str:
    """The same entry with nothing in it that keeps a desktop from starting it."""
    for key, value in (("Hidden", "false"), (_GNOMES_SWITCH, "true")):
        if value_of(text, key) is not None:
            text = with_value(text, key, value)
    return text


def _start(lines: list[str]) -> int:
    """Where the main group's first line is; behind everything where there is no such group."""
    return next((at for at, line in enumerate(lines, 1) if line.strip() == GROUP), len(lines))


def _places(lines: list[str], key: str) -> Iterator[int]:
    for at in range(_start(lines), len(lines)):
        line = lines[at].strip()
        if line.startswith("["):
            return
        if line.partition("=")[0].rstrip() == key and "=" in line:
            yield at
