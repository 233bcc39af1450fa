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
INSIDE = Path(__file__).with_name("inside")


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
    lab.server.push(INSIDE / "handed_on.py", "/usr/local/bin/handed_on.py")
    done = json.loads(lab.server.run("python3 /usr/local/bin/handed_on.py", timeout=180).out)
    assert done["opened"] == "opened", "nothing was at stake"
    assert (done["became"]["state"], done["became"]["problem"]) == ("failed", "number-exposed")
    assert done["afterwards"] == "dead"
    assert {name: rights(lab, name) for name in ("one", "two")} == closed


@pytest.mark.parametrize("killed", [False, True], ids=["agent-lives", "agent-killed-while-it-waits"])
def test_an_open_that_was_let_in_and_waits_in_the_kernel_does_not_find_the_next_ones_device(
    lab: Lab, killed: bool
) -> None:
    if killed:
        lab.expected_failures.add("qvd-usb-agent.service")
    opens_nothing_of_the_next_one(lab, kill=killed)


def opens_nothing_of_the_next_one(lab: Lab, *, kill: bool = False) -> None:
    """The kernel asks for the right first and looks for the device then; in between it may wait as long as modprobe."""
    software.put_kit(lab.server)
    lab.server.push(INSIDE / "let_in.py", "/usr/local/bin/let_in.py")
    done = json.loads(lab.server.run(f"python3 /usr/local/bin/let_in.py {'--kill' * kill}", timeout=180).out)
    assert done["open"] == "ENXIO", done
    assert done["number"], "nothing was at stake"
