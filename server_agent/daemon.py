"""EFFECT: the running agent: events in, decide, actions out, all on one loop; what may take long runs beside it."""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

from qvd_usbip.errors import QvdUsbError, problem_of
from qvd_usbip.ids import VmId
from server_agent import actions, events
from server_agent.announcer import Announcer
from server_agent.broker import Broker, Desk
from server_agent.chronicle import Chronicle, Entry, Kind
from server_agent.decide import decide
from server_agent.executor import CONTAINER_ACTIONS, QUICK_ACTIONS, RIGHTS_ACTIONS, SLOW_ACTIONS, Executor
from server_agent.granting import Granting
from server_agent.kernel import udev
from server_agent.kernel.observe import Observer
from server_agent.ledger import Ledger
from server_agent.records import Records
from server_agent.requests import Requests
from server_agent.scribe import Scribe
from server_agent.state import SETTLE_SECONDS, Stage, State

LOG = logging.getLogger(__name__)
LOOK_SECONDS = 60.0
OWED_SECONDS = 3.0  # after that long what could not be revoked is tried again, if a device waits for it
HINT_SECONDS = 0.2  # hints come in bursts: one look answers them all
READ_AT_ONCE = 256  # events; in a storm everybody else has a turn in between
CATCH_UP = 20_000  # events that are read at once where all must be known
NOT_YET = float("inf")  # no look makes up for lost events before the socket was read empty, see LostEventsError
THREADS = 64  # a device of a dead peer can hold each for some seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Wiring:
    """What the daemon runs on."""

    executor: Executor
    observer: Observer
    ledger: Ledger
    monitor: udev.Monitor
    brokers: Path
    records: Records = field(default_factory=Records)
    isochronous: bool = False  # devices with isochronous endpoints may reach a container
    disk_request_kib: int = 0  # how large requests to lent disks may be; 0 leaves them as they come


class Daemon:
    """Holds the one State; every change of it is one event through `decide`."""

    def __init__(self, wiring: Wiring, sockets: dict[str, int]) -> None:
        self._wiring = wiring
        self._sockets = sockets
        self._loop = asyncio.get_running_loop()
        self._queue: deque[events.Event] = deque()
        self._deciding = False
        self._requests = Requests()
        self._brokers: dict[VmId, Broker] = {}
        self._changed = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._hint: asyncio.TimerHandle | None = None
        self._looks: asyncio.Task[None] | None = None
        self._look_lock = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._slow = ThreadPoolExecutor(THREADS, "device")
        self._granting = Granting(wiring.executor, self._keep, self._done)
        self._scribe = Scribe(wiring.ledger, lambda error: self.submit(self._not_remembered(error)))
        self._announcer = Announcer(wiring.executor.uevents, self._slow, self._not_told)
        self._chronicle = Chronicle()
        self._beginnings = udev.Beginnings()
        self._lost_at: float | None = None  # events were lost then, and no look has made up for it yet
        self._containers = ThreadPoolExecutor(1, "container")  # one after the other, in the order decided
        self.state = State()

    @property
    def now(self) -> float:
        """Seconds of the monotonic clock."""
        return self._loop.time()

    async def start(self) -> None:
        """Take the ledger, listen for events, look around, and repair what is not right.

        Raises:
            OSError, QvdUsbError: the kernel cannot be watched or read.
        """
        wiring = self._wiring
        self.state = replace(
            wiring.ledger.load(self.now), isochronous=wiring.isochronous, disk_request_kib=wiring.disk_request_kib
        )
        wiring.executor.freezer.thaw_all()
        self._loop.add_reader(self._wiring.monitor.start(), self._read_monitor)
        await self.look()
        self._granting.begin(self.state.containers)
        self._looks = self._loop.create_task(self._look_again())

    async def stop(self) -> None:
        """Stop; containers keep what they have, and the next agent takes over from there."""
        if self._looks is not None:
            self._looks.cancel()
        for handle in (self._timer, self._hint):
            if handle is not None:
                handle.cancel()
        for broker in self._brokers.values():
            broker.close()
        self._announcer.stop()
        await self._scribe.settled()
        self._scribe.close()
        self._granting.shutdown()
        for pool in (self._slow, self._containers):
            pool.shutdown(wait=False, cancel_futures=True)

    # events in -------------------------------------------------------------------------------------------------------
    def submit(self, event: events.Event) -> None:
        """Decide about an event now, or right after the one that is being decided."""
        self._queue.append(event)
        if self._deciding:
            return
        self._deciding = True
        try:
            while self._queue:
                self._step(self._queue.popleft())
        finally:
            self._deciding = False
        self._changed.set()
        self._changed = asyncio.Event()
        self._arm()

    def _step(self, event: events.Event) -> None:
        before = self.state
        self.state, todo = decide(before, event)
        if not isinstance(event, events.Observed) or todo:
            LOG.debug("event=%s actions=%d", event, len(todo))
        for entry in self._chronicle.follow(before, event, self.state, todo):
            self._wiring.records.add(entry)
        for action in todo:
            LOG.debug("action=%s", action)
            self._perform(action)

    async def request(self, make: Callable[[int], events.Event]) -> actions.Answer:
        """Submit an event that asks for something, and wait for the answer.

        Args:
            make: the event, given the number its answer will carry.

        Raises:
            QvdUsbError: what stands in the way.
        """
        number, answer = self._requests.new()
        self.submit(make(number))
        found = await answer
        if found.problem:
            raise QvdUsbError(problem_of(found.problem), **found.context)
        return found

    async def wait_until(self, holds: Callable[[State], bool], seconds: float) -> bool:
        """Wait until something holds of the state, at most so long.

        Returns:
            Whether it does.
        """
        deadline = self.now + seconds
        while not holds(self.state):
            left = deadline - self.now
            if left <= 0:
                return False
            try:
                await asyncio.wait_for(self._changed.wait(), left)
            except TimeoutError:
                return holds(self.state)
        return True

    # actions out -----------------------------------------------------------------------------------------------------
    def _perform(self, action: actions.Action) -> None:
        if isinstance(action, QUICK_ACTIONS):
            self._done(self._wiring.executor.perform(action))
        elif isinstance(action, RIGHTS_ACTIONS):
            self._granting.perform(action)
        elif isinstance(action, SLOW_ACTIONS):
            self._beside(self._slow, action)
        elif isinstance(action, CONTAINER_ACTIONS):
            self._beside(self._containers, action)
        else:
            self._perform_here(action)

    def _perform_here(self, action: actions.Action) -> None:
        """What the executor has no part in."""
        if isinstance(action, actions.Answer):
            self._requests.answer(action)
        elif isinstance(action, actions.Remember):
            self.submit(self._remember())
        elif isinstance(action, actions.RememberSoon):
            self._scribe.write_soon(self.state)
        elif isinstance(action, actions.OpenBroker):
            self._open_broker(action)
        elif isinstance(action, actions.CloseBroker):
            self._close_broker(action.container)
        elif isinstance(action, actions.LookAround):
            self.look_soon()
        elif isinstance(action, actions.Announce):
            self._announcer.put(action)

    def _not_told(self, action: actions.Announce, detail: str) -> None:
        self._done(events.NotTold(at=self.now, container=action.container, devpath=action.thing.devpath, detail=detail))

    def _done(self, event: events.Event | None) -> None:
        if event is not None:
            if hasattr(event, "detail"):
                LOG.warning("result=%s", event)
            self.submit(event)

    def _beside(self, pool: ThreadPoolExecutor, action: actions.Action) -> None:
        async def run() -> None:
            if isinstance(action, actions.Authorise):
                await self._scribe.settled()  # what drivers have, a restarted agent knows
                if not await self._numbers_are_free(action):
                    return
            await self._perform_in(pool, action)

        self._keep(run())

    async def _perform_in(self, pool: ThreadPoolExecutor, action: actions.Action) -> None:
        try:
            event = await self._loop.run_in_executor(pool, self._wiring.executor.perform, action)
        except (OSError, QvdUsbError) as error:
            LOG.warning("failed action=%s error=%s", action, error)
            return
        self._done(event)

    async def _numbers_are_free(self, action: actions.Authorise) -> bool:
        """Drivers will take numbers: first take the rights of whatever gave its numbers back until now.

        What cannot be taken is tried again meanwhile.

        Returns:
            Whether none is left, and the device still waits; one that waits for too long is given up at its deadline.
        """

        def waits(state: State) -> bool:
            device = state.devices.get(action.port)
            return device is not None and (device.number, device.stage) == (action.number, Stage.AUTHORISING)

        await self._granting.sure()
        if not await self._catch_up():
            return False
        while not await self.wait_until(lambda state: not (state.revoking and waits(state)), OWED_SECONDS):
            self.look_soon()
        return waits(self.state)

    async def _catch_up(self) -> bool:
        """Know of everything that has happened; where events were lost only a look tells what that is.

        Returns:
            False when the kernel could not be looked at for too long.
        """
        if not self._take_events(CATCH_UP):  # a storm that does not end: to look is quicker than to listen
            self._lost_at = max(self._lost_at or 0.0, self.now)
        deadline = self.now + SETTLE_SECONDS
        while self._lost_at is not None and self.now < deadline:
            await self._try_to_look()
            if self._lost_at is not None:
                await asyncio.sleep(HINT_SECONDS)
        return self._lost_at is None

    def _keep(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            LOG.error("something ended in a way nobody thought of", exc_info=error)

    def _remember(self) -> events.Event:
        try:
            self._scribe.write(self.state)
        except QvdUsbError as error:
            return self._not_remembered(error)
        return events.Remembered(at=self.now)

    def _not_remembered(self, error: QvdUsbError) -> events.Event:
        path = self._wiring.ledger.path
        LOG.warning("the ledger could not be written path=%s error=%s", path, error)
        return events.NotRemembered(at=self.now, path=str(path), detail=error.context.get("reason", ""))

    def _open_broker(self, action: actions.OpenBroker) -> None:
        self._close_broker(action.container)
        desk = Desk(container=action.container, daemon=self, sockets=self._sockets)
        folder = self._wiring.brokers / str(action.container)
        broker = Broker(folder=folder, uid=action.uid, gid=action.gid, desk=desk)
        try:
            broker.open()
        except OSError as error:
            self.submit(events.BrokerFailed(at=self.now, container=action.container, detail=str(error)))
            return
        self._brokers[action.container] = broker
        self.submit(events.BrokerOpened(at=self.now, container=action.container))

    def _close_broker(self, name: VmId) -> None:
        broker = self._brokers.pop(name, None)
        if broker is not None:
            broker.close()

    # time and the kernel ---------------------------------------------------------------------------------------------
    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        deadline = self.state.next_deadline()
        self._timer = None if deadline is None else self._loop.call_at(max(deadline, self.now + 0.05), self._tick)

    def _tick(self) -> None:
        self._timer = None
        self.submit(events.Clock(at=self.now))

    def _read_monitor(self) -> None:
        """Take some of the kernel's events; the loop comes back while there are more."""
        self._take_events(READ_AT_ONCE)

    def _take_events(self, most: int) -> bool:
        """Take the kernel's events, at most so many. Returns: whether that was all there are, as far as is known."""
        taken = 0
        try:
            for found in islice(self._wiring.monitor.read(), most):
                taken += 1
                event = udev.event_of(self.state, found, self.now, self._beginnings.of(found))
                if event is not None:
                    self.submit(event)
                elif udev.is_hint(found) or udev.is_root_hub(found):
                    self.look_soon()
                for more in (udev.keys_of(self.state, found, self.now), udev.heard_of(self.state, found, self.now)):
                    if more is not None:
                        self.submit(more)
        except udev.LostEventsError:
            LOG.warning("kernel events were lost: looking around")
            self._wiring.records.add(Entry(at=self.now, kind=Kind.OVERFLOW))
            self._lost_at = NOT_YET
            self.look_soon()
        else:
            if taken < most and self._lost_at == NOT_YET:
                self._lost_at = self.now
                self.look_soon()
        return taken < most

    def look_soon(self) -> None:
        """Look around in a moment, once for all who ask until then."""
        if self._hint is None:
            self._hint = self._loop.call_later(HINT_SECONDS, self._look_now)

    def _look_now(self) -> None:
        self._hint = None
        self._keep(self._try_to_look())

    async def _look_again(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            self.look_soon()  # in a task of its own: whatever becomes of it, there is a next one

    async def _try_to_look(self) -> None:
        try:
            await self.look()
        except (OSError, QvdUsbError) as error:
            LOG.warning("the kernel could not be looked at: %s", error)

    async def look(self) -> None:
        """Observe the kernel and repair what is not right.

        Raises:
            OSError, QvdUsbError: the kernel does not say.
        """
        async with self._look_lock:
            seen = await asyncio.to_thread(self._wiring.observer.look, self.now)
            self._take_events(CATCH_UP)  # when what a look found came, only its event tells
            self.submit(seen)
            if self._lost_at is not None and self._lost_at <= seen.at:
                self._lost_at = None
