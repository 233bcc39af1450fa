"""EFFECT: what the engine's thread holds: devices, wishes, the session, what is lent; and what it does with them."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from client_gui import selection, settings, wishes
from client_gui.advisor import Advisor, incarnation_of
from client_gui.judgement import Assessment, kinds_refused
from client_gui.lending import Means
from client_gui.line import Line
from client_gui.loans import Loans
from client_gui.reach import GONE
from client_gui.recovery import Recovery
from client_gui.scan import Scanner
from client_gui.selection import Situation
from client_gui.state import DeviceState, Snapshot
from client_gui.steps import Phase, Reach
from client_gui.troubles import Standing, fault_of, trouble_of
from client_gui.unmount import unmount
from qvd_usbip.errors import SHARING_DISABLED, QvdUsbError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from client_gui.advisor import Incarnation
    from client_gui.loop import Loop
    from client_gui.memory import Remembered
    from client_gui.session import Session
    from client_gui.settings import Files, Signature
    from client_gui.state import Asked
    from client_gui.troubles import Fault
    from client_gui.wishes import Wishes
    from qvd_usbip.ids import BusId
    from qvd_usbip.usb import UsbDevice

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
        self._advisor = Advisor(files)
        self._assessments: dict[BusId, Assessment] = {}
        self._unmounting: set[Incarnation] = set()
        self._loans = Loans(loop, self._moved)
        self._shared: frozenset[tuple[BusId, Reach]] = frozenset()  # as it was after the last move
        self._line = Line(loop, self._moved, self.refresh)
        self._asleep = False
        self._recovery = Recovery()
        self._requirement: Fault | None = None
        self._checked_at = float("-inf")

    # Observe.

    def refresh(self) -> None:
        """Reads everything anew and takes the next steps."""
        self._loans.sweep()
        self._reload()
        root = Path(self._settings.usbroot)
        if self._scanner is None or self._scanner.usbroot != root:
            self._scanner = Scanner(root)
        try:
            self._devices = tuple(self._scanner.scan())
            self._scan_fault = next((fault_of(error) for error in self._scanner.left_out.values()), None)
        except QvdUsbError as error:
            self._scan_fault = fault_of(error)
        self._assess()
        self._drive()
        self._on_change()

    def settings_changed(self) -> bool:
        """Whether a configuration file is not the one that was read."""
        return self._files.signature() != self._signature

    def _assess(self) -> None:
        self._advisor.use_database(self._settings.database)
        self._advisor.reload()
        usbroot = Path(self._settings.usbroot)
        self._assessments = self._advisor.assess(self._devices, self._settings.wishes, usbroot)

    def _reload(self) -> None:
        signature = self._files.signature()
        if signature == self._signature:
            return
        self._signature = signature
        before = self._settings.wishes
        try:
            self._settings = settings.load(self._files)
        except QvdUsbError as error:
            self._settings_fault = fault_of(error)  # what was read before stays in force
            return
        self._settings_fault = None
        if self._read_once:  # what somebody ticked meanwhile, here or in another program, they ticked by hand
            for device in self._devices:
                if wishes.is_ticked(device, self._settings.wishes) and not wishes.is_ticked(device, before):
                    self._advisor.arm(device)
        self._read_once = True

    # Decide.

    def _situation(self) -> Situation:
        return Situation(
            wishes=self._settings.wishes,
            in_session=self._line.session is not None,
            obstacle=self._obstacle(),
            assessments=self._assessments,
            standings=self._standings(),
            remembered=self._advisor.of_absent,
            keys=self._advisor.keys,
        )

    def _standings(self) -> dict[BusId, Standing]:
        unmounting = {name[0]: Standing(state=DeviceState.RELEASING) for name in self._unmounting}
        return {**unmounting, **self._loans.standings()}

    def _obstacle(self) -> Fault | None:
        if not self._read_once:
            return self._settings_fault
        if self._advisor.book_fault is not None:  # a rule that is not understood cannot be kept
            return fault_of(self._advisor.book_fault)
        if self._settings.needed_to_enable:
            return fault_of(QvdUsbError(SHARING_DISABLED, setting=self._settings.needed_to_enable))
        return self._privacy_fault() or self._requirement_fault()

    def _privacy_fault(self) -> Fault | None:
        return self._line.privacy_fault(allow_plaintext=self._settings.allow_plaintext)

    def _requirement_fault(self) -> Fault | None:
        if time.monotonic() - self._checked_at >= CHECK_EVERY:
            self._checked_at = time.monotonic()
            self._requirement = self._check(self._settings.helper)
        return self._requirement

    # Act.

    def _drive(self) -> None:
        if self._privacy_fault() is None:
            self._line.ask()
        chosen = () if self._asleep else selection.wanted(self._devices, self._situation())
        wanted = {device.busid: device for device in chosen}
        self._loans.bring_home(wanted, {device.busid: device for device in self._devices})
        self._recover()
        if self._line.is_known:
            self._send_out(wanted)

    def _recover(self) -> None:
        """Devices that a killed helper left on the export driver, and that nobody wants, are given back."""
        if self._assessments and self._settings.needed_to_enable == "" and self._requirement_fault() is None:
            left = [device.busid for device in self._devices if device.driver == selection.EXPORT_DRIVER]
            if any(busid not in self._loans for busid in left):
                self._recovery.begin(self._settings.helper, "start")
        for reason in self._loans.stranded():
            self._recovery.begin(self._settings.helper, reason)

    def _learn(self) -> bool:
        """Takes over what the helper found that the descriptors do not say; then its user is asked."""
        news = {self._advisor.learn(each.device, kinds_refused(each.machine.fault)) for each in self._loans}
        return True in news  # each was heard, whatever the first one said

    def _send_out(self, wanted: Mapping[BusId, UsbDevice]) -> None:
        ready = [device for device in wanted.values() if not self._has_to_wait(device)]
        self._remember(lambda: self._advisor.seen(ready))
        for device in ready:
            self._loans.send_out(device, self._means(device))

    def _means(self, device: UsbDevice) -> Means | None:
        session = self._line.session
        if session is None:
            return None
        consent = self._assessments[device.busid].judgement.consent
        helper = self._settings.helper
        return Means(session=session, candidates=self._line.candidates, helper=helper, consent=consent)

    def _has_to_wait(self, device: UsbDevice) -> bool:
        """Whether the device's volumes have to be unmounted first, which is begun then."""
        if incarnation_of(device) in self._unmounting:
            return True
        if device.busid in self._loans or not self._assessments[device.busid].is_mounted:
            return False
        self._unmount(device)
        return True

    def _unmount(self, device: UsbDevice) -> None:
        name = incarnation_of(device)
        filesystems = self._advisor.filesystems.get(device.busid, ())
        self._unmounting.add(name)

        def ended(fault: Fault | None) -> None:
            self._unmounting.discard(name)
            self._advisor.unmount_failed(device, fault)
            self.refresh()

        def work() -> None:
            fault = unmount(filesystems)
            self._mail(lambda: ended(fault))

        threading.Thread(target=work, name="usb-unmount", daemon=True).start()

    def _remember(self, act: Callable[[], None]) -> None:
        """Writes something down; where that fails the advisor's `memory_fault` says so, and all goes on."""
        with suppress(QvdUsbError):
            act()

    def _moved(self) -> None:
        self._loop.call_later(0.0, self._after_move)

    def _after_move(self) -> None:
        if self._learn():
            self.refresh()
        self._look_after_line()
        if self._loans.any_in(Phase.IDLE):
            self.refresh()
        else:
            self._on_change()

    def _look_after_line(self) -> None:
        codes = {fault.code for fault in self._loans.faults()}
        if codes & GONE:
            self._line.doubt()
        shared = self._loans.shared()
        if shared - self._shared:
            self._line.hope()
        self._shared = shared
        if self._line.fault is not None:
            codes.add(self._line.fault.code)
        if "slave-unreachable" in codes:
            self._line.look_up_again()

    def set_session(self, session: Session | None) -> None:
        """Shares with this session from now on, and with no other; None: with none."""
        if session == self._line.session:
            return
        if self._line.session is not None:
            self._advisor.session_ended()
        self._line.hang_up()
        self._drive()
        if session is not None:
            self._line.begin(session)
        self.refresh()

    def _mail(self, callback: Callable[[], None]) -> None:
        self._loop.post(callback)  # where the loop is closed by now, nobody waits for the answer

    def toggle(self, key: str, on: bool) -> None:
        """Ticks or unticks the device with this row key, in the user's file."""
        device = self._device_of(key)
        try:
            if device is not None and on:
                self._tick(device)
            elif device is not None:
                self._advisor.unfollow(device)
                settings.change_wishes(self._files, lambda now: wishes.untick(device, self._listed(), now.wishes))
            elif not on:
                settings.change_wishes(self._files, lambda now: _forgotten(key, now.wishes))
        except QvdUsbError as error:
            self._action_fault = fault_of(error)
        else:
            self._action_fault = None
        self.refresh()

    def _tick(self, device: UsbDevice) -> None:
        lock = self._assessments[device.busid].judgement.lock(device.busid)
        if lock is not None:
            raise lock
        self._advisor.arm(device)
        if not wishes.is_ticked(device, self._settings.wishes):
            self._remember(lambda: self._advisor.chosen(device))
            settings.change_wishes(self._files, lambda now: wishes.tick(device, self._listed(), now.wishes))

    def _listed(self) -> tuple[UsbDevice, ...]:
        return selection.listed(self._devices)

    def _device_of(self, key: str) -> UsbDevice | None:
        busid = next((busid for busid, found in self._advisor.keys.items() if found == key), None)
        return next((found for found in self._devices if found.busid == busid), None)

    def agree(self, key: str, asked: Asked) -> None:
        """Notes that the device's user said yes, and shares it."""
        device = self._device_of(key)
        if device is not None and self._assessments[device.busid].judgement.refusal is None:
            self._remember(lambda: self._advisor.agree(device, asked))
            self._assess()
            self.toggle(key, on=True)

    def unmount(self, key: str) -> None:
        """Unmounts the device's volumes."""
        device = self._device_of(key)
        if device is not None and incarnation_of(device) not in self._unmounting and device.busid not in self._loans:
            self._unmount(device)
            self._on_change()

    def change(self, key: str, change: Callable[[Remembered], Remembered]) -> None:
        """Changes what is remembered of a device, plugged in or not."""
        device = self._device_of(key)
        self._action_fault = None
        if device is None:
            self._remember(lambda: self._advisor.change_absent(key, change))
        else:
            self._remember(lambda: self._advisor.change(device, change))
        self.refresh()

    def retry(self, key: str) -> None:
        """Tries at once again what failed for this device."""
        device = self._device_of(key)
        if device is not None:
            self._loans.retry(device.busid)
        self.look_again()

    def look_again(self) -> None:
        """Reads everything anew, and what was missing on this computer too, however lately that was looked for."""
        self._checked_at = float("-inf")
        self._action_fault = None
        self.refresh()

    def sleep(self, asleep: bool) -> None:
        """Brings every device home before the computer sleeps; shares them again after it woke."""
        self._asleep = asleep
        self._advisor.sleep(asleep)
        self.refresh()

    @property
    def commands(self) -> Mapping[str, str]:
        """The user's own commands for what happens to a device."""
        return self._settings.commands

    # Show.

    def snapshot(self, generation: int) -> Snapshot:
        """Everything that is to be shown now."""
        situation = self._situation()
        memory_fault = None if self._advisor.memory_fault is None else fault_of(self._advisor.memory_fault)
        faults = (
            self._settings_fault, self._scan_fault, situation.obstacle, self._line.fault, self._action_fault,
            memory_fault,
        )  # fmt: skip
        problems = tuple(dict.fromkeys(trouble_of(fault) for fault in faults if fault is not None))
        return Snapshot(
            rows=selection.rows_of(self._devices, situation),
            session=self._line.view(
                barred=self._privacy_fault(), shared=self._loans.any_in(Phase.SHARED), way=self._loans.way
            ),
            problems=problems,
            generation=generation,
            fitness=self._line.fitness,
        )

    def resting(self) -> bool:
        """Whether a countdown to the next try is shown."""
        return self._loans.any_in(Phase.RESTING) or self._line.counts_down

    # The end.

    def all_home(self) -> bool:
        """Whether every device is back and every helper gone."""
        return self._recovery.ended() and self._loans.all_home()

    def abandon(self) -> None:
        """Lets go of every device at once; their helpers return them, which is waited for a little."""
        self._line.hang_up()
        self._loans.abandon()


def _forgotten(key: str, now: Wishes) -> Wishes:
    entry = next((entry for entry in now.share_list.entries if str(entry) == key), None)
    return now if entry is None else wishes.forget(entry, now)
