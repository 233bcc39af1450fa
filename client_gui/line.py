"""EFFECT: the session that devices are shared with: where it listens, and whether it answers there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from client_gui.dial import candidates_without_lookup, look_up
from client_gui.reach import Reach
from client_gui.session import require_privacy, view_of
from client_gui.troubles import fault_of, trouble_of
from qvd_usbip.errors import QvdUsbError
from qvd_usbip.values import replace

if TYPE_CHECKING:
    from collections.abc import Callable

    from client_gui.dial import Candidate
    from client_gui.loop import Loop
    from client_gui.session import Session
    from client_gui.state import Fitness, SessionView
    from client_gui.troubles import Fault
    from qvd_usbip.encryption import Way

LOOKUP_LIMIT = 15.0
"""How long a name service may take, in seconds; after that the connection fails, and is tried again."""


class Line:
    """One session after the other; belongs to the engine's thread.

    Args:
        loop: the engine's loop.
        on_reach: called when the session begins or ceases to answer.
        on_address: called when it is known where the session listens.
    """

    def __init__(self, loop: Loop, on_reach: Callable[[], None], on_address: Callable[[], None]) -> None:
        self._loop = loop
        self._on_reach = on_reach
        self._on_address = on_address
        self._candidates: list[Candidate] | None = None
        self._looking_up = False
        self._reach: Reach | None = None
        self.session: Session | None = None

    def hang_up(self) -> None:
        """Ends with this session."""
        self.session = None
        self._candidates = None
        self._looking_up = False
        if self._reach is not None:
            self._reach.stop()
            self._reach = None

    def begin(self, session: Session) -> None:
        """Turns to a session, and finds out where it listens."""
        self.session = session
        self._look_up(session)

    @property
    def is_known(self) -> bool:
        """Whether it is known where the session listens."""
        return self.session is not None and self._candidates is not None

    def candidates(self) -> list[Candidate]:
        """Where to connect to."""
        return self._candidates or []

    def privacy_fault(self, *, allow_plaintext: bool) -> Fault | None:
        """Why devices may not be sent there."""
        if self.session is None:
            return None
        try:
            require_privacy(self.session, allow_plaintext=allow_plaintext)
        except QvdUsbError as error:
            return fault_of(error)
        return None

    def ask(self) -> None:
        """Finds out whether the session answers, and goes on asking."""
        if self._reach is None and self.session is not None and self.is_known:
            self._reach = Reach(self._loop, self.session, self.candidates, self._on_reach)
            self._reach.ask()

    def doubt(self) -> None:
        """Finds out whether the session still answers: a device lost it."""
        if self._reach is not None:
            self._reach.doubt()

    def hope(self) -> None:
        """Finds out whether the session answers again: a device came through."""
        if self._reach is not None:
            self._reach.hope()

    def look_up_again(self) -> None:
        """Finds out anew where the session listens: its address may have changed."""
        if self.session is not None and not self._looking_up:
            self._look_up(self.session)

    def _look_up(self, session: Session) -> None:
        found = candidates_without_lookup(session.address)
        if found is not None:
            self._candidates = found
            return
        self._looking_up = True

        def heard(found: list[Candidate]) -> None:
            if self.session is session and self._looking_up:
                self._looking_up = False
                self._candidates = found
                self._on_address()

        def answered(found: list[Candidate]) -> None:
            self._loop.post(lambda: heard(found))  # where the loop is closed by then, nobody waits for the answer

        look_up(session.address, answered)
        self._loop.call_later(LOOKUP_LIMIT, lambda: heard([]))

    @property
    def fault(self) -> Fault | None:
        """Why the session did not answer."""
        return None if self._reach is None else self._reach.fault

    @property
    def fitness(self) -> Fitness | None:
        """How good the way is, once it was measured."""
        return None if self._reach is None else self._reach.fitness

    def view(self, *, barred: Fault | None, shared: bool, way: Way | None) -> SessionView | None:
        """What is to be shown of the session; one that a device is shared with is connected, its TLS done by `way`.

        One to which nothing may be sent (`barred` says why) is not even asked.
        """
        if self.session is None:
            return None
        if barred is not None:
            return view_of(self.session, connected=False, trouble=trouble_of(barred))
        if shared or self._reach is None or self._reach.answered is None:
            return view_of(self.session, connected=shared, way=way)
        trouble = None if self._reach.fault is None else trouble_of(self._reach.fault)
        view = view_of(self.session, connected=self._reach.answered, trouble=trouble)
        return replace(view, lost=self._reach.lost, retry_in=self._reach.retry_in)

    @property
    def counts_down(self) -> bool:
        """Whether a session that was lost is about to be tried again."""
        return self._reach is not None and self._reach.retry_in is not None
