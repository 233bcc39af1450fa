"""What the rounds of the sticks say of the promises about them."""

import pytest

from tests.bench.goals import Verdict
from tests.bench.slow_network import SIZES, WAYS
from tests.bench.sticks import DELAYS, STICKS, Way, findings_of, speeds_of

#: As fast as promised, at every delay.
SPEEDS = {
    Way.HAND: 1.0, Way.HAND_BUFFERED: 1.0, Way.STOCK: 0.95, Way.OURS: 2.0, Way.BUFFERED: 2.2, Way.KERNEL: 1.8,
    Way.RELAY: 1.0,
}  # fmt: skip


def rounds(**changed: float) -> dict[int, dict[str, tuple[float, ...]]]:
    speeds = SPEEDS | {Way[name]: value for name, value in changed.items()}
    return {
        delay: {str(way): (value * 1.0, value * 1.0, value * 9) for way, value in speeds.items()} for delay in DELAYS
    }


def missed(**changed: float) -> set[tuple[Way, int]]:
    found = zip(STICKS, findings_of(rounds(**changed)), strict=True)
    return {(each.ours, each.delay) for each, finding in found if finding.verdict is Verdict.MISSED}


def test_what_is_as_fast_as_promised_meets_every_promise() -> None:
    assert missed() == set()


@pytest.mark.parametrize(("way", "speed"), [("STOCK", 0.94), ("BUFFERED", 2.1)])
def test_what_is_slower_misses_its_own_at_every_delay(way: str, speed: float) -> None:
    assert missed(**{way: speed}) == {(Way[way], delay) for delay in DELAYS}


def test_where_the_network_is_quick_nothing_is_promised_of_encryption() -> None:
    assert missed(KERNEL=0.1) == {(Way.KERNEL, 10), (Way.KERNEL, 50)}


def test_each_way_is_read_at_each_delay_and_has_its_line() -> None:
    assert set(WAYS) == set(Way)
    assert set(SIZES) == set(DELAYS)
    assert [each.way for each in speeds_of(rounds())] == [str(way) for way in Way]
    assert speeds_of(rounds())[0].rounds[50] == (1.0, 1.0, 9.0)


def test_limits_of_the_kernel_itself_are_those_of_the_stick_by_hand() -> None:
    assert WAYS[Way.STOCK] == WAYS[Way.OURS] | {"limits": WAYS[Way.HAND]["serial"]}
