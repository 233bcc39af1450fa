"""EFFECT: the manual pages, made of what the programs and settings files themselves say: python3 manual.py FOLDER.

Nothing is written for the manual alone but the line of its index and what belongs together, so that it cannot tell
something else than --help, the comments of the files that are installed, and the table of problems.
"""

import ast
import importlib
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from manual_commands import sections_of_help, sections_of_parser
from manual_settings import sections_of_file, sections_of_keys
from roff import Listed, Paragraph, Section, bold, italic, page, plain, spelled

REPOSITORY = Path(__file__).resolve().parents[2]
PROBLEMS = "qvd-usbip-problems"


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A page: its name and section, its line in the index, what it is made of, and the pages that belong to it.

    `source` is the module with the command's `parser`, the module whose HELP or docstring is the text of --help, the
    settings file as it is installed, or the module with the table.
    """

    name: str
    section: int
    summary: str
    source: str
    see: tuple[str, ...] = ()

    @property
    def file(self) -> str:
        """The page's file name."""
        return f"{self.name}.{self.section}"


_OF_CLIENT = (
    *("qvd-usb(1)", "qvd-usb-picker(1)"),
    *("qvd-usbip-client.conf(5)", "usbip-policy.conf(5)", "usbip-rules.conf(5)"),
)
_OF_IMAGE = (
    *("qvd-usb-image(8)", "qvd-usb-slaveserver(8)", "qvd-vma-slaveserver-usbip(8)", "qvd-create-device(8)"),
    "qvd-usbip-vma.conf(5)",
)

PAGES = (
    Page(
        name="qvd-usb", section=1, source="client_gui.cli", see=_OF_CLIENT,
        summary="lend USB devices of this computer to a remote desktop",
    ),
    Page(
        name="qvd-usb-picker", section=1, source="client_gui.ui.main", see=_OF_CLIENT,
        summary="choose in a window which USB devices the remote desktop gets",
    ),
    Page(
        name="qvd-client-slaveclient-usbip", section=8, source="client_gui/helper/main.py", see=_OF_CLIENT,
        summary="take USB devices from their drivers for whoever may lend them, and give them back",
    ),
    Page(
        name="qvd-usbip-client.conf", section=5, source="client_gui.settings", see=_OF_CLIENT,
        summary="which USB devices are shared, and how",
    ),
    Page(
        name="usbip-policy.conf", section=5, source="resources/conf/usbip-policy.conf", see=_OF_CLIENT,
        summary="who may lend USB devices, and what users may agree to",
    ),
    Page(
        name="usbip-rules.conf", section=5, source="resources/conf/usbip-rules.conf", see=_OF_CLIENT,
        summary="which USB devices may be lent",
    ),
    Page(
        name="qvd-usb-agent", section=8, source="server_agent.cli", see=("qvd-usbip-node.conf(5)",),
        summary="lend virtual USB hubs to containers",
    ),
    Page(
        name="qvd-usbip-node.conf", section=5, source="resources/conf/node.conf", see=("qvd-usb-agent(8)",),
        summary="USB devices of clients in the containers of a host",
    ),
    Page(
        name="qvd-usb-image", section=8, source="vma_hooks.image", see=_OF_IMAGE,
        summary="say what an image lacks for USB devices",
    ),
    Page(
        name="qvd-usb-slaveserver", section=8, source="vma_hooks/slave_server.py", see=_OF_IMAGE,
        summary="take USB devices from clients, in an image",
    ),
    Page(
        name="qvd-vma-slaveserver-usbip", section=8, source="vma_hooks/attach.py", see=_OF_IMAGE,
        summary="hand one USB/IP connection to the agent, in an image",
    ),
    Page(
        name="qvd-create-device", section=8, source="vma_hooks/create_device.py", see=_OF_IMAGE,
        summary="make the nodes of a container's USB devices",
    ),
    Page(
        name="qvd-usbip-vma.conf", section=5, source="resources/conf/vma.conf", see=_OF_IMAGE,
        summary="USB devices in an image",
    ),
    Page(
        name=PROBLEMS, section=7, source="qvd_usbip.errors",
        summary="what can go wrong with USB devices, the exit status of each, and what helps",
    ),
)  # fmt: skip


def build(file: str, repository: Path = REPOSITORY) -> str:
    """The roff of the page with this file name, as `qvd-usb.1`."""
    made = next(each for each in PAGES if each.file == file)
    name = Section(title="NAME", blocks=(Paragraph(roff=rf"{spelled(made.name)} \- {spelled(made.summary)}"),))
    others = [_reference(each) for each in (*made.see, f"{PROBLEMS}(7)") if each != f"{made.name}({made.section})"]
    see = Section(title="SEE ALSO", blocks=(Paragraph(roff=", ".join(others)),) if others else ())
    version = str(module_named("qvd_usbip", repository).VERSION)
    return page(made.name, made.section, version, (name, *_sections(made, repository), see))


def _reference(other: str) -> str:
    name, _, rest = other.partition("(")
    return f"{bold(name)}({rest}"


def _sections(made: Page, repository: Path) -> tuple[Section, ...]:
    if made.source.endswith(".conf"):
        text = (repository / made.source).read_text(encoding="utf-8")
        return sections_of_file(f"/etc/qvd/{Path(made.source).name}", text)
    if made.source.endswith(".py"):
        return sections_of_help(help_of((repository / made.source).read_text(encoding="utf-8"), made.name))
    module = module_named(made.source, repository)
    if hasattr(module, "parser"):
        return sections_of_parser(module.parser())
    if hasattr(module, "PROBLEMS"):
        return (_problems(module),)
    keys = {key: (each.default, each.about) for key, each in module.KEYS.items()}
    return sections_of_keys(module.LAYERS, module.ABOUT, keys)


def module_named(name: str, repository: Path) -> ModuleType:
    """Imports a module of the product; only such as need nothing but the standard library."""
    if str(repository) not in sys.path:
        sys.path.insert(0, str(repository))
    return importlib.import_module(name)


def help_of(source: str, program: str) -> str:
    """The text of --help of a module that cannot be imported everywhere: its HELP, or its docstring."""
    tree = ast.parse(source)
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == "HELP":
            return str(ast.literal_eval(node.value))
    _, _, told = (ast.get_docstring(tree) or "").partition(": ")
    return f"usage: {program} VERB\n\n{told[:1].upper()}{told[1:]}"


def _problems(errors: ModuleType) -> Section:
    """Every problem in the order of its exit status; what is filled in at run time stands in italics."""
    found = problems_in_order(errors)
    listed = tuple(
        Listed(
            tags=(f"{bold(str(each.exit_status))} {plain(each.code)}",),
            told=(_filled_in(each.sentence), _filled_in(each.remedy)),
        )
        for each in found
    )
    about = "Every command ends with 0, or with the number of what went wrong, which it explains on standard error."
    return Section(title="DESCRIPTION", blocks=(Paragraph(roff=plain(about)), *listed))


def problems_in_order(errors: ModuleType) -> list[Any]:
    """The problems of the table by exit status."""
    return sorted(errors.PROBLEMS.values(), key=lambda each: each.exit_status)


def filled_in(sentence: str, said: Callable[[str], str], stands_for: Callable[[str], str]) -> str:
    """The sentence of a problem: `said` writes its words, `stands_for` what is filled in at run time, in capitals."""
    pieces = [piece.replace("{{", "{").replace("}}", "}") for piece in re.split(r"\{([a-z_]+)\}", sentence)]
    return "".join(stands_for(piece.upper()) if place % 2 else said(piece) for place, piece in enumerate(pieces))


def _filled_in(sentence: str) -> str:
    return filled_in(sentence, plain, italic)


def main() -> int:
    """Writes every page into FOLDER and names it."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for each in PAGES:
        place = folder / each.file
        place.write_text(build(each.file), encoding="ascii")
        print(place)
    return 0


if __name__ == "__main__":
    sys.exit(main())
