"""EFFECT: the window in which one new client may be paired with this host, and what administrators do about clients.

A window is opened by an administrator for one container, lasts five minutes and is good for one try: from the moment a
client has committed itself it is used up, whatever comes of it (why: qvd_usbip/pairing.py).
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from qvd_usbip.errors import (
    ENDPOINT_OFF,
    PAIRING_CODE_WRONG,
    PAIRING_ENDED,
    QvdUsbError,
)
from qvd_usbip.ids import VmId
from qvd_usbip.pairing import NONCE_BYTES, HostSide, fingerprint_of
from server_agent import paired
from server_agent.chronicle import Entry, Kind
from server_agent.paired import Paired
from server_agent.records import Records

WINDOW_SECONDS = 300.0
STEP_SECONDS = 10.0  # how long a client may take for what no person has to answer
LONGEST_WAIT = 20.0  # of an administrator's command, in seconds; it asks again
_CHUNK = 4096

_NOBODY_CAME = "no client came within five minutes"
_NOT_CONFIRMED = "it was not confirmed on both sides within five minutes"


class Stage(StrEnum):
    """How far a window is."""

    WAITING = "waiting"
    CODE = "code"  # a client is there, and both sides show the code
    PAIRED = "paired"
    OVER = "over"


@dataclass(slots=True, eq=False)
class Window:
    """One pairing from its beginning to its end."""

    container: VmId
    deadline: float
    number: str = field(default_factory=lambda: secrets.token_hex(8))
    stage: Stage = Stage.WAITING
    taken: bool = False  # a client is being talked to
    code: str = ""
    name: str = ""
    peer: str = ""
    fingerprint: str = ""
    error: QvdUsbError | None = None
    agreed: asyncio.Event = field(default_factory=asyncio.Event)  # the administrator says that the codes are the same
    over: asyncio.Event = field(default_factory=asyncio.Event)
    _moved: asyncio.Event = field(default_factory=asyncio.Event)

    def move(self, stage: Stage) -> None:
        """Be at another stage, and let those know who wait for that."""
        self.stage = stage
        self._moved.set()
        self._moved = asyncio.Event()
        if stage in {Stage.PAIRED, Stage.OVER}:
            self.over.set()

    def end(self, error: QvdUsbError) -> None:
        """Be over, without anybody having been paired."""
        self.error = error
        self.move(Stage.OVER)

    async def moved(self, seconds: float) -> None:
        """Wait until it is at another stage, at most so long."""
        try:
            await asyncio.wait_for(self._moved.wait(), seconds)
        except TimeoutError:
            return

    def as_json(self) -> dict[str, Any]:
        """The window for people and programs."""
        return {
            "v": 1, "window": self.number, "container": str(self.container), "stage": str(self.stage),
            "code": self.code, "name": self.name, "peer": self.peer, "fingerprint": self.fingerprint,
        }  # fmt: skip


async def _nothing() -> None:
    return


class PairingDesk:
    """Pairs new clients, and knows who is paired."""

    def __init__(self, folder: Path, records: Records, clock: Callable[[], float]) -> None:
        """Args: folder: of the clients' records; clock: seconds of the monotonic clock."""
        self._folder = folder
        self._records = records
        self._clock = clock
        self._certificate = b""
        self._changed: Callable[[], Awaitable[None]] = _nothing
        self._window: Window | None = None

    def serve(self, certificate: bytes, changed: Callable[[], Awaitable[None]]) -> None:
        """There is an endpoint that clients can reach.

        Args:
            certificate: the one it shows, as DER.
            changed: called after each change of who is paired; the change is in force when it is done.
        """
        self._certificate = certificate
        self._changed = changed

    # for administrators ----------------------------------------------------------------------------------------------
    def open(self, container: VmId) -> Window:
        """Wait for a client of this container, and for no other any more.

        Raises:
            QvdUsbError: endpoint-off.
        """
        if not self._certificate:
            raise QvdUsbError(ENDPOINT_OFF)
        before = self._current()
        if before is not None:
            self._end(before, QvdUsbError(PAIRING_ENDED, reason="another pairing was begun on the host"))
        self._window = Window(container=container, deadline=self._clock() + WINDOW_SECONDS)
        self._note(Kind.PAIRING, container, seconds=int(WINDOW_SECONDS))
        return self._window

    async def state(self, number: str, stage: str, wait: float) -> Window:
        """A window, as soon as it is at another stage than this one, or after so many seconds.

        Raises:
            QvdUsbError: what ended it.
        """
        window = self._window
        if window is None or window.number != number:
            raise QvdUsbError(PAIRING_ENDED, reason="another pairing was begun on the host, or the agent was restarted")
        left = window.deadline - self._clock()
        if window.stage == stage and stage in {Stage.WAITING, Stage.CODE}:
            await window.moved(max(0.0, min(wait, LONGEST_WAIT, left)))
        self._current()
        if window.error is not None:
            raise window.error
        return window

    def confirm(self, container: VmId, code: str) -> Window:
        """The administrator has read this code on the client's screen; any other than ours ends the pairing.

        Raises:
            QvdUsbError: pairing-code-wrong; pairing-ended, where no client waits for that.
        """
        window = self._at_code(container)
        if not secrets.compare_digest(code.encode(), window.code.encode()):
            self._end(window, QvdUsbError(PAIRING_CODE_WRONG))
            raise QvdUsbError(PAIRING_CODE_WRONG)
        window.agreed.set()
        return window

    def refuse(self, number: str) -> None:
        """The administrator says that the codes differ, or has no time any more."""
        window = self._current()
        if window is not None and window.number == number:
            differ = window.stage == Stage.CODE
            gone = QvdUsbError(PAIRING_ENDED, reason="it was called off on the host")
            self._end(window, QvdUsbError(PAIRING_CODE_WRONG) if differ else gone)

    async def clients(self) -> paired.Register:
        """Who is paired."""
        return await asyncio.to_thread(paired.read, self._folder)

    async def unpair(self, name: str) -> Paired | None:
        """Take a client's access away; its connections have ended when this is done.

        Returns:
            Who it was; None where the record was broken.

        Raises:
            QvdUsbError: client-unknown; config-unwritable, and the client still has access.
        """
        register = await self.clients()
        found = next((each for each in register.clients if each.name == name), None)
        await asyncio.to_thread(paired.remove, self._folder, name)
        await self._changed()
        words = {"client": name} if found is None else {"client": name, "fingerprint": found.fingerprint}
        self._note(Kind.UNPAIR, None if found is None else found.container, **words)
        return found

    def _at_code(self, container: VmId) -> Window:
        window = self._current()
        if window is None or window.container != container or window.stage != Stage.CODE:
            raise QvdUsbError(PAIRING_ENDED, reason=f"no client waits to be paired with {container}")
        return window

    def _current(self) -> Window | None:
        """The window, if it is not over; one whose time is up is over from now on."""
        window = self._window
        if window is None or window.over.is_set():
            return None
        if self._clock() >= window.deadline:
            reason = _NOBODY_CAME if window.stage == Stage.WAITING else _NOT_CONFIRMED
            self._end(window, QvdUsbError(PAIRING_ENDED, reason=reason))
            return None
        return window

    # for clients -----------------------------------------------------------------------------------------------------
    @property
    def is_open(self) -> bool:
        """Whether a new client is waited for."""
        window = self._current()
        return window is not None and not window.taken

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, peer: str) -> None:
        """Pair the client at the other end, and close the connection.

        Args:
            reader: what it says, readable.
            writer: to it.
            peer: where it comes from, for people.
        """
        window = self._current()
        side = HostSide(certificate=self._certificate, nonce=secrets.token_bytes(NONCE_BYTES))
        try:
            if window is not None and not window.taken:
                window.taken = True
                await self._pair(window, side, reader, writer, peer)
        except (QvdUsbError, ConnectionError) as error:
            if window is not None and not window.over.is_set():
                self._failed(window, side, error)
            if side.committed:
                writer.write(side.refuse(error.problem if isinstance(error, QvdUsbError) else PAIRING_ENDED))
        finally:
            writer.close()

    def _failed(self, window: Window, side: HostSide, error: QvdUsbError | ConnectionError) -> None:
        if not side.committed:  # it has learnt nothing: the window is for the next one
            window.taken = False
        elif isinstance(error, QvdUsbError):
            self._end(window, error)
        else:
            self._end(window, QvdUsbError(PAIRING_ENDED, reason="the connection was lost"))

    async def _pair(
        self, window: Window, side: HostSide, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, peer: str
    ) -> None:
        try:
            async with asyncio.timeout(STEP_SECONDS):
                while not side.code:
                    writer.write(side.feed(await reader.read(_CHUNK)))
                    await writer.drain()
        except TimeoutError as error:
            raise QvdUsbError(PAIRING_ENDED, reason="the client said nothing") from error
        _require_certificate(side.certificate)
        window.code, window.name, window.peer = side.code, side.name, peer
        window.fingerprint = fingerprint_of(side.certificate)
        window.move(Stage.CODE)
        await self._both_agree(window, side, reader)
        await self._store(window, side, writer)

    async def _both_agree(self, window: Window, side: HostSide, reader: asyncio.StreamReader) -> None:
        """Wait until administrator and client have said yes; whoever says no, or is gone, ends it."""
        confirmed = asyncio.Event()

        async def listen() -> None:
            while True:
                side.feed(await reader.read(_CHUNK))
                if side.confirmed:
                    confirmed.set()

        async def agree() -> None:
            await confirmed.wait()
            await window.agreed.wait()

        listening, gone = asyncio.ensure_future(listen()), asyncio.ensure_future(window.over.wait())
        both = asyncio.ensure_future(agree())
        waiting: set[asyncio.Future[Any]] = {listening, gone, both}
        try:
            await asyncio.wait(waiting, timeout=window.deadline - self._clock(), return_when=asyncio.FIRST_COMPLETED)
            if listening.done():
                await listening
            if not both.done():
                raise window.error or QvdUsbError(PAIRING_ENDED, reason=_NOT_CONFIRMED)
        finally:
            for task in waiting:
                task.cancel()

    async def _store(self, window: Window, side: HostSide, writer: asyncio.StreamWriter) -> None:
        new = Paired(
            name=side.name,
            container=window.container,
            fingerprint=window.fingerprint,
            added=datetime.now(UTC).isoformat(timespec="seconds"),
            certificate=side.certificate,
        )
        stored = await asyncio.to_thread(paired.add, self._folder, new)
        try:
            await self._changed()
        except BaseException:  # both sides are told that nothing was stored
            await asyncio.to_thread(paired.remove, self._folder, stored.name)
            raise
        self._note(
            Kind.PAIR, stored.container, client=stored.name, fingerprint=stored.fingerprint, peer=window.peer
        )  # fmt: skip
        window.name = stored.name
        window.move(Stage.PAIRED)
        writer.write(side.accept(str(stored.container), stored.name))
        await writer.drain()

    def _end(self, window: Window, error: QvdUsbError) -> None:
        window.end(error)
        words = {"client": window.name, "peer": window.peer, "reason": error.context.get("reason", "")}
        said = {word: value for word, value in words.items() if value}
        self._note(Kind.REFUSAL, window.container, problem=error.problem.code, **said)

    def _note(self, kind: Kind, container: VmId | None, **words: str | int) -> None:
        self._records.add(Entry(at=self._clock(), kind=kind, container=container, words=words))


def _require_certificate(der: bytes) -> None:
    from qvd_usbip.system.identity import require_certificate  # noqa: PLC0415  # without the library there is no endpoint

    require_certificate(der)
