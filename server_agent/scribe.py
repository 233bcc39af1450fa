"""EFFECT: writes the ledger: at once where something waits for it, else beside the loop, many wishes with one write."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from qvd_usbip.errors import QvdUsbError
from server_agent.ledger import Ledger
from server_agent.state import State


class Scribe:
    """Belongs to the loop. One write at a time, and never an older state over a newer one.

    Args:
        ledger: what is written.
        failed: called on the loop when a write beside it failed; the record that was there stands.
    """

    def __init__(self, ledger: Ledger, failed: Callable[[QvdUsbError], None]) -> None:
        self._ledger = ledger
        self._failed = failed
        self._pool = ThreadPoolExecutor(1, "ledger")
        self._pen = threading.Lock()
        self._due: State | None = None
        self._work: asyncio.Task[None] | None = None
        self._turn = asyncio.Event()
        self._wishes = self._served = 0  # counted, so that nobody waits for wishes that came after their own
        self._written = 0  # the wish whose state the file holds

    def write(self, state: State) -> None:
        """Write this state before anything else is done.

        Raises:
            QvdUsbError: config-unwritable; the old record stands.
        """
        self._wishes += 1
        self._due = None
        try:
            self._save(self._wishes, state)
        finally:
            self._serve(self._wishes)

    def write_soon(self, state: State) -> None:
        """Write this state, or a newer one, beside the loop."""
        self._wishes += 1
        self._due = state
        if self._work is None or self._work.done():
            self._work = asyncio.get_running_loop().create_task(self._write_all())

    async def settled(self) -> None:
        """Wait until all that was to be written until now is, or could not be."""
        wanted = self._wishes
        while self._served < wanted:
            await self._turn.wait()

    def close(self) -> None:
        """Let go of the thread."""
        self._pool.shutdown(wait=False)

    async def _write_all(self) -> None:
        while self._due is not None:
            state, number = self._due, self._wishes
            self._due = None
            try:
                await asyncio.get_running_loop().run_in_executor(self._pool, self._save, number, state)
            except QvdUsbError as error:
                if number > self._written:
                    self._failed(error)
            finally:
                self._serve(number)

    def _save(self, number: int, state: State) -> None:
        with self._pen:
            if number > self._written:
                self._ledger.save(state)
                self._written = number

    def _serve(self, number: int) -> None:
        self._served = max(self._served, number)
        self._turn.set()
        self._turn = asyncio.Event()
