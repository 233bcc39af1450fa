"""PURE: a settings file with its comments, or a table of keys -> the sections of its manual page.

In the file a comment stands above the keys it is about; a key that is not set there is written with its default behind
a "#". Comments above no key are about the file as a whole.
"""

import re
from collections.abc import Iterable, Mapping, Sequence

from plain_text import blocks_of
from roff import Block, Listed, Paragraph, Section, bold, italic, plain

_KEY = re.compile(r"#?([a-z][\w.-]*\.[\w.-]+)=(.*)")
_FORMAT = "One KEY=VALUE a line; what begins with # is a comment. A key that the file does not set has its default."


def sections_of_file(path: str, text: str) -> tuple[Section, ...]:
    """The sections of a settings file: `path` is where it is installed, `text` what is installed there."""
    about: list[Block] = []
    keys: list[Block] = []
    for comment, settings in comments_and_keys(text):
        if settings:
            keys.append(_listed(settings, comment))
        else:
            about += blocks_of(comment)
    return _sections([path], about, keys)


def sections_of_keys(paths: Iterable[str], about: str, keys: Mapping[str, tuple[str, str]]) -> tuple[Section, ...]:
    """The sections of a file of which only the keys are known: for each its default, and what it is about."""
    listed = [_listed([(key, default)], told) for key, (default, told) in keys.items()]
    return _sections(paths, blocks_of(about), listed)


def _sections(paths: Iterable[str], about: Sequence[Block], keys: Sequence[Block]) -> tuple[Section, ...]:
    """A file without keys has lines of its own kind, and its comments explain them."""
    return (
        Section(title="SYNOPSIS", blocks=tuple(Paragraph(roff=italic(path)) for path in paths)),
        Section(title="DESCRIPTION", blocks=(*about, *((Paragraph(roff=plain(_FORMAT)),) if keys else ()))),
        Section(title="KEYS", blocks=tuple(keys)),
    )


def comments_and_keys(text: str) -> list[tuple[str, list[tuple[str, str]]]]:
    """Comments without their "#", each with the keys that stand right below it."""
    found: list[tuple[list[str], list[tuple[str, str]]]] = [([], [])]
    for line in text.splitlines():
        match = _KEY.fullmatch(line)
        comments, settings = found[-1]
        if match is not None:
            settings.append((match[1], match[2]))
        elif settings or not line:
            found.append(([line.removeprefix("#").removeprefix(" ")], []))
        else:
            comments.append(line.removeprefix("#").removeprefix(" "))
    return [("\n".join(comments), settings) for comments, settings in found]


def _listed(settings: list[tuple[str, str]], comment: str) -> Listed:
    tags = tuple(f"{bold(key)} {plain(f'(default: {default})')}" if default else bold(key) for key, default in settings)
    return Listed(tags=tags, told=tuple(_told(comment)))


def _told(comment: str) -> Iterable[str]:
    for block in blocks_of(comment):
        match block:
            case Paragraph(roff=roff):
                yield roff
            case Listed(tags=(tag,), told=(told,)):
                yield f"{tag}: {told}"
            case other:
                yield from getattr(other, "lines", ())
