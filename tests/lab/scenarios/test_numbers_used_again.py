"""The gate when numbers are used again: a device of one container never opens to the other, however soon it comes.

`make campaign` runs the same for as long as one likes (tests/lab/campaign).
"""

import json
from pathlib import Path

import pytest

from tests.lab import Lab
from tests.lab.campaign.reuse import Reuse
from tests.lab.scenarios import software
from tests.lab.scenarios.rights_seen import rights

pytestmark = [pytest.mark.deep, pytest.mark.long]

CYCLES = 200
WITHOUT_GATE = 6
_HANDED_ON = Path(__file__).with_name("inside") / "handed_on.py"


def test_no_open_by_the_wrong_container_in_200_cycles_of_reuse(lab: Lab) -> None:
    reuse = Reuse(lab)
    reuse.prepare()
    done = reuse.run(CYCLES)
    assert done["wrong"] == [], done["agent"]
    assert done["cycles"] == CYCLES
    assert done["reused"] > 1.5 * CYCLES, done
    assert done["own"] > CYCLES, done
    assert done["unsure"] < done["own"] / 10, done
    unguarded = reuse.run(WITHOUT_GATE, gate_off=True)
    assert unguarded["wrong"], f"the opener would not see it: {unguarded}"


def test_a_device_that_got_a_number_while_it_was_open_to_another_container_goes_at_once(lab: Lab) -> None:
    """No gate can help here: drivers had the one device already when the other one lost the number."""
    closed = {name: rights(lab, name) for name in ("one", "two")}
    software.put_kit(lab.server)
    lab.server.push(_HANDED_ON, "/usr/local/bin/handed_on.py")
    done = json.loads(lab.server.run("python3 /usr/local/bin/handed_on.py", timeout=180).out)
    assert done["opened"] == "opened", "nothing was at stake"
    assert (done["became"]["state"], done["became"]["problem"]) == ("failed", "number-exposed")
    assert done["afterwards"] == "dead"
    assert {name: rights(lab, name) for name in ("one", "two")} == closed
