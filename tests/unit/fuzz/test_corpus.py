"""All inputs that were kept are read again on every change, and every parser has a target."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from qvd_usbip import errors
from qvd_usbip.errors import QvdUsbError
from tests.fuzz.every import MODULES, TARGETS
from tests.fuzz.target import CORPUS, Target

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGES = ("qvd_usbip", "client_gui", "server_agent", "vma_hooks")
#: Makes the parser of a command line.
NONE = {"parser"}
MOST_FILES, MOST_BYTES = 400, 300_000


@pytest.mark.parametrize("name", TARGETS)
def test_each_target_bears_all_inputs_that_were_kept(name: str) -> None:
    inputs = TARGETS[name].inputs()
    assert inputs
    for path in inputs:
        TARGETS[name].run(path.read_bytes())


def test_nothing_is_kept_for_a_target_that_is_not_there_and_what_is_kept_stays_small() -> None:
    assert {path.name for path in CORPUS.iterdir()} == set(TARGETS)
    files = [path for target in TARGETS.values() for path in target.inputs()]
    assert len(files) <= MOST_FILES
    assert sum(path.stat().st_size for path in files) <= MOST_BYTES


def test_every_parser_has_a_target(repository: Path) -> None:
    known = {word for module in MODULES for word in words_of(Path(str(module.__file__)))}
    found = set(parsers(repository))
    assert len(found) > 25
    assert found - known - NONE == set()


def parsers(repository: Path) -> Iterator[str]:
    """The public functions, and methods of classes, whose names say that they read what somebody wrote."""
    for package in PACKAGES:
        for path in (repository / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.FunctionDef) and re.match(r"(parse|decode|feed)", node.name):
                    yield node.name


def words_of(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.Name):
            yield node.id


def made(problem: errors.Problem | type[Exception], raised: Exception, *, late: bool = False) -> Target:
    """A target that raises, while it reads or, `late`, while it looks at what it read."""

    def body(data: bytes) -> Iterator[None]:
        if not late:
            raise raised
        yield
        raise raised

    return Target(name="made", module=__name__, documented=(problem,), body=body)


def test_what_a_parser_documents_may_come_out_of_it() -> None:
    made(errors.BUSID_MALFORMED, QvdUsbError(errors.BUSID_MALFORMED, value="x\n\u202e")).run(b"")
    made(ValueError, ValueError()).run(b"")
    made(QvdUsbError, QvdUsbError(errors.INTERNAL)).run(b"")


@pytest.mark.parametrize(
    ("documented", "raised"),
    [
        (errors.BUSID_MALFORMED, QvdUsbError(errors.INTERNAL)),
        (errors.BUSID_MALFORMED, ValueError()),
        (ValueError, QvdUsbError(errors.INTERNAL)),
        (ValueError, OverflowError()),
    ],
)
def test_nothing_else_may(documented: errors.Problem | type[Exception], raised: Exception) -> None:
    with pytest.raises(type(raised)):
        made(documented, raised).run(b"")


def test_what_was_read_must_be_right_whatever_the_parser_documents() -> None:
    with pytest.raises(ValueError, match="late"):
        made(ValueError, ValueError("late"), late=True).run(b"")
