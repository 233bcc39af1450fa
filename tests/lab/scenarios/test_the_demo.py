"""The demo as a scenario: two devices ticked with the mouse in the picker, carried into the container, and back."""

from pathlib import Path

import pytest

from tests.lab import Lab
from tests.lab.demo import back, there
from tests.lab.demo.timeline import TITLES, Timeline
from tests.lab.demo.way import DEVICES, Way


@pytest.mark.core
@pytest.mark.picker
def test_every_link_of_the_way_is_seen_for_each_device(lab: Lab, tmp_path: Path) -> None:
    way = Way(lab, Timeline("The demo as a scenario"), tmp_path)
    way.prepare()
    steps = there.steps() + back.steps()
    for step in steps:
        way.take(step)  # raises LinkBrokenError with the link's name
    seen = {(entry.link, entry.device) for entry in way.timeline.seen if entry.ok}
    expected = {(step.link, step.device.name if step.device else "") for step in steps} - {("picker", "")}
    assert seen == expected | {("clicked", device.name) for device in DEVICES}
    assert {link for link, _ in seen} == set(TITLES)
