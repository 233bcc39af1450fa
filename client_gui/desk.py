"""EFFECT: what the engine's thread holds: devices, wishes, the session, a `Lending` for each device."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from client_gui import selection, settings, wishes
from client_gui.dial import candidates_without_lookup, look_up
from client_gui.lending import Lending, Means
from client_gui.locks import locks_of
from client_gui.reach import Reach
from client_gui.scan import Scanner
from client_gui.selection import Situation
from client_gui.session import require_privacy, view_of
from client_gui.state import Row, SessionView, Snapshot
from client_gui.steps import Phase, standing
from client_gui.troubles import fault_of, trouble_of
from qvd_usbip.errors import SHARING_DISABLED, QvdUsbError

if TYPE_CHECKING:
    from collections.abc import Callable

    from client_gui.dial import Candidate
    from client_gui.exporter import Exporter
    from client_gui.loop import Loop
    from client_gui.session import Session
    from client_gui.settings import Files, Signature
    from client_gui.troubles import Fault, Standing
    from client_gui.wishes import Wishes
    from qvd_usbip.ids import BusId
    from qvd_usbip.usb import UsbDevice

LOOKUP_LIMIT = 15.0
"""How long a name service may take, in seconds; after that the connection fails, and is tried again."""
LEAVE_LIMIT = 2.0
"""How long helpers that were let go of are waited for at the very end, in seconds."""
CHECK_EVERY = 10.0
"""How old the answer may be whether helper and kernel are there, in seconds."""


class Desk:
    """Observes, decides, acts; belongs to the engine's thread. `on_change` is called when there is news to show."""

    def __init__(
        self, loop: Loop, files: Files, check: Callable[[str], Fault | None], on_change: Callable[[], None]
    ) -> None:
        self._loop = loop
        self._files = files
        self._check = check
        self._on_change = on_change
        self._settings = settings.defaults()
        self._read_once = False
        self._signature: Signature | None = None
        self._settings_fault: Fault | None = None
        self._action_fault: Fault | None = None
        self._scan_fault: Fault | None = None
        self._scanner: Scanner | None = None
        self._devices: tuple[UsbDevice, ...] = ()
        self._lendings: dict[BusId, Lending] = {}
        self._leaving: list[Exporter] = []
        self._session: Session | None = None
        self._candidates: list[Candidate] | None = None
        self._looking_up = False
        self._reach: Reach | None = None
        self._requirement: Fault | None = None
        self._checked_at = float("-inf")

    # Observe.

    def refresh(self) -> None:
        """Reads everything anew and takes the next steps."""
        self._leaving[:] = [exporter for exporter in self._leaving if not exporter.ended()]
        self._reload()
        root = Path(self._settings.usbroot)
        if self._scanner is None or self._scanner.usbroot != root:
            self._scanner = Scanner(root)
        try:
            self._devices = tuple(self._scanner.scan())
            self._scan_fault = next((fault_of(error) for error in self._scanner.left_out.values()), None)
        except QvdUsbError as error:
            self._scan_fault = fault_of(error)
        self._drive()
        self._on_change()

    def settings_changed(self) -> bool:
        """Whether a configuration file is not the one that was read."""
        return self._files.signature() != self._signature

    def _reload(self) -> None:
        signature = self._files.signature()
        if signature == self._signature:
            return
        self._signature = signature
        try:
            self._settings = settings.load(self._files)
        except QvdUsbError as error:
            self._settings_fault = fault_of(error)  # what was read before stays in force
        else:
            self._settings_fault = None
            self._read_once = True

    # Decide.

    def _situation(self) -> Situation:
        return Situation(
            wishes=self._settings.wishes,
            in_session=self._session is not None,
            obstacle=self._obstacle(),
            locks=locks_of(self._devices),
            standings=self._standings(),
        )

    def _standings(self) -> dict[BusId, Standing]:
        now = time.monotonic()
        all_of_them = {busid: standing(lending.machine, now) for busid, lending in self._lendings.items()}
        return {busid: found for busid, found in all_of_them.items() if found is not None}

    def _obstacle(self) -> Fault | None:
        if not self._read_once:
            return self._settings_fault
        if self._settings.needed_to_enable:
            return fault_of(QvdUsbError(SHARING_DISABLED, setting=self._settings.needed_to_enable))
        return self._privacy_fault() or self._requirement_fault()

    def _privacy_fault(self) -> Fault | None:
        if self._session is None:
            return None
        try:
            require_privacy(self._session, allow_plaintext=self._settings.allow_plaintext)
        except QvdUsbError as error:
            return fault_of(error)
        return None

    def _requirement_fault(self) -> Fault | None:
        if time.monotonic() - self._checked_at >= CHECK_EVERY:
            self._checked_at = time.monotonic()
            self._requirement = self._check(self._settings.helper)
        return self._requirement

    # Act.

    def _drive(self) -> None:
        situation = self._situation()
        self._ask_session()
        wanted = {device.busid: device for device in selection.wanted(self._devices, situation)}
        present = {device.busid: device for device in self._devices}
        for busid, lending in list(self._lendings.items()):
            if busid not in wanted or not _same(lending.device, present.get(busid)):
                lending.want(None)
                if lending.machine.phase is Phase.IDLE:
                    del self._lendings[busid]
        if self._session is None or self._candidates is None:
            return
        means = Means(session=self._session, candidates=self._known_candidates, helper=self._settings.helper)
        for busid, device in wanted.items():
            if busid not in self._lendings:
                self._lendings[busid] = Lending(device, self._loop, self._moved, self._leaving)
            if _same(self._lendings[busid].device, device):  # else the one that was there before has to come home first
                self._lendings[busid].want(means)

    def _ask_session(self) -> None:
        """Finds out whether the session answers, once it may be spoken to at all."""
        ready = self._session is not None and self._candidates is not None and self._privacy_fault() is None
        if self._reach is None and self._session is not None and ready:
            self._reach = Reach(self._loop, self._session, self._known_candidates, self._moved)
            self._reach.ask()

    def _known_candidates(self) -> list[Candidate]:
        return self._candidates or []

    def _moved(self) -> None:
        self._loop.call_later(0.0, self._after_move)

    def _after_move(self) -> None:
        if self._session is not None and not self._looking_up and self._unreachable():
            self._look_up(self._session)  # its address may have changed
        if any(lending.machine.phase is Phase.IDLE for lending in self._lendings.values()):
            self.refresh()
        else:
            self._on_change()

    def _unreachable(self) -> bool:
        faults = [lending.machine.fault for lending in self._lendings.values()]
        return any(
            fault is not None and fault.code == "slave-unreachable" for fault in (*faults, self._session_fault())
        )

    def set_session(self, session: Session | None) -> None:
        """Shares with this session from now on, and with no other; None: with none."""
        if session == self._session:
            return
        self._session = None
        self._candidates = None
        self._looking_up = False
        if self._reach is not None:
            self._reach.stop()
            self._reach = None
        self._drive()
        self._session = session
        if session is not None:
            self._look_up(session)
        self.refresh()

    def _look_up(self, session: Session) -> None:
        found = candidates_without_lookup(session.address)
        if found is not None:
            self._candidates = found
            return
        self._looking_up = True

        def heard(found: list[Candidate]) -> None:
            if self._session is session and self._looking_up:
                self._looking_up = False
                self._candidates = found
                self.refresh()

        look_up(session.address, lambda found: self._mail(lambda: heard(found)))
        self._loop.call_later(LOOKUP_LIMIT, lambda: heard([]))

    def _mail(self, callback: Callable[[], None]) -> None:
        self._loop.post(callback)  # where the loop is closed by now, nobody waits for the answer

    def toggle(self, key: str, on: bool) -> None:
        """Ticks or unticks the device with this row key, in the user's file."""
        row = selection.find(self.rows(), lambda found: found.key == key)
        device = next((found for found in self._devices if row is not None and found.busid == row.busid), None)
        try:
            if device is not None and on and (lock := locks_of((device,)).get(device.busid)) is not None:
                raise lock
            settings.change_wishes(self._files, lambda now: self._toggled(now.wishes, key, device, on=on))
        except QvdUsbError as error:
            self._action_fault = fault_of(error)
        else:
            self._action_fault = None
        self.refresh()

    def _toggled(self, now: Wishes, key: str, device: UsbDevice | None, *, on: bool) -> Wishes:
        present = selection.listed(self._devices)
        if device is not None:
            return wishes.tick(device, present, now) if on else wishes.untick(device, present, now)
        entry = next((entry for entry in now.share_list.entries if str(entry) == key), None)
        return now if on or entry is None else wishes.forget(entry, now)

    def retry(self, key: str) -> None:
        """Tries at once again what failed for this device."""
        self._checked_at = float("-inf")
        row = selection.find(self.rows(), lambda found: found.key == key)
        if row is not None and row.busid in self._lendings:
            self._lendings[row.busid].retry()
        self.refresh()

    # Show.

    def rows(self) -> tuple[Row, ...]:
        """What is to be shown for each device."""
        return selection.rows_of(self._devices, self._situation())

    def snapshot(self, generation: int) -> Snapshot:
        """Everything that is to be shown now."""
        situation = self._situation()
        faults = (self._settings_fault, self._scan_fault, situation.obstacle, self._session_fault(), self._action_fault)
        problems = tuple(dict.fromkeys(trouble_of(fault) for fault in faults if fault is not None))
        return Snapshot(
            rows=selection.rows_of(self._devices, situation),
            session=self._session_view(),
            problems=problems,
            generation=generation,
        )

    def _session_view(self) -> SessionView | None:
        if self._session is None:
            return None
        shared = any(lending.machine.phase is Phase.SHARED for lending in self._lendings.values())
        if shared or self._reach is None or self._reach.answered is None:
            return view_of(self._session, connected=shared)
        trouble = "" if self._reach.fault is None else trouble_of(self._reach.fault).text
        return view_of(self._session, connected=self._reach.answered, trouble=trouble)

    def _session_fault(self) -> Fault | None:
        return None if self._reach is None else self._reach.fault

    def resting(self) -> bool:
        """Whether a countdown to the next try is shown."""
        return any(lending.machine.phase is Phase.RESTING for lending in self._lendings.values())

    # The end.

    def all_home(self) -> bool:
        """Whether every device is back and every helper gone."""
        self._leaving[:] = [exporter for exporter in self._leaving if not exporter.ended()]
        return not self._leaving and all(lending.at_rest for lending in self._lendings.values())

    def abandon(self) -> None:
        """Lets go of every device at once; their helpers return them, which is waited for a little."""
        if self._reach is not None:
            self._reach.stop()
        for lending in self._lendings.values():
            lending.abandon()
        deadline = time.monotonic() + LEAVE_LIMIT
        while any(not exporter.ended() for exporter in self._leaving) and time.monotonic() < deadline:
            time.sleep(0.01)


def _same(one: UsbDevice, other: UsbDevice | None) -> bool:
    """Whether this is the device that was plugged in then, not one that came to its port later."""
    return other is not None and (one.busnum, one.devnum, one.vidpid) == (other.busnum, other.devnum, other.vidpid)
