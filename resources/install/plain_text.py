"""PURE: text as programs print it for --help and as comments of settings files have it -> blocks of a manual page.

Paragraphs stand at the margin. Indented lines are a list where each has a word and, two blanks further on, what it
means; else they stay as they are. A line of an example that goes on with a # is one line.
"""

import re
from collections.abc import Iterator, Sequence

from roff import Block, Listed, Paragraph, Verbatim, bold, plain

_ITEM = re.compile(r"(\S+(?: \S+)*) {2,}([^\s#].*)")


def blocks_of(text: str) -> tuple[Block, ...]:
    """Decides the blocks of a text."""
    return tuple(block for lines in runs_of(text.splitlines()) for block in _blocks(lines))


def runs_of(lines: Sequence[str]) -> Iterator[list[str]]:
    """Lines that belong together: no blank one between, all indented or none."""
    run: list[str] = []
    for line in [*lines, ""]:
        if run and (not line.strip() or line.startswith(" ") != run[0].startswith(" ")):
            yield run
            run = []
        if line.strip():
            run.append(line)


def _blocks(lines: Sequence[str]) -> list[Block]:
    depth = min(len(line) - len(line.lstrip()) for line in lines)
    items = _items(lines, depth)
    told = [bool(meaning) for _, meaning in items]
    if all(told) or (depth and any(told)):
        return [Listed(tags=(bold(word),), told=(plain(meaning),) if meaning else ()) for word, meaning in items]
    if depth:
        return [Verbatim(lines=tuple(plain(line[depth:]) for line in lines))]
    return [Paragraph(roff=plain(" ".join(lines)))]


def _items(lines: Sequence[str], depth: int) -> list[tuple[str, str]]:
    """Words and what they mean; a line that begins further in goes on with what the one above it means."""
    items: list[tuple[str, str]] = []
    for line in lines:
        match = _ITEM.fullmatch(line.strip())
        if match is None and items and line.startswith(" " * (depth + 4)):
            word, meaning = items.pop()
            items.append((word, f"{meaning} {line.strip()}"))
        else:
            items.append((match[1], match[2]) if match else (line.strip(), ""))
    return items


def part_of(text: str, title: str) -> tuple[str, str]:
    """Takes the part that begins with a line "TITLE:" (or "TITLE: …") out of a text.

    Returns: the text without it, and the part without its title; "" where there is none.
    """
    found = re.search(rf"^{title}s?:[ \n]?(.*?)(?=\n\n|\Z)", text, re.MULTILINE | re.DOTALL)
    if found is None:
        return text, ""
    return text[: found.start()] + text[found.end() :], found[1]
