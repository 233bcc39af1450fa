"""What the bench says of a device's way beside its table."""

from tests.bench.goals import Finding
from tests.bench.lab_rounds import less_starts
from tests.bench.promises import READY


def test_the_starts_of_python_that_stand_on_the_way_are_taken_off_ours_alone() -> None:
    ready = Finding(goal=READY, ours=(2900.0, 3000.0, 9000.0), reference=(2000.0, 2200.0, 2300.0))
    words = less_starts(ready, (100.0, 200.0, 150.0))
    assert words == "ticked to ready, less the start of the helper and qvd-create-device: 2700 ms, 1.23 of by hand"
