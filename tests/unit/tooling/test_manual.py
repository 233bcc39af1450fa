"""The manual pages: one for each command and settings file, made of what these say of themselves, and sound roff."""

from __future__ import annotations

import argparse
import importlib
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from client_gui import cli, rules
from client_gui import settings as client_settings
from client_gui.helper import authorise
from client_gui.ui import main as picker
from qvd_usbip.errors import PROBLEMS
from server_agent import cli as agent
from server_agent import settings as server_settings
from vma_hooks import attach, create_device, image, slave_server
from vma_hooks import settings as image_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from types import ModuleType

POLICY = ("usbip.allow.group", "usbip.allow.seat", "usbip.locked", "usbip.consent.user")


@pytest.fixture(scope="module")
def installer(repository: Path) -> Iterator[Callable[[str], ModuleType]]:
    """Imports a module of the installer's folder."""
    sys.path.insert(0, str(repository / "resources/install"))
    yield importlib.import_module
    sys.path.pop(0)


@pytest.fixture(scope="module")
def build(installer: Callable[[str], ModuleType]) -> Callable[[str], str]:
    made: Callable[[str], str] = installer("manual").build
    return made


def rendered(roff: str) -> str:
    """What a reader sees, on one line where it was one paragraph; groff has to be content with the page."""
    argv = ["groff", "-ww", "-man", "-Tutf8", "-P-cbou", "-rLL=600n", "-rcR=1"]
    done = subprocess.run(argv, input=roff, capture_output=True, encoding="utf-8", check=True)
    assert done.stderr == ""
    return done.stdout


def words(text: str) -> str:
    """The text without a word on how it is laid out."""
    return " ".join(text.split())


def files(installer: Callable[[str], ModuleType]) -> list[str]:
    return [each.file for each in installer("manual").PAGES]


def options_of(parser: argparse.ArgumentParser) -> set[str]:
    found = set()
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, below in action.choices.items():
                found |= {name, *options_of(below)}
        elif not isinstance(action, argparse._HelpAction):
            found |= {*action.option_strings, *filter(None, [action.help])}
    return found


def test_each_page_is_sound_and_fits_a_terminal(
    build: Callable[[str], str], installer: Callable[[str], ModuleType]
) -> None:
    for file in files(installer):
        text = build(file)
        assert text.isascii(), file
        argv = ["groff", "-ww", "-man", "-Tutf8", "-P-cbou", "-rLL=78n"]
        done = subprocess.run(argv, input=text, capture_output=True, encoding="utf-8", check=True)
        assert done.stderr == "", file
        sections = re.findall(r"^[A-Z][A-Z ]+$", done.stdout, re.MULTILINE)
        assert sections[0] == "NAME", file
        assert "DESCRIPTION" in sections, file


@pytest.mark.parametrize(
    ("file", "module"),
    [("qvd-usb.1", cli), ("qvd-usb-picker.1", picker), ("qvd-usb-agent.8", agent), ("qvd-usb-image.8", image)],
)
def test_a_command_s_page_has_all_of_its_help(build: Callable[[str], str], file: str, module: ModuleType) -> None:
    shown = words(rendered(build(file)))
    parser = module.parser()
    missing = {each for each in options_of(parser) if words(each) not in shown}
    assert missing == set()
    assert words(parser.description) in shown
    commands = [line.split("  ")[0].strip() for line in parser.epilog.splitlines() if line.startswith("  qvd")]
    assert commands
    assert {each for each in commands if words(each) not in shown} == set()


@pytest.mark.parametrize(
    ("file", "module"),
    [
        ("qvd-create-device.8", create_device),
        ("qvd-usb-slaveserver.8", slave_server),
        ("qvd-vma-slaveserver-usbip.8", attach),
    ],
)
def test_a_program_s_page_has_all_of_its_help(build: Callable[[str], str], file: str, module: ModuleType) -> None:
    shown = words(rendered(build(file)))
    for line in module.HELP.splitlines():
        told = line.removeprefix("usage:").removesuffix("examples:").strip()
        for piece in re.split(r" {2,}|(?<=\.) ", told):
            assert words(piece) in shown, piece


def test_the_helper_s_page_has_its_verbs(build: Callable[[str], str]) -> None:
    shown = rendered(build("qvd-client-slaveclient-usbip.8"))
    for verb in ("lend", "bind BUSID", "connect BUSID FD", "unbind BUSID", "recover"):
        assert re.search(rf"^ +{verb}( |$)", shown, re.MULTILINE), verb


@pytest.mark.parametrize(
    ("file", "defaults"),
    [
        ("qvd-usbip-client.conf.5", client_settings.DEFAULTS),
        ("qvd-usbip-node.conf.5", server_settings.DEFAULTS),
        ("qvd-usbip-vma.conf.5", image_settings.DEFAULTS),
    ],
)
def test_each_key_is_there_with_the_default_that_holds(
    build: Callable[[str], str], file: str, defaults: dict[str, str]
) -> None:
    shown = rendered(build(file))
    for key, default in defaults.items():
        told = f"{key} (default: {default})" if default else key
        assert re.search(rf"^ +{re.escape(told)}$", shown, re.MULTILINE), told


def test_policy_and_rules_are_told_in_their_own_words(build: Callable[[str], str]) -> None:
    policy = rendered(build("usbip-policy.conf.5"))
    assert all(re.search(rf"^ +{re.escape(key)} \(default: .+\)$", policy, re.MULTILINE) for key in POLICY)
    assert all(f"{kind}: " in policy for kind in authorise.KINDS)
    about = rendered(build("usbip-rules.conf.5"))
    assert all(re.search(rf"\b{kind}\b", about) for kind in rules.KINDS)
    assert re.search(r"^ +deny class=storage +# No sticks$", about, re.MULTILINE)


def test_every_problem_is_there_with_its_exit_status(build: Callable[[str], str]) -> None:
    shown = rendered(build("qvd-usbip-problems.7"))
    listed = re.findall(r"^ +(\d+) ([a-z-]+)$", shown, re.MULTILINE)
    assert listed == [
        (str(each.exit_status), each.code) for each in sorted(PROBLEMS.values(), key=lambda each: each.exit_status)
    ]
    assert "'VALUE' is not a USB bus id; one looks like 1-4 or 1-4.2." in shown
    assert '{"v":1,"name":"…"' in shown


def test_every_command_and_settings_file_that_is_installed_has_its_page(
    installer: Callable[[str], ModuleType],
) -> None:
    layout = installer("layout")
    for role in layout.ROLES.values():
        pages = {item.source.rpartition(".")[0] for item in role.items if item.kind is layout.Kind.MAN}
        kinds = {layout.Kind.START, layout.Kind.LINK, layout.Kind.SETTINGS}
        named = {item.target.rpartition("/")[2] for item in role.items if item.kind in kinds}
        assert {name for name in named if not {name, f"qvd-usbip-{name}"} & pages} == set()
    installed = {item.source for role in layout.ROLES.values() for item in role.items if item.kind is layout.Kind.MAN}
    assert installed == set(files(installer))


def test_pages_name_only_pages_that_there_are(
    build: Callable[[str], str], installer: Callable[[str], ModuleType]
) -> None:
    there = {f"{each.name}({each.section})" for each in installer("manual").PAGES}
    for file in files(installer):
        *_, see = rendered(build(file)).partition("SEE ALSO")
        assert set(re.findall(r"[a-z.-]+\(\d\)", see)) <= there, file


@pytest.mark.parametrize(
    "text",
    [
        "... and so on",
        ".TH like a request", "'quoted' at the beginning", r"a \fBback\e slash", "--flag-with-dashes", 'a "word"',
        "^caret ~tilde `grave", "… ñ 器", "{value} and ${key}", "e.g. one. Two? Three", "%hyphen and $(shell)",
    ],
)  # fmt: skip
def test_text_is_shown_as_it_is(installer: Callable[[str], ModuleType], text: str) -> None:
    roff = installer("roff")
    blocks = (
        roff.Paragraph(roff=roff.plain(text)),
        roff.Listed(tags=(roff.bold(text),), told=(roff.plain(text),)),
        roff.Verbatim(lines=(roff.plain(text),)),
    )
    shown = words(rendered(roff.page("x", 1, "1", (roff.Section(title="NAME", blocks=blocks),))))
    assert shown.count(words(text)) == 4


def test_plain_text_is_parted_as_people_lay_it_out(installer: Callable[[str], ModuleType]) -> None:
    roff, plain_text = installer("roff"), installer("plain_text")
    text = (
        "What it is\nabout:\n  --one        first\n               goes on\n  --two WORD   second\n\n"
        "  deny a   # No a\n  allow b\n\nlend       give\ntake BUS   back\n"
    )
    assert plain_text.blocks_of(text) == (
        roff.Paragraph(roff="What it is about:"),
        roff.Listed(tags=(roff.bold("--one"),), told=("first goes on",)),
        roff.Listed(tags=(roff.bold("--two WORD"),), told=("second",)),
        roff.Verbatim(lines=(roff.plain("deny a   # No a"), "allow b")),
        roff.Listed(tags=(roff.bold("lend"),), told=("give",)),
        roff.Listed(tags=(roff.bold("take BUS"),), told=("back",)),
    )


def test_pages_are_made_without_any_package(repository: Path, tmp_path: Path) -> None:
    argv = ["/usr/bin/python3", "-E", "-s", "-S", "-B", str(repository / "resources/install/manual.py"), str(tmp_path)]
    subprocess.run(argv, check=True, capture_output=True, env={"PATH": "/usr/bin:/bin", "COLUMNS": "30"})
    assert (tmp_path / "qvd-usb.1").stat().st_size > 2000
