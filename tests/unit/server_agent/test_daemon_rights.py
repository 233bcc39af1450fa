"""The daemon and what containers may open: what is taken is gone before anything is let through, whatever hangs."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from qvd_usbip.ids import DevNum, VmId
from server_agent import actions, events
from server_agent.ledger import Ledger
from server_agent.state import Container, Phase, Right, State
from tests.unit.server_agent.conftest import PORT, Bench, Run


def test_containers_that_a_killed_agent_left_frozen_go_on_at_its_start(run: Run) -> None:
    async def work(bench: Bench) -> None:
        assert bench.kernel.thawed == 1

    run(work)


def test_each_container_that_was_there_before_the_start_is_seen_out_of_the_kernel(run: Run, tmp_path: Path) -> None:
    two = VmId("two")
    before = State(containers={two: Container(name=two, hub=None, phase=Phase.IN_FORCE)})
    Ledger(path=tmp_path / "ledger.json", boot_id="boot").save(before)

    async def work(bench: Bench) -> None:
        await bench.until(lambda: two in bench.kernel.asked_out)

    run(work)


def test_nothing_is_authorised_before_each_container_was_out_of_the_kernel_since_the_start(run: Run) -> None:
    async def work(bench: Bench) -> None:
        bench.kernel.may_authorise.set()
        bench.kernel.inside = True
        bench.daemon._granting.begin((VmId("two"),))
        await bench.attach()
        await bench.until(lambda: bench.daemon.state.devices[PORT].stage == "authorising")
        await asyncio.sleep(0.05)
        assert not any(isinstance(action, actions.Authorise) for action in bench.kernel.performed)
        bench.kernel.inside = False
        await bench.until(lambda: any(isinstance(action, actions.Authorise) for action in bench.kernel.performed))

    run(work)


def test_a_back_end_that_hangs_holds_nobody_up_and_keeps_the_order(run: Run) -> None:
    async def work(bench: Bench) -> None:
        bench.kernel.slow_rights = True
        await bench.attach()
        await bench.until(lambda: any(isinstance(a, actions.Grant) for a in bench.kernel.performed))
        revoking = asyncio.ensure_future(bench.ask(op="revoke", container="one", busid="3-1"))
        await bench.until(lambda: bool(bench.daemon.state.revoking))
        assert (await bench.ask(op="status"))["revoking"] == ["one c 189:257"]
        assert bench.kernel.set_rights == []
        bench.kernel.may_set_rights.set()
        await revoking
        await bench.until(lambda: not bench.daemon.state.revoking)
        assert [type(action) for action in bench.kernel.set_rights] == [actions.Grant, actions.Revoke]

    run(work)


@pytest.mark.parametrize("given_up", [False, True])
def test_nothing_is_authorised_while_a_number_is_still_being_taken_from_anyone(run: Run, given_up: bool) -> None:
    def authorised(bench: Bench) -> bool:
        return any(isinstance(action, actions.Authorise) for action in bench.kernel.performed)

    async def work(bench: Bench) -> None:
        bench.kernel.may_authorise.set()
        tty = Right(kind="c", number=DevNum(166, 0))
        bench.daemon.state = replace(bench.daemon.state, revoking=frozenset({(VmId("two"), tty)}))
        await bench.attach()
        await bench.until(lambda: bench.daemon.state.devices[PORT].stage == "authorising")
        await asyncio.sleep(0.05)
        assert not authorised(bench)
        if given_up:
            await bench.ask(op="revoke", container="one", busid="3-1")
        bench.daemon.submit(events.Revoked(at=bench.daemon.now, container=VmId("two"), right=tty, count=0))
        if given_up:
            await asyncio.sleep(0.05)
            assert not authorised(bench)
        else:
            await bench.until(lambda: authorised(bench))

    run(work)
