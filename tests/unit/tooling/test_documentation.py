"""The documentation: what it tells one to type is understood, and what it lists is what the code has."""

from __future__ import annotations

import importlib
import re
import shlex
import sys
from typing import TYPE_CHECKING

import pytest

from client_gui import cli, settings
from client_gui.listing import json_of_row, json_of_session
from client_gui.selection import rows_of
from client_gui.state import DeviceState, SessionView
from client_gui.ui import main as picker
from qvd_usbip.errors import PROBLEMS
from server_agent import cli as agent
from server_agent.settings import KEYS
from tests.unit.client_gui.devices import device, situation
from tests.unit.tooling.test_make import TARGETS
from vma_hooks import image

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from types import ModuleType

PARSERS: dict[str, Callable[[], argparse.ArgumentParser]] = {
    "qvd-usb": cli.parser,
    "qvd-usb-agent": agent.parser,
    "qvd-usb-image": image.parser,
    "qvd-usb-picker": picker.parser,
}
#: What ends a command in a line of a shell.
ENDS = re.compile(r"\s(?:#|\||<|>>?|&&|;)\s.*")
LINKED = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")


@pytest.fixture(scope="module")
def pages(repository: Path) -> dict[str, str]:
    """The pages that are written by hand, README.md among them."""
    files = [*(repository / "resources/doc").glob("*.md"), repository / "README.md"]
    return {file.name: file.read_text(encoding="utf-8") for file in files}


@pytest.fixture(scope="module")
def documentation(repository: Path) -> Iterator[ModuleType]:
    sys.path.insert(0, str(repository / "resources/install"))
    yield importlib.import_module("documentation")
    sys.path.pop(0)


def typed(text: str) -> Iterator[tuple[bool, str]]:
    """Every command that a page tells one to type: a line of a block (True), or what stands between backticks."""
    for block in re.findall(r"^```\w*\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        for line in block.splitlines():
            yield True, line
    for inline in re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)):
        for line in re.split(r";\s*", inline):
            yield False, line


def commands(pages: dict[str, str], *programs: str) -> Iterator[tuple[str, bool, str, list[str]]]:
    """Page, whether the line is one of a block, program and arguments; a program's bare name is no command."""
    for page, text in pages.items():
        for in_block, line in typed(text):
            if line.strip().partition(" ")[0] in programs:
                program, *arguments = shlex.split(ENDS.sub("", line.strip()))
                if in_block or arguments:
                    yield page, in_block, program, arguments


def subcommands(parser: argparse.ArgumentParser) -> set[str]:
    return {name for action in parser._actions if isinstance(action.choices, dict) for name in action.choices}


def test_every_command_of_the_pages_is_understood_by_its_program(pages: dict[str, str]) -> None:
    found = list(commands(pages, *PARSERS))
    assert {program for _, _, program, _ in found} == set(PARSERS)
    for page, in_block, program, arguments in found:
        parser = PARSERS[program]()
        if not in_block and len(arguments) == 1 and arguments[0] in subcommands(parser):
            continue  # only named, in a sentence
        try:
            parser.parse_args(arguments)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever it says, it did not understand
            pytest.fail(f"{page}: {program} {shlex.join(arguments)}: {error}")


def test_the_page_about_json_names_each_key_and_state_and_no_other(pages: dict[str, str]) -> None:
    def keys(section: str) -> set[str]:
        table = pages["json.md"].split(f"## {section}")[1].split("## ")[0]
        cells = re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)
        return {key for cell in cells for key in re.findall(r"`(\w+)`", cell)}

    (row,) = rows_of([device()], situation(device()))
    assert keys("A device") == set(json_of_row(row))
    session = SessionView(name="", address="", connected=True, encryption="tls", text="")
    assert keys("A session") == set(json_of_session(session) or ())
    states = re.findall(r"^\| `state` \| (.*) \|$", pages["json.md"], re.MULTILINE)[0]
    assert re.findall(r"`([\w-]+)`", states) == [str(state) for state in DeviceState]


def test_every_target_of_make_in_the_pages_exists(pages: dict[str, str]) -> None:
    found = {arguments[0] for _, _, _, arguments in commands(pages, "make")}
    assert found
    assert found <= set(TARGETS)


def test_every_page_is_in_the_table_of_contents_and_every_link_leads_somewhere(
    repository: Path, pages: dict[str, str]
) -> None:
    text = (repository / "resources/doc/mkdocs.yml").read_text(encoding="utf-8")
    listed = re.findall(r": ([a-z-]+\.md)$", text, re.MULTILINE)
    made = {"settings.md", "problems.md", "commands.md", "architecture.md", "changes.md"}
    assert len(listed) == len(set(listed))
    assert set(listed) == (set(pages) - {"README.md"}) | made
    for name, page in pages.items():
        for target in LINKED.findall(page):
            if name == "README.md" or target.startswith("pictures/"):
                assert (repository / target.replace("pictures/", "resources/screenshots/")).exists(), (
                    f"{name}: {target}"
                )
            else:
                assert target in listed, f"{name}: {target}"


def test_the_list_of_settings_has_every_key_with_its_default(documentation: ModuleType) -> None:
    text = documentation.settings()
    for key, each in settings.KEYS.items():
        assert f"**`{key}`** (default: {f'`{each.default}`' if each.default else 'empty'})" in text
    for key in KEYS:
        assert f"**`{key}`**" in text
    for key in ("usbip.locked", "createdevice.acl.permissions", "vma.user.default.groups"):
        assert f"**`{key}`**" in text


def test_the_list_of_messages_has_each_problem_with_its_number(documentation: ModuleType) -> None:
    text = documentation.problems()
    found = re.findall(r"^## (\S+)$.*?\(exit status ([0-9]+)\)$", text, re.MULTILINE | re.DOTALL)
    assert found == [
        (each.code, str(each.exit_status)) for each in sorted(PROBLEMS.values(), key=lambda p: p.exit_status)
    ]
    assert "'*VALUE*' is not a USB bus id; one looks like 1-4 or 1-4.2." in text


def test_the_list_of_commands_has_what_each_says_to_help(documentation: ModuleType) -> None:
    text = documentation.commands()
    for program in (*PARSERS, "qvd-create-device", "qvd-usb-slaveserver"):
        assert f"## {program}\n" in text
        assert f"usage: {program}" in text


def test_a_text_shows_as_it_is(documentation: ModuleType) -> None:
    assert documentation.escaped("a_b *c* <d> [e] #f |") == r"a\_b \*c\* \<d\> \[e\] \#f \|"


def test_nothing_is_fetched_when_a_page_is_read(repository: Path) -> None:
    text = (repository / "resources/doc/mkdocs.yml").read_text(encoding="utf-8")
    assert "font: false" in text
    assert "://" not in text
