"""A right that is still to be taken: a device waits for it, has it tried again, and nothing piles up."""

import asyncio
from dataclasses import replace

import pytest

from qvd_usbip.ids import BusId, DevNum, VmId
from server_agent import actions, events
from server_agent.events import DeviceSeen
from server_agent.state import Right
from tests.unit.server_agent.conftest import NUMBER, ONE, PORT, Bench, Run

TTY = Right(kind="c", number=DevNum(166, 0))
TWO = VmId("two")


def authorised(bench: Bench) -> bool:
    return any(isinstance(action, actions.Authorise) for action in bench.kernel.performed)


def revokes(bench: Bench) -> int:
    return sum(action == actions.Revoke(container=TWO, right=TTY) for action in bench.kernel.performed)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server_agent.daemon.OWED_SECONDS", 0.02)
    monkeypatch.setattr("server_agent.daemon.HINT_SECONDS", 0.01)


async def waits(bench: Bench) -> None:
    """A device waits for a number that is owed by another container, whose back end does not answer."""
    bench.kernel.slow_rights = True
    bench.kernel.may_authorise.set()
    bench.daemon.state = replace(bench.daemon.state, revoking=frozenset({(TWO, TTY)}))
    await bench.attach()
    bench.kernel.devices[PORT] = DeviceSeen(
        port=PORT, busid=BusId.parse("3-1"), number=NUMBER, name="x", authorised=False
    )
    bench.daemon.submit(events.Granted(at=bench.daemon.now, container=ONE, right=NUMBER))
    await bench.until(lambda: bench.daemon.state.devices[PORT].stage == "authorising")


@pytest.mark.usefixtures("impatient")
def test_what_is_owed_is_tried_again_while_a_device_waits_and_done_once_however_often(run: Run) -> None:
    async def work(bench: Bench) -> None:
        await waits(bench)
        looks = bench.kernel.looks
        await bench.until(lambda: bench.kernel.looks > looks + 3)
        assert revokes(bench) == 1, "the one that hangs is waited for"
        assert not authorised(bench)
        bench.kernel.may_set_rights.set()
        await bench.until(lambda: authorised(bench))
        await asyncio.sleep(0.1)
        assert revokes(bench) == 1, "and what asked again meanwhile comes to nothing"

    run(work)


@pytest.mark.usefixtures("impatient")
def test_nothing_is_tried_for_a_device_that_does_not_wait_any_more(run: Run) -> None:
    async def work(bench: Bench) -> None:
        await waits(bench)
        bench.kernel.devices.clear()
        bench.daemon.submit(events.UsbRemoved(at=bench.daemon.now, port=PORT, number=NUMBER))
        await asyncio.sleep(0.1)
        looks = bench.kernel.looks
        await asyncio.sleep(0.2)
        assert bench.kernel.looks == looks
        bench.kernel.may_set_rights.set()
        await bench.daemon.look()
        await bench.until(lambda: not bench.daemon.state.revoking)
        assert not authorised(bench)

    run(work)
