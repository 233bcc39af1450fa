"""EFFECT: what the engine puts into sentences, names of rules and reasons, in the user's language."""

from __future__ import annotations

import re
from functools import cache
from string import Formatter
from typing import Final

from PySide6.QtCore import QCoreApplication

from client_gui.helper import authorise
from client_gui.judgement import EVERYTHING_ELSE, LOCKED_BY_NATURE, NOBODY_LENDS
from client_gui.troubles import UNTOLD

VALUES: Final = (
    *dict.fromkeys((*UNTOLD.values(), EVERYTHING_ELSE, *authorise.KINDS)),
    LOCKED_BY_NATURE,
    NOBODY_LENDS,
    authorise.NOT_AUTHORISED,
    authorise.NOT_READ_YET,
    authorise.NEEDS_CONSENT,
)
"""Those that are known, with places for what is filled in."""


def translated(text: str) -> str:
    """Says a value in the user's language, each part of a list by itself; what is not known stays as it is."""
    found = filled(VALUES, "Value", text)
    if found is None and ", " in text:
        return ", ".join(translated(part) for part in text.split(", "))
    return text if found is None else found


def filled(templates: tuple[str, ...], context: str, text: str) -> str | None:
    """Takes the values out of the template that was filled and puts them, translated, into its translation."""
    for template in templates:
        words = QCoreApplication.translate(context, template)
        found = pattern(template).fullmatch(text) if words != template else None
        if found is not None:
            return words.format_map({name: translated(value) for name, value in found.groupdict().items()})
    return None


@cache
def pattern(template: str) -> re.Pattern[str]:
    """What matches the template, however it was filled."""
    text, known = "", set[str]()
    for literal, field, _, _ in Formatter().parse(template):
        text += re.escape(literal)
        if field in known:
            text += f"(?P={field})"
        elif field:
            known.add(field)
            text += f"(?P<{field}>.*?)"
    return re.compile(text, re.DOTALL)
