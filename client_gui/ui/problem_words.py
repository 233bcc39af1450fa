"""EFFECT: sentences and remedies of Problems in the user's language, found by their code."""

from __future__ import annotations

import re
from functools import cache
from string import Formatter
from typing import Final

from PySide6.QtCore import QCoreApplication

from qvd_usbip.errors import printable, problem_of

_AS_ROOT: Final = re.compile(r"(?:[Aa]s|[Cc]omo) root: (?P<command>.+?)(?:[.;,] |\.?$)")


def sentence(code: str, text: str) -> str:
    """Says what happened; words that are not the Problem's own stay as they are, safe to show.

    Args: the Problem's code; its sentence as the engine filled it.
    """
    return printable(_translated(problem_of(code).sentence, text))


def remedy(code: str, text: str) -> str:
    """Says what helps; see `sentence`."""
    return printable(_translated(problem_of(code).remedy, text))


def _translated(template: str, text: str) -> str:
    """Takes the values out of a filled template and puts them into its translation."""
    translated = QCoreApplication.translate("Problem", template)
    if translated == template:
        return text
    found = _pattern(template).fullmatch(text)
    return text if found is None else translated.format_map(found.groupdict())


@cache
def _pattern(template: str) -> re.Pattern[str]:
    pattern, known = "", set[str]()
    for literal, field, _, _ in Formatter().parse(template):
        pattern += re.escape(literal)
        if field in known:
            pattern += f"(?P={field})"
        elif field:
            known.add(field)
            pattern += f"(?P<{field}>.*?)"
    return re.compile(pattern, re.DOTALL)


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
