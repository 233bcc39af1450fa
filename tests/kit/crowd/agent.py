"""EFFECT: the agent's own loop on the simulated host: started, waited for until all rights are exact, stopped again."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from server_agent.daemon import Daemon, Wiring
from tests.kit.crowd.host import Crowd

Work = Callable[[Daemon], Coroutine[Any, Any, None]]
PATIENCE = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Restart:
    """What a restart took until all rights were exact and nothing was under way any more.

    Args:
        seconds: by the clock.
        processor: seconds of processor time: other programs' share of the machine is not the agent's.
        again: what a second look wrote.
    """

    seconds: float
    processor: float
    again: int


def with_agent(wiring: Wiring, work: Work) -> None:
    """Do something while an agent runs on these parts."""

    async def main() -> None:
        daemon = Daemon(wiring, {})
        await daemon.start()
        try:
            await work(daemon)
        finally:
            await daemon.stop()

    asyncio.run(main())


def restart(crowd: Crowd) -> Restart:
    """Start an agent where one has died.

    Raises:
        TimeoutError: the rights do not become exact.
    """
    processor, clock = time.process_time(), time.monotonic()
    taken: list[Restart] = []

    async def work(daemon: Daemon) -> None:
        while not crowd.exact():
            if time.monotonic() > clock + PATIENCE:
                raise TimeoutError(f"not exact within {PATIENCE:.0f} s")
            await asyncio.sleep(0.01)
        await crowd.settled(daemon)
        seconds, busy, written = time.monotonic() - clock, time.process_time() - processor, crowd.rights.written
        await daemon.look()
        await crowd.settled(daemon)
        taken.append(Restart(seconds=seconds, processor=busy, again=crowd.rights.written - written))

    with_agent(crowd.wiring(), work)
    return taken[0]
