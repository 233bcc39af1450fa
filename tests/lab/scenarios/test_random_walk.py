"""All that happens to devices, in an order that nobody thought of: after each step every promise is kept.

`make campaign` walks for as long as one likes (tests/lab/campaign).
"""

import pytest

from tests.lab import Lab
from tests.lab.campaign import path
from tests.lab.campaign.model import State
from tests.lab.campaign.walk import Walk
from tests.lab.progress import say

pytestmark = [pytest.mark.deep, pytest.mark.long]

SECONDS = 180.0
LEAST = 6


def test_three_minutes_of_steps_at_random_break_no_promise(lab: Lab) -> None:
    seed = path.new_seed()
    say(f"seed {seed}")
    walk = Walk.begin(lab, seed)
    walk.go(path.at_random(seed, State()), SECONDS)
    say(walk.summary())
    assert walk.rests >= LEAST, walk.summary()
