"""PURE: pages of a manual as man(7) reads them: sections of paragraphs, lists and examples -> roff.

Source: groff_man(7), groff_char(7); only what mandoc(1) knows too.
"""

import re
from dataclasses import dataclass
from textwrap import TextWrapper

_ESCAPED = {"\\": r"\e", "-": r"\-", "'": r"\(aq", "`": r"\(ga", "^": r"\(ha", "~": r"\(ti", '"': r"\(dq"}
_LEFT = ".ad l"  # names that stay whole would leave gaps
_NAME = re.compile(r"[-_./@=](?=\w)")
_LINE = 60
_WRAP = TextWrapper(width=79, break_long_words=False, break_on_hyphens=False)
_SENTENCE_END = re.compile(r"(?<=[.?!]) (?=\S)")


def plain(text: str) -> str:
    """The roff of this text, which shows as it is: letters that roff takes for something else are spelled out."""
    return " ".join(map(_word, text.split(" ")))


def _word(word: str) -> str:
    """Names of commands, files and keys are not parted at the end of a line; what fills a line is, behind a comma."""
    escaped = spelled(word)
    if len(word) > _LINE:
        escaped = re.sub(r",(?=.)", r",\:", escaped)
    return rf"\%{escaped}" if _NAME.search(word) or word.isupper() else escaped


def spelled(text: str) -> str:
    """The roff of letters that show as they are; programs that read roff without roff understand it too."""
    return "".join(_ESCAPED.get(char) or (char if char.isascii() else rf"\[u{ord(char):04X}]") for char in text)


def bold(text: str) -> str:
    """The roff of this text in bold: what is typed as it stands."""
    return rf"\fB{plain(text)}\fR"


def italic(text: str) -> str:
    """The roff of this text in italics: what stands for something else."""
    return rf"\fI{plain(text)}\fR"


@dataclass(frozen=True, slots=True, kw_only=True)
class Paragraph:
    """Filled text; `roff` is already escaped, as in the other blocks."""

    roff: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """One thing, or several of which the same is said, and the paragraphs that say it."""

    tags: tuple[str, ...]
    told: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Verbatim:
    """Lines that stay as they are."""

    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Heading:
    """Begins a part of a section."""

    roff: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Synopsis:
    """How a command is called: the command, as it is typed, and the roff of each word behind it."""

    command: str
    words: tuple[str, ...] = ()


Block = Paragraph | Listed | Verbatim | Heading | Synopsis


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A section with its title, as NAME or FILES."""

    title: str
    blocks: tuple[Block, ...]


def page(name: str, section: int, version: str, sections: tuple[Section, ...]) -> str:
    """The roff of a page.

    Args:
        name: what man(1) is asked for.
        section: 1 commands, 5 files, 7 the rest, 8 administrator's commands.
        version: of the product.
        sections: what it says; one without blocks is left out.
    """
    head = (spelled(name.upper()), str(section), _argument(""), _argument(f"qvd-usbip {version}"), _argument("QVD USB"))
    lines = [f".TH {' '.join(head)}", _LEFT]
    for each in sections:
        if each.blocks:
            lines.append(f".SH {each.title}")
            fresh = True
            for block in each.blocks:
                lines += _block(block, fresh=fresh)
                fresh = isinstance(block, Heading)
    return "\n".join(lines) + "\n"


def _argument(text: str) -> str:
    return f'"{spelled(text)}"'


def _block(block: Block, *, fresh: bool) -> list[str]:
    """`fresh`: right behind a title, where no paragraph has to be begun."""
    match block:
        case Heading(roff=roff):
            return [f".SS {roff}"]
        case Paragraph(roff=roff):
            return [*([] if fresh else [".PP"]), *_filled(roff)]
        case Verbatim(lines=kept):
            return [*([] if fresh else [".PP"]), ".RS 4", ".nf", *map(_guarded, kept), ".fi", ".RE"]
        case Synopsis(command=command, words=words):
            return [f".SY {_argument(command)}", *map(_guarded, words), ".YS"]
        case Listed(tags=tags, told=told):
            first, *more = tags
            lines = [".TP", _guarded(first)]
            for tag in more:
                lines += [".TQ", _guarded(tag)]
            for place, paragraph in enumerate(told):
                lines += [*([".IP"] if place else []), *_filled(paragraph)]
            return lines


def _filled(roff: str) -> list[str]:
    """One line a sentence, so that the space behind it is the reader's own."""
    return [_guarded(line) for sentence in _SENTENCE_END.split(" ".join(roff.split())) for line in _WRAP.wrap(sentence)]


def _guarded(line: str) -> str:
    return rf"\&{line}" if line.startswith(".") else line
