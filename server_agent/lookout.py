"""EFFECT: says that a device is ready, where no receiver in the container does, once the host has seen that it is."""

import asyncio
import logging
from collections.abc import Callable

from qvd_usbip.errors import QvdUsbError
from qvd_usbip.ids import VmId
from server_agent import events
from server_agent.broker import Agent
from server_agent.state import State
from server_agent.usable import MADE_INSIDE, Question, Seen, find_obstacle, question_of

LOG = logging.getLogger(__name__)
UNDER_WAY_SECONDS = 60.0  # more than a device may take from its attach until drivers have it
LOOK_SECONDS, LOOK_LATER_SECONDS = 0.1, 2.0
UNSEEN_SECONDS = 5.0  # a node is made within that time, or something is wrong
AWAIT_SECONDS = 3600.0  # where only an event can change anything; then it is waited for anew

Look = Callable[[Question], Seen]
Key = tuple[VmId, str]


def changed_from(question: Question, attach_id: str) -> Callable[[State], bool]:
    """Whether a state asks something else than this, or nothing any more."""
    return lambda state: question_of(state, question.container, attach_id) != question


class Lookout:
    """Follows devices, each by its container and attach id; looks until it is ready or gone.

    Args:
        daemon: the agent.
        look: what there is of a device's nodes; raises OSError or QvdUsbError where that cannot be seen.
    """

    def __init__(self, daemon: Agent, look: Look) -> None:
        self._daemon = daemon
        self._look = look
        self._tasks: dict[Key, asyncio.Task[None]] = {}
        self.reasons: dict[Key, str] = {}

    def follow(self, container: VmId, attach_id: str) -> None:
        """Look for this device from now on, once for all who ask."""
        key = container, attach_id
        if key in self._tasks or self._daemon.state.device_of_attach(container, attach_id) is None:
            return
        task = asyncio.get_running_loop().create_task(self._until_ready(container, attach_id))
        self._tasks[key] = task

        def ended(_: asyncio.Task[None]) -> None:
            del self._tasks[key]
            self.reasons.pop(key, None)

        task.add_done_callback(ended)

    def stop(self) -> None:
        """Look no more."""
        for task in self._tasks.values():
            task.cancel()

    async def _until_ready(self, container: VmId, attach_id: str) -> None:
        def in_use(state: State) -> bool:
            gone = state.device_of_attach(container, attach_id) is None
            return gone or question_of(state, container, attach_id) is not None

        await self._daemon.wait_until(in_use, UNDER_WAY_SECONDS)
        began = self._daemon.now
        while (question := question_of(self._daemon.state, container, attach_id)) is not None:
            reason = await self._obstacle(question)
            if question != question_of(self._daemon.state, container, attach_id):
                continue  # the look was for what is no more
            if not reason:
                await self._say_ready(question, attach_id)
                return
            late = question.access is None or self._daemon.now - began >= UNSEEN_SECONDS
            if late:
                await self._say_unseen(question, attach_id, reason)
            if question.access is None:  # there is nothing to look at: what ends this is an event
                await self._daemon.wait_until(changed_from(question, attach_id), AWAIT_SECONDS)
            else:
                await asyncio.sleep(LOOK_LATER_SECONDS if late else LOOK_SECONDS)

    async def _obstacle(self, question: Question) -> str:
        if question.access is None:
            return MADE_INSIDE
        try:
            return find_obstacle(question, await asyncio.to_thread(self._look, question))
        except (OSError, QvdUsbError) as error:
            return str(error)

    async def _say_ready(self, question: Question, attach_id: str) -> None:
        container, node = question.container, f"/dev/{question.main}"
        await self._tell(
            lambda number: events.Ready(
                at=self._daemon.now, container=container, attach_id=attach_id, node=node, request=number
            )
        )

    async def _say_unseen(self, question: Question, attach_id: str, reason: str) -> None:
        container = question.container
        key = container, attach_id
        if self.reasons.get(key) != reason:
            self.reasons[key] = reason
            LOG.warning("container=%s attach=%s is not seen to be usable: %s", *key, reason)
            await self._tell(
                lambda number: events.Unseen(
                    at=self._daemon.now, container=container, attach_id=attach_id, request=number
                )
            )

    async def _tell(self, event: Callable[[int], events.Event]) -> None:
        try:
            await self._daemon.request(event)
        except QvdUsbError as error:  # it went at this very moment
            LOG.info("a device that was looked for is gone: %s", error)
