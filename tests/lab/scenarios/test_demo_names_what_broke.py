"""For every line of the demo's timeline: where that link is broken, the demo fails and names it."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.lab.demo import back, there
from tests.lab.demo.__main__ import show
from tests.lab.demo.breaks import BREAKS, IN_USE, LISTED, OPENED, PLUGGED, START, Break
from tests.lab.demo.timeline import TITLES, LinkBrokenError, Timeline
from tests.lab.demo.way import PATIENCE, Step, Way
from tests.lab.lab import Lab
from tests.lab.progress import say

if TYPE_CHECKING:
    from tests.lab.scenarios.conftest import Shelf

pytestmark = [pytest.mark.deep, pytest.mark.picker, pytest.mark.long]

#: A broken link must not be seen in so many times the seconds that it took unbroken, and these more.
TIMES, MORE = 3.0, 3.0
STEPS = there.steps() + back.steps()


def index_of(link: str) -> int:
    return next(index for index, step in enumerate(STEPS) if step.link == link)


FIRST_STEP = {START: 0, LISTED: index_of("ticked"), OPENED: index_of("talked"), IN_USE: index_of("stranger")}


@dataclass(slots=True)
class Walked:
    """A way that was walked once, with the moments kept from which breaks are tried."""

    way: Way
    took: dict[str, float]
    """Seconds that each link was waited for, else that its whole step took; the longest of its devices."""

    def soon(self, link: str) -> float:
        """Seconds in which a link that is not broken is seen."""
        return TIMES * self.took[link] + MORE

    def back_to(self, moment: str) -> None:
        self.way.lab.restore(moment)
        self.way.client.forget()
        self.way.server.forget()
        self.way.timeline = Timeline(moment)


@pytest.fixture(scope="module")
def walked(shelf: "Shelf", tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walked]:
    shelf.close()  # one lab at a time: this one keeps moments of its own
    with Lab.open(level="product", name="breaks") as lab:
        way = Way(lab, Timeline("whole"), tmp_path_factory.mktemp("pictures"))
        try:
            took = walk(way)
        except LinkBrokenError:
            say(f"what the lab looked like: {lab.collect(Path('build/lab/whole-way'))}")
            raise
        yield Walked(way, took)


def walk(way: Way) -> dict[str, float]:
    """Takes the whole way once, unbroken, and keeps the moments; how many seconds each link took."""
    took: dict[str, float] = {}
    way.prepare()
    way.lab.checkpoint(START)
    for index, step in enumerate(STEPS):
        for moment in (LISTED, OPENED, IN_USE):
            if FIRST_STEP[moment] == index:
                way.lab.checkpoint(moment)
        began = time.monotonic()
        way.take(step)
        took[step.link] = max(took.get(step.link, 0.0), time.monotonic() - began)
    return took | way.waited


def test_every_line_of_the_timeline_has_its_break() -> None:
    assert {each.link for each in (PLUGGED, *BREAKS)} == set(TITLES)


@pytest.mark.parametrize("fault", BREAKS, ids=str)
def test_a_broken_link_is_named(walked: Walked, fault: Break) -> None:
    walked.back_to(fault.at)
    way = walked.way
    fault.do(way)
    with pytest.raises(LinkBrokenError) as caught:
        take(walked, STEPS[FIRST_STEP[fault.at] :], fault.link)
    assert (caught.value.link, caught.value.device) == (fault.link, fault.device)
    assert fault.reason in str(caught.value)


def test_the_command_names_it_too_and_keeps_what_was_seen_until_then(
    walked: Walked, capsys: pytest.CaptureFixture[str]
) -> None:
    walked.back_to(PLUGGED.at)
    PLUGGED.do(walked.way)
    walked.way.patience = walked.soon(PLUGGED.link)
    assert not show(walked.way)
    said = capsys.readouterr()
    assert "demo: broken at plugged (serial)" in said.err
    assert "FAIL serial  NOT SEEN: plugged" in said.out
    folder = walked.way.pictures
    assert (folder / "timeline.png").read_bytes().startswith(b"\x89PNG")
    kept = {path.relative_to(folder / "failed").as_posix() for path in (folder / "failed").rglob("*")}
    assert {"client/screen-X7.png", "server/serial.log", "container-one/journal.txt"} <= kept
    assert {f"{guest}/{name}.txt" for guest in ("client", "server") for name in ("journal", "dmesg", "product")} <= kept


def take(walked: Walked, steps: list[Step], broken: str) -> None:
    """Takes the steps; waits for the one that is broken only as long as it would be seen."""
    for step in steps:
        walked.way.patience = walked.soon(broken) if step.link == broken else PATIENCE
        walked.way.take(step)
