"""The gate when numbers are used again: a device of one container never opens to the other, however soon it comes.

`make campaign` runs the same for as long as one likes (tests/lab/campaign).
"""

import pytest

from tests.lab import Lab
from tests.lab.campaign.reuse import Reuse

pytestmark = [pytest.mark.deep, pytest.mark.long]

CYCLES = 200
WITHOUT_GATE = 6


def test_no_open_by_the_wrong_container_in_200_cycles_of_reuse(lab: Lab) -> None:
    reuse = Reuse(lab)
    reuse.prepare()
    done = reuse.run(CYCLES)
    assert done["wrong"] == []
    assert done["cycles"] == CYCLES
    assert done["reused"] > 1.5 * CYCLES, done
    assert done["own"] > CYCLES, done
    unguarded = reuse.run(WITHOUT_GATE, gate_off=True)
    assert unguarded["wrong"], f"the opener would not see it: {unguarded}"
