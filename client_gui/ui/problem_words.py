"""EFFECT: sentences and remedies of Problems in the user's language, found by their code."""

from __future__ import annotations

import re
from typing import Final

from client_gui.ui import value_words
from qvd_usbip.errors import printable, problem_of

SAID_OTHERWISE: Final = {
    "storage-in-use": (
        "A program still uses {volume}.",
        "{program} still uses {volume}.",
        "{volume} could not be unmounted: {reason}.",
        "{places} is mounted here, and there is no udisks2 that could unmount it.",
        "Close it and try again.",
        "Eject it, then share it; as root: {command}",
        "Unmount it, as root: {command}",
    ),
}
"""What the engine says of a problem where it knows better than the Problem's own words."""

_AS_ROOT: Final = re.compile(r"(?:[Aa]s|[Cc]omo) root: (?P<command>.+?)(?:[.;,] |\.?$)")


def sentence(code: str, text: str) -> str:
    """Says what happened; words that are not the Problem's own stay as they are, safe to show.

    Args: the Problem's code; its sentence as the engine filled it.
    """
    return _said((problem_of(code).sentence, *SAID_OTHERWISE.get(code, ())), text)


def remedy(code: str, text: str) -> str:
    """Says what helps; see `sentence`."""
    return _said((problem_of(code).remedy, *SAID_OTHERWISE.get(code, ())), text)


def _said(templates: tuple[str, ...], text: str) -> str:
    found = value_words.filled(templates, "Problem", text)
    return printable(text if found is None else found)


def split_remedy(remedy: str) -> tuple[str, str, str]:
    """Parts a remedy into what a person reads and what they copy.

    Returns: what stands before the command, the command with sudo in front of each part, what stands behind it; each
    may be empty.
    """
    found = _AS_ROOT.search(remedy)
    if found is None:
        return remedy, "", ""
    before, after = remedy[: found.start()].rstrip(" ,;:"), remedy[found.end() :].strip()
    command = " && ".join(f"sudo {part.strip()}" for part in found["command"].split("&&"))
    return f"{before}:" if before else "", command, f"{after[:1].upper()}{after[1:]}"
