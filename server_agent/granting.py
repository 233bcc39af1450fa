"""EFFECT: rights given and taken, now or beside the loop; one counts as taken when no open that it let in is under way.

Only then a number may go to somebody else (kernel/freezer.py says why). What a container loses at once is waited for at
once, however many numbers it is.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from qvd_usbip.errors import QvdUsbError
from qvd_usbip.ids import VmId
from server_agent import actions, events
from server_agent.executor import Executor

LOG = logging.getLogger(__name__)
THREADS = 16  # a container's own rights wait for one another, so that one that hangs holds one of them
#: Seconds between the tries to find a container outside the kernel. A process may stay there for as long as it likes,
#: but not in the middle of an open: nothing that it waits for there takes as long as all of these together.
PAUSES = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
AGAIN_SECONDS = 5.0


class Granting:
    """Carries Grant and Revoke out.

    Args:
        executor: the kernel.
        keep: runs a task to its end.
        done: takes the event that follows.
    """

    def __init__(
        self, executor: Executor, keep: Callable[[Awaitable[None]], None], done: Callable[[events.Event | None], None]
    ) -> None:
        self._executor = executor
        self._keep = keep
        self._done = done
        self._loop = asyncio.get_running_loop()
        self._pool = ThreadPoolExecutor(THREADS, "rights")
        self._crossings = ThreadPoolExecutor(THREADS, "crossing")
        self._lanes: defaultdict[VmId, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._being_revoked: set[actions.Action] = set()
        self._denied: dict[VmId, list[actions.Revoke]] = {}
        self._unsure: set[VmId] = set()
        self._sure = asyncio.Event()
        self._sure.set()

    def shutdown(self) -> None:
        """Nothing more is begun."""
        for pool in (self._pool, self._crossings):
            pool.shutdown(wait=False, cancel_futures=True)

    def perform(self, action: actions.Grant | actions.Revoke) -> None:
        """Now, or beside the loop in the order decided: what one container is given and what is taken from it."""
        if action in self._being_revoked:
            return
        if isinstance(action, actions.Revoke):  # asked for again it is not done twice: it could take what came after
            self._being_revoked.add(action)
        lane = self._lanes[action.container]
        if lane.locked() or self._executor.takes_long(action):
            self._keep(self._beside(lane, action))
            return
        with self._still_to_be_revoked_after_an_error((action,)):
            event = self._executor.perform(action)
        self._came(action, event)

    async def _beside(self, lane: asyncio.Lock, action: actions.Grant | actions.Revoke) -> None:
        with self._still_to_be_revoked_after_an_error((action,)):
            async with lane:
                event = await self._loop.run_in_executor(self._pool, self._executor.perform, action)
        self._came(action, event)

    @contextmanager
    def _still_to_be_revoked_after_an_error(self, waiting: Iterable[actions.Action]) -> Iterator[None]:
        try:
            yield
        except BaseException:  # the next look around asks for it again
            self._being_revoked.difference_update(waiting)
            raise

    def _came(self, action: actions.Grant | actions.Revoke, event: events.Event | None) -> None:
        if isinstance(action, actions.Revoke) and event is None:
            self._cross(action)
        else:
            self._being_revoked.discard(action)
            self._done(event)

    # what was let in before ------------------------------------------------------------------------------------------
    def _cross(self, action: actions.Revoke) -> None:
        """The number is closed: who was let in before has to come out."""
        begun = action.container in self._denied
        self._denied.setdefault(action.container, []).append(action)
        if not begun:
            self._keep(self._crossing(action.container))

    def begin(self, running: Iterable[VmId]) -> None:
        """An agent before this one may have taken rights and not lived to see these containers out of the kernel."""
        self._unsure = set(running)
        for name in sorted(self._unsure):
            self._sure.clear()
            self._keep(self._begin(name))

    async def _begin(self, name: VmId) -> None:
        while failed := await self._out_of_the_kernel(name):
            LOG.warning("opens may be under way, so no device is authorised container=%s error=%s", name, failed)
            await asyncio.sleep(AGAIN_SECONDS)
        self._unsure.discard(name)
        if not self._unsure:
            self._sure.set()

    async def sure(self) -> None:
        """Wait until no open can be under way that an agent before this one let in."""
        await self._sure.wait()

    async def _crossing(self, name: VmId) -> None:
        try:
            while waiting := self._denied[name]:
                self._denied[name] = []
                with self._still_to_be_revoked_after_an_error(waiting):
                    failed = await self._out_of_the_kernel(name)
                for action in waiting:
                    self._being_revoked.discard(action)
                    self._done(self._failed(action, failed) if failed else self._revoked(action))
        finally:
            self._being_revoked.difference_update(self._denied.pop(name))

    async def _out_of_the_kernel(self, name: VmId) -> str:
        """Wait until each process of a container was outside the kernel. Returns: what failed, in words."""
        for pause in (0.0, *PAUSES):
            await asyncio.sleep(pause)
            try:
                if await self._loop.run_in_executor(self._crossings, self._executor.no_open_under_way, name):
                    return ""
            except (OSError, QvdUsbError) as error:
                return str(error)
        LOG.warning("a process stays in the kernel: no open of it can be under way any more container=%s", name)
        return ""

    def _revoked(self, action: actions.Revoke) -> events.Event:
        try:
            count = self._executor.events_counted()
        except (OSError, ValueError) as error:
            return self._failed(action, str(error))
        return events.Revoked(at=self._loop.time(), container=action.container, right=action.right, count=count)

    def _failed(self, action: actions.Revoke, detail: str) -> events.Event:
        return events.RevokeFailed(at=self._loop.time(), container=action.container, right=action.right, detail=detail)
