"""EFFECT: events for containers, in order for each: what has gathered while one batch is said goes with the next."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Protocol

from qvd_usbip.ids import VmId
from server_agent.actions import Announce

LOG = logging.getLogger(__name__)
BATCH = 32
WAITING = 1024  # of one container; beyond that it is told at the next look around


class Speaker(Protocol):
    """What an announcer needs of the uevents."""

    def say(self, name: VmId, batch: "list[Announce]") -> None:
        """Say these inside a container. Raises: OSError."""


@dataclass(slots=True)
class Announcer:
    """One line per container; a container that does not answer holds up nobody else.

    Args:
        speaker: says a batch, and may take seconds.
        pool: where that runs.
        failed: is told of each announcement that was not heard, with the reason.
    """

    speaker: Speaker
    pool: Executor
    failed: Callable[[Announce, str], None]
    _lines: dict[VmId, deque[Announce]] = field(default_factory=dict)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def put(self, action: Announce) -> None:
        """Take an announcement; it is said after those of the same container that came before."""
        line = self._lines.get(action.container)
        if line is None:
            line = self._lines[action.container] = deque()
            task = asyncio.get_running_loop().create_task(self._work(action.container, line))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        if len(line) < WAITING:
            line.append(action)
        else:
            asyncio.get_running_loop().call_soon(self.failed, action, "too much is waiting to be said")

    def stop(self) -> None:
        """Say nothing more."""
        for task in self._tasks:
            task.cancel()

    async def _work(self, name: VmId, line: deque[Announce]) -> None:
        try:
            while line:
                await self._say(name, [line.popleft() for _ in range(min(len(line), BATCH))])
        finally:
            del self._lines[name]

    async def _say(self, name: VmId, batch: list[Announce]) -> None:
        try:
            await asyncio.get_running_loop().run_in_executor(self.pool, self.speaker.say, name, batch)
        except OSError as error:
            reason = error.strerror or str(error) or "it could not be said"
            LOG.warning("not told container=%s things=%d error=%s", name, len(batch), reason)
            for action in batch:
                self.failed(action, reason)
