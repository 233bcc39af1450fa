"""What is refused before any driver has it."""

from dataclasses import replace

import pytest

from server_agent import judgement
from server_agent.events import Inspected
from tests.unit.server_agent.conftest import NUMBER, PORT
from tests.unit.server_agent.world_hubs import usb_device

PLAIN = Inspected(at=1, port=PORT, number=NUMBER, device=usb_device(PORT))
HUB = replace(PLAIN, device=usb_device(PORT, hub=True))
ISOCHRONOUS = replace(PLAIN, isochronous=True)
INCOMPLETE = replace(PLAIN, complete=False)


@pytest.mark.parametrize("allowed", [False, True])
def test_whatever_the_kernel_a_hub_and_half_a_description_are_refused_and_the_rest_is_not(*, allowed: bool) -> None:
    for found, problem in ((PLAIN, ""), (HUB, "device-is-hub"), (INCOMPLETE, "device-refused")):
        assert judgement.judge(found, isochronous_allowed=allowed) == problem


def test_isochronous_endpoints_are_refused_unless_allowed() -> None:
    assert judgement.judge(ISOCHRONOUS, isochronous_allowed=False) == "isochronous-unsafe"
    assert judgement.judge(ISOCHRONOUS, isochronous_allowed=True) == ""
    hidden = replace(ISOCHRONOUS, complete=False)
    assert judgement.judge(hidden, isochronous_allowed=True) == "device-refused"
