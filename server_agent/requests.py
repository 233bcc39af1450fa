"""EFFECT: those who asked the agent for something, until what they asked for is done."""

import asyncio
from dataclasses import dataclass, field

from server_agent import actions


@dataclass(slots=True)
class Requests:
    """Those who wait for an answer, by number."""

    _waiting: dict[int, asyncio.Future[actions.Answer]] = field(default_factory=dict)
    _last: int = 0

    def new(self) -> tuple[int, "asyncio.Future[actions.Answer]"]:
        """A number, and what will be answered under it."""
        self._last += 1
        future: asyncio.Future[actions.Answer] = asyncio.get_running_loop().create_future()
        self._waiting[self._last] = future
        return self._last, future

    def answer(self, answer: actions.Answer) -> None:
        """Pass an answer on; nobody may be waiting any more."""
        future = self._waiting.pop(answer.request, None)
        if future is not None and not future.done():
            future.set_result(answer)
