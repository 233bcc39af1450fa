"""The fixtures of the lab's scenarios: `lab` (the product installed) and `bare_lab` (Debian as it is).

A process of pytest runs one lab at a time, which its scenarios share (with `-n 2 --dist loadfile` two processes, each
with the scenarios of other files); each scenario begins in the state `ready`, and
passes only if the lab is healthy after it. A lab that cannot start fails the scenario. Scenarios that begin alike, with
a device plugged for one, share that beginning too: `beginning`; and one that shows at its end that it left nothing
(`leaves_nothing`) spares the next one the way back there.
"""

import os
import re
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypeVar, cast

import pytest

from tests.lab import Lab, LabError, Unhealthy
from tests.lab.progress import say
from tests.lab.recipe import SUITES

Made = TypeVar("Made")
_FAILED = pytest.StashKey[bool]()
_FOLDER = Path(__file__).resolve().parents[3] / "build/lab"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--suite", choices=sorted(SUITES), default="trixie", help="the Debian release of the lab's guests")


@pytest.hookimpl(trylast=True)  # after -m made its choice
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves out what the suite cannot show, and says so; then long ones first, and those of one level together."""
    suite = SUITES[config.getoption("--suite")]
    left_out = [item for item in items if not suite.pyside and item.get_closest_marker("picker")]
    for item in left_out:
        if os.environ.get("PYTEST_XDIST_WORKER", "gw0") == "gw0":
            say(f"not on {suite.name}, which has no PySide6 package: {item.nodeid}")
        items.remove(item)
    config.hook.pytest_deselected(items=left_out)
    items.sort(
        key=lambda item: (not item.get_closest_marker("long"), "bare_lab" not in getattr(item, "fixturenames", ()))
    )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed:
        item.stash[_FAILED] = True
    return report


class Shelf:
    """The one lab that runs, of whichever level was asked for last."""

    def __init__(self, suite: str) -> None:
        self._suite = suite
        self._stack = ExitStack()
        self._lab: Lab | None = None
        self._broken: dict[str, LabError] = {}
        self._beginnings: dict[Callable[[Lab], object], object] = {}
        self._begun: Callable[[Lab], object] | None = None
        self._as_begun = False

    def take(self, level: str, moment: str = "ready") -> Lab:
        """A lab of that level in a state that was kept: the ready one, or that of a beginning."""
        if level in self._broken:  # a lab that does not start once is not waited for again
            raise self._broken[level]
        if self._lab and (self._lab.level != level or not self._lab.alive()):
            self.close()
        self._begun, self._as_begun = None, False
        if self._lab:
            self._lab.restore(moment)
            return self._lab
        try:
            self._lab = self._stack.enter_context(Lab.open(suite=self._suite, level=level, name="test"))
            self._lab.checkpoint("ready")
        except LabError as error:
            self._broken[level] = error
            self.close()
            raise
        return self._lab

    @property
    def running(self) -> Lab | None:
        """The lab that was taken last."""
        return self._lab

    def begin(self, prepare: Callable[[Lab], Made]) -> Made:
        """What `prepare` made of the product's lab, once for each lab; the lab is in the state it was in then."""
        moment = re.sub(r"\W", "-", f"{prepare.__module__}-{prepare.__qualname__}")
        if self._lab and self._lab.alive() and prepare in self._beginnings:
            if not (self._as_begun and self._begun is prepare):
                self.take("product", moment)
        else:
            lab = self.take("product")
            made = prepare(lab)
            lab.checkpoint(moment)
            self._beginnings[prepare] = made
        self._begun, self._as_begun = prepare, False
        return cast("Made", self._beginnings[prepare])

    def left_nothing(self) -> None:
        """Where the last scenario began the next one that begins there goes on."""
        self._as_begun = True

    def close(self) -> None:
        """Ends the lab."""
        self._beginnings.clear()
        self._lab = None
        self._stack.close()


@pytest.fixture(scope="session")
def shelf(request: pytest.FixtureRequest) -> Iterator[Shelf]:
    """The running lab of this session."""
    shelf = Shelf(request.config.getoption("--suite"))
    try:
        yield shelf
    finally:
        shelf.close()


def _keep_evidence(lab: Lab, name: str) -> None:
    folder = _FOLDER / re.sub(r"[^\w.-]+", "-", name)
    try:
        lab.collect(folder)
    finally:
        say(f"what the lab looked like: {folder}")


def _finish(request: pytest.FixtureRequest, lab: Lab) -> None:
    if request.node.stash.get(_FAILED, False):
        _keep_evidence(lab, request.node.name)
        return
    try:
        lab.health()
    except (Unhealthy, LabError):
        _keep_evidence(lab, request.node.name)
        raise


@pytest.fixture
def lab(request: pytest.FixtureRequest, shelf: Shelf) -> Iterator[Lab]:
    """Both guests with the product installed, agent and containers running."""
    lab = shelf.take("product")
    yield lab
    _finish(request, lab)


@pytest.fixture
def beginning(request: pytest.FixtureRequest, shelf: Shelf) -> Iterator[Callable[[Callable[[Lab], Any]], Any]]:
    """What a function makes of the lab that `lab` is, called once and kept with the state of both guests.

    What it makes must hold nothing of the guests that a restored state does not bring back.
    """
    yield shelf.begin
    if shelf.running:
        _finish(request, shelf.running)
        if request.node.get_closest_marker("leaves_nothing") and not request.node.stash.get(_FAILED, False):
            shelf.left_nothing()


@pytest.fixture
def bare_lab(request: pytest.FixtureRequest, shelf: Shelf) -> Iterator[Lab]:
    """Both guests as they booted, without the product."""
    lab = shelf.take("base")
    yield lab
    _finish(request, lab)
