"""EFFECT: the pages of the documentation, ready for mkdocs: python3 documentation.py FOLDER.

What programs, settings files and the table of problems say of themselves is written from them, as the manual pages are;
the rest stands in resources/doc.
"""

import os
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from manual import PAGES, PROBLEMS, REPOSITORY, Page, filled_in, help_of, module_named, problems_in_order
from manual_settings import comments_and_keys
from plain_text import runs_of

_PICTURES = "resources/screenshots"
_MARKS = re.compile(r"([\\`*_\[\]<>#|])")


def main() -> int:
    """Writes every page into FOLDER, which is made anew."""
    folder = Path(sys.argv[1])
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(REPOSITORY / "resources/doc", folder, ignore=shutil.ignore_patterns("*.yml"))
    (folder / "pictures").mkdir()
    for name in sorted(_pictures(folder)):
        shutil.copy(REPOSITORY / _PICTURES / name, folder / "pictures" / name)
    shutil.copy(REPOSITORY / "ARCHITECTURE.md", folder / "architecture.md")
    shutil.copy(REPOSITORY / "CHANGELOG.md", folder / "changes.md")
    os.environ["COLUMNS"] = "100"  # how wide --help is, wherever it is asked for
    for name, text in {"settings": settings(), "problems": problems(), "commands": commands()}.items():
        (folder / f"{name}.md").write_text(text, encoding="utf-8")
    return 0


def _pictures(folder: Path) -> set[str]:
    pages = (path.read_text(encoding="utf-8") for path in folder.glob("*.md"))
    return {name for text in pages for name in re.findall(r"\(pictures/([\w.-]+)\)", text)}


def settings(repository: Path = REPOSITORY) -> str:
    """Every settings file with its keys, their defaults, and what each is about."""
    parts = ["# Settings", "Each file has a manual page with the same words."]
    for page in PAGES:
        if page.section == 5:
            parts += _file(page, repository)
    return _joined(parts)


def _file(page: Page, repository: Path) -> Iterator[str]:
    if page.source.endswith(".conf"):
        yield f"## /etc/qvd/{Path(page.source).name}"
        blocks = comments_and_keys((repository / page.source).read_text(encoding="utf-8"))
    else:
        module = module_named(page.source, repository)
        yield f"## {' and '.join(module.LAYERS)}"
        blocks = [(module.ABOUT, []), *((key.about, [(name, key.default)]) for name, key in module.KEYS.items())]
    yield f"{page.summary[:1].upper()}{page.summary[1:]}: `man {page.name}`."
    for comment, keys in blocks:
        for key, default in keys:
            yield f"**`{key}`** (default: {f'`{default}`' if default else 'empty'})"
        yield from _paragraphs(comment)


def _paragraphs(text: str) -> Iterator[str]:
    for run in runs_of(text.splitlines()):
        yield "\n".join(f"    {line}" for line in run) if run[0].startswith(" ") else escaped(" ".join(run))


def problems(repository: Path = REPOSITORY) -> str:
    """Every problem: its code, which commands and JSON name, its sentence, its exit status, and what helps."""
    about = (
        "Every command that cannot do what it was asked for says why, what helps, and ends with a number of its own; "
        f"`qvd-usb` names the code with `--json`. See also `man {PROBLEMS}`. What is in italics is filled in."
    )
    parts = ["# What a message means", about]
    for each in problems_in_order(module_named("qvd_usbip.errors", repository)):
        parts += [
            f"## {each.code}",
            _sentence(each.sentence),
            f"{_sentence(each.remedy)} (exit status {each.exit_status})",
        ]
    return _joined(parts)


def _sentence(text: str) -> str:
    return filled_in(text, escaped, lambda name: f"*{name}*")


def commands(repository: Path = REPOSITORY) -> str:
    """What every command says to --help."""
    parts = ["# Commands", "Each has a manual page, which tells the same of its subcommands too."]
    for page in PAGES:
        if page.section in {1, 8}:
            parts += [
                f"## {page.name}",
                f"{page.summary[:1].upper()}{page.summary[1:]}.",
                _block(_help(page, repository)),
            ]
    return _joined(parts)


def _help(page: Page, repository: Path) -> str:
    if page.source.endswith(".py"):
        return help_of((repository / page.source).read_text(encoding="utf-8"), page.name)
    return str(module_named(page.source, repository).parser().format_help())


def _block(text: str) -> str:
    return f"```text\n{text.strip()}\n```"


def escaped(text: str) -> str:
    """The text with what Markdown would take for its own."""
    return _MARKS.sub(r"\\\1", text)


def _joined(parts: list[str]) -> str:
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    sys.exit(main())
