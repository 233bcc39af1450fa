"""EFFECT: one device's way to the remote desktop: does what `steps.decide` says, and tells it what came of it."""

from __future__ import annotations

import errno
import random
import selectors
import socket
import time
import uuid
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from client_gui import steps
from client_gui.channel import Absent, Acknowledgement, Upgrade
from client_gui.exporter import Answer, Exporter
from client_gui.steps import Act, Event, Happened, Machine, Phase
from client_gui.troubles import Fault
from qvd_usbip.ack import AckState
from qvd_usbip.encryption import Way
from qvd_usbip.system.key_use import is_used_up

if TYPE_CHECKING:
    from collections.abc import Callable

    from client_gui.dial import Candidate
    from client_gui.loop import Loop, Timer
    from client_gui.session import Session
    from qvd_usbip.ack import Ack
    from qvd_usbip.usb import UsbDevice

ACK_WAIT = 20
"""How long the other end may wait for a change before it answers, in seconds."""
ACK_SLACK = 5.0
ACK_PAUSE = 1.0
"""Between two questions that got the same answer at once, and after the first failure, in seconds."""
ACK_LONGEST_PAUSE = 15.0
ACK_ASK_AGAIN = (1.0, 4.0)
"""When a peer that knows nothing of the attach is asked once more, in seconds."""

_HELPER_SAID = {
    "bound": Happened.BOUND,
    "exported": Happened.EXPORTED,
    "returned": Happened.RETURNED,
    "dropped": Happened.DROPPED,
    "refused": Happened.HELPER_REFUSED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What a device needs on its way: the session, where it listens, and the helper that exports."""

    session: Session
    candidates: Callable[[], list[Candidate]]
    helper: str
    consent: tuple[str, ...] = ()


class Lending:
    """One device, from its tick to its return.

    Args:
        device: the device as it was when it was first wanted.
        loop: the engine's loop.
        on_change: called whenever the device moved.
        leaving: takes the helpers that were let go of but may not have ended yet.
    """

    def __init__(self, device: UsbDevice, loop: Loop, on_change: Callable[[], None], leaving: list[Exporter]) -> None:
        self.device = device
        self.machine = Machine(salt=random.random())  # noqa: S311  # it spreads retries, it keeps no secret
        self._loop = loop
        self._on_change = on_change
        self._means: Means | None = None
        self._events: deque[Event] = deque()
        self._deciding = False
        self._limit: Timer | None = None
        self._exporter: Exporter | None = None
        self._leaving = leaving
        self._upgrade: Upgrade | None = None
        self._connection: socket.socket | None = None
        self._acknowledgement: Acknowledgement | None = None
        self._ack_timer: Timer | None = None
        self._ack_failures = 0
        self._absences = 0
        self._attach_id = ""
        self.way: Way | None = None

    def want(self, means: Means | None) -> None:
        """Shares the device by these means, or (None) returns it."""
        if means is not None:
            self._means = means
        self._feed(Event(kind=Happened.WANTED if means is not None else Happened.UNWANTED))

    def retry(self) -> None:
        """Tries at once what failed."""
        self._feed(Event(kind=Happened.RETRY))

    @property
    def at_rest(self) -> bool:
        """Whether nothing is lent or on its way."""
        return self.machine.phase in {Phase.IDLE, Phase.RESTING, Phase.STOPPED}

    def abandon(self) -> None:
        """Lets go of everything without waiting: the helper returns the device when it sees our end closed."""
        self._close()
        if self._limit is not None:
            self._limit.cancel()

    def _feed(self, event: Event) -> None:
        self._events.append(event)
        if self._deciding:
            return
        self._deciding = True
        before = self.machine
        try:
            while self._events:
                self.machine, acts = steps.decide(self.machine, self._events.popleft(), time.monotonic())
                for act in acts:
                    self._perform(act)
        finally:
            self._deciding = False
        self._arm()
        if self.machine != before:
            self._on_change()

    def _arm(self) -> None:
        if self._limit is not None:
            self._limit.cancel()
            self._limit = None
        if self.machine.limit is not None:
            rest = self.machine.limit - time.monotonic()
            self._limit = self._loop.call_later(rest, lambda: self._feed(Event(kind=Happened.TIME_UP)))

    def _perform(self, act: Act) -> None:
        match act:
            case Act.START_HELPER:
                self._start_helper()
            case Act.OPEN_CHANNEL:
                self._open_channel()
            case Act.HAND_OVER:
                self._hand_over()
            case Act.ASK_ACK:
                self._ack_failures = self._absences = 0
                self._ask_ack()
            case Act.RETURN:
                self._return()
            case Act.CLOSE:
                self._close()

    def _means_in_force(self) -> Means:
        if self._means is None:
            raise ValueError("nothing is shared before it is wanted")
        return self._means

    # The helper.

    def _start_helper(self) -> None:
        means = self._means_in_force()
        started = Exporter.start(means.helper, self.device, means.consent)
        if isinstance(started, Fault):
            self._feed(Event(kind=Happened.HELPER_GONE, fault=started))
            return
        self._exporter = started
        self._loop.watch(started.channel.fileno(), selectors.EVENT_READ, self._read_helper)

    def _read_helper(self) -> None:
        if self._exporter is None:
            return
        said = self._exporter.read()
        if isinstance(said, Answer):
            self._feed(Event(kind=_HELPER_SAID[said.state], fault=_why(said)))
        elif said is not None:
            self._loop.unwatch(self._exporter.channel.fileno())
            self._feed(Event(kind=Happened.HELPER_GONE, fault=said))

    def _hand_over(self) -> None:
        if self._exporter is not None and self._connection is not None:
            self._exporter.hand_over(self._connection)

    def _return(self) -> None:
        self._close_channel()
        if self._exporter is None:
            self._feed(Event(kind=Happened.HELPER_GONE))
        else:
            self._exporter.ask_return()

    # The slave channel.

    def _open_channel(self) -> None:
        means = self._means_in_force()
        self._attach_id = str(uuid.uuid4())
        self._upgrade = Upgrade(means.session, means.candidates(), self._attach_id)
        self._advance_upgrade()

    def _advance_upgrade(self) -> None:
        if self._upgrade is None:
            return
        self._loop.unwatch(self._upgrade.descriptor)  # it may change its socket
        outcome = self._upgrade.advance()
        if outcome is None:
            self._loop.watch(self._upgrade.descriptor, self._upgrade.interest, self._advance_upgrade)
            return
        upgrade, self._upgrade = self._upgrade, None
        if isinstance(outcome, Fault):
            upgrade.close()
            self._feed(Event(kind=Happened.CHANNEL_LOST, fault=outcome))
            return
        self._connection = outcome
        self.way = upgrade.way
        self._feed(Event(kind=Happened.CHANNEL_UP))

    # The acknowledgement.

    def _ask_ack(self) -> None:
        means = self._means_in_force()
        self._stop_ack()
        if self.way is Way.KERNEL and self._connection is not None and is_used_up(self._connection):
            _hang_up(self._connection)  # as one that is lost: the device comes back, and goes again with new keys
            self._connection = None
            return
        self._acknowledgement = Acknowledgement(means.session, means.candidates(), self._attach_id, ACK_WAIT)
        self._ack_timer = self._loop.call_later(ACK_WAIT + ACK_SLACK, self._ack_silent)
        self._advance_ack()

    def _advance_ack(self) -> None:
        talk = self._acknowledgement
        if talk is None:
            return
        self._loop.unwatch(talk.descriptor)
        outcome = talk.advance()
        if outcome is None:
            self._loop.watch(talk.descriptor, talk.interest, self._advance_ack)
            return
        quick = time.monotonic() - talk.asked < ACK_PAUSE
        self._stop_ack()
        if isinstance(outcome, Fault):
            self._ack_lost(outcome)
        elif isinstance(outcome, Absent):
            self._ack_absent()
        else:
            self._ack_heard(outcome, quick=quick)

    def _ack_heard(self, ack: Ack, *, quick: bool) -> None:
        self._ack_failures = 0
        before = self.machine
        self._feed(_event_of(ack))
        if self.machine.phase is Phase.SHARED:
            pause = ACK_PAUSE if quick and self.machine == before else 0.0
            self._ack_timer = self._loop.call_later(pause, self._ask_ack)

    def _ack_absent(self) -> None:
        """An older peer; or one that has not heard of this attach yet, so that it is asked once or twice more."""
        self._feed(Event(kind=Happened.ACK_ABSENT))
        if self.machine.phase is Phase.SHARED and self._absences < len(ACK_ASK_AGAIN):
            self._ack_timer = self._loop.call_later(ACK_ASK_AGAIN[self._absences], self._ask_ack)
            self._absences += 1

    def _ack_lost(self, fault: Fault) -> None:
        self._ack_failures += 1
        self._feed(Event(kind=Happened.ACK_LOST, fault=fault))
        if self.machine.phase is Phase.SHARED:
            pause = min(ACK_LONGEST_PAUSE, ACK_PAUSE * 2.0 ** (self._ack_failures - 1))
            self._ack_timer = self._loop.call_later(pause, self._ask_ack)

    def _ack_silent(self) -> None:
        self._stop_ack()
        self._ack_lost(Fault(code="slave-silent", seconds=round(ACK_WAIT + ACK_SLACK)))

    def _stop_ack(self) -> None:
        if self._ack_timer is not None:
            self._ack_timer.cancel()
            self._ack_timer = None
        if self._acknowledgement is not None:
            self._loop.unwatch(self._acknowledgement.descriptor)
            self._acknowledgement.close()
            self._acknowledgement = None

    # The end.

    def _close_channel(self) -> None:
        self._stop_ack()
        if self._upgrade is not None:
            self._loop.unwatch(self._upgrade.descriptor)
            self._upgrade.close()
            self._upgrade = None
        if self._connection is not None:
            _hang_up(self._connection)
            self._connection = None

    def _close(self) -> None:
        self._close_channel()
        if self._exporter is not None:
            self._loop.unwatch(self._exporter.channel.fileno())
            self._exporter.close()
            self._leaving.append(self._exporter)
            self._exporter = None


def _hang_up(connection: socket.socket) -> None:
    """Ends the connection for the kernels at both ends too, which hold it by references of their own."""
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError as error:
        if error.errno != errno.ENOTCONN:  # the peer was faster
            raise
    connection.close()


def _why(answer: Answer) -> Fault | None:
    return answer.fault or (Fault(code="peer-gone") if answer.state == "dropped" else None)


def _event_of(ack: Ack) -> Event:
    if ack.state is AckState.READY:
        return Event(kind=Happened.ACK_READY)
    if ack.state is AckState.GONE:
        return Event(kind=Happened.ACK_GONE, fault=Fault(code=ack.problem or "peer-gone"))
    if ack.state is AckState.REFUSED:
        return Event(kind=Happened.ACK_REFUSED, fault=Fault(code=ack.problem or "device-refused"))
    if ack.state is AckState.FAILED:
        return Event(kind=Happened.ACK_REFUSED, fault=Fault(code=ack.problem or "attach-failed"))
    return Event(kind=Happened.ACK_ATTACHED, fault=Fault(code=ack.problem) if ack.problem else None)
