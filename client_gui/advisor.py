"""EFFECT: gathers what decides about each device: rules, what is remembered, its volumes, what was agreed."""

from __future__ import annotations

import os
import time

from client_gui import rules
from client_gui.helper.authorise import parse_policy
from client_gui.inputs import Inputs
from client_gui.judgement import DEFAULT_BOOK, Assessment, Circumstances, agreed_words, judge, rulebook_of
from client_gui.memory import LONGEST_NAME, NOTHING, Change, Memory, Remembered
from client_gui.selection import keys_of, listed
from client_gui.state import Asked
from client_gui.usb_ids import UsbNames
from client_gui.volumes import Mounts, filesystems_of
from client_gui.wishes import Company, identity_of, is_ticked
from qvd_usbip.errors import QvdUsbError
from qvd_usbip.kinds import faces_of
from qvd_usbip.system.files import read_text
from qvd_usbip.values import replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from client_gui.judgement import Rulebook
    from client_gui.settings import Files
    from client_gui.troubles import Fault
    from client_gui.volumes import Filesystem
    from client_gui.wishes import Wishes
    from qvd_usbip.ids import BusId
    from qvd_usbip.system.files import Location
    from qvd_usbip.usb import UsbDevice

BACK_WITHIN = 60.0
"""How long after the computer woke a device may take to be there again, in seconds."""

Incarnation = tuple["BusId", int, int]
"""A device from plugging to unplugging: its port and its numbers there."""


def incarnation_of(device: UsbDevice) -> Incarnation:
    """What names this device until it is unplugged."""
    return device.busid, device.busnum, device.devnum


def read_rulebook(files: Files) -> Rulebook:
    """Reads policy and rules.

    Raises:
        QvdUsbError: policy-unsafe, settings-malformed, config-…: then nothing may be shared.
    """
    administrators, users = files.rules
    written = (
        *rules.parse(_text(administrators), rules.ADMINISTRATOR, administrators),
        *rules.parse(_text(users), rules.USER, users),
    )
    return rulebook_of(parse_policy(_text(files.policy)), written)


def _text(path: str) -> str:
    try:
        return read_text(path)
    except FileNotFoundError:
        return ""


class Advisor:
    """What is known of the devices; `book_fault` and `memory_fault` say which of the files cannot be used.

    `keys` are the rows' keys of those that are plugged in: each keeps its own until it is unplugged.
    """

    def __init__(self, files: Files, database: str = "") -> None:
        self._files = files
        self._database = database
        self._names = UsbNames(database)
        self._memory = Memory(os.path.join(files.own_folder, "devices.json"))
        self._signature: object = None
        self.book = DEFAULT_BOOK
        self.book_fault: QvdUsbError | None = None
        self._present: tuple[UsbDevice, ...] = ()
        self.keys: dict[BusId, str] = {}
        self._wished: frozenset[Incarnation] = frozenset()
        self._agreed: dict[Incarnation, frozenset[Asked]] = {}
        self._armed: set[Incarnation] = set()
        self._followed: dict[Incarnation, int] = {}
        self._vacant: dict[BusId, tuple[float, int]] = {}
        self._slept: dict[BusId, tuple[str, frozenset[Asked]]] = {}
        self._slept_until = 0.0
        self._unmount_faults: dict[Incarnation, Fault] = {}
        self._found: dict[Incarnation, frozenset[str]] = {}
        self.filesystems: dict[BusId, tuple[Filesystem, ...]] = {}

    def use_database(self, database: str) -> None:
        """Takes names of vendors and products from these files from now on, separated by commas."""
        if database != self._database:
            self._database = database
            self._names = UsbNames(database)

    @property
    def memory_fault(self) -> QvdUsbError | None:
        """Why nothing is remembered, if that is so."""
        return self._memory.fault

    def reload(self) -> None:
        """Reads what changed on disk."""
        self._memory.reload()
        signature = [_signature(path) for path in (self._files.policy, *self._files.rules)]
        if signature == self._signature:
            return
        self._signature = signature
        try:
            self.book = read_rulebook(self._files)
        except QvdUsbError as error:
            self.book_fault = error
        else:
            self.book_fault = None

    def assess(self, devices: Sequence[UsbDevice], wishes: Wishes, usbroot: Location) -> dict[BusId, Assessment]:
        """Looks at every device, and decides about it."""
        present = listed(devices)
        self._take_stock(present)
        mounts, inputs = Mounts(), Inputs()
        self.filesystems = {device.busid: filesystems_of(device, usbroot, mounts) for device in present}
        found = {device.busid: self._assessed(device, wishes, inputs) for device in present}
        self._wished = frozenset(
            incarnation_of(device) for device in present if found[device.busid].wished(ticked=is_ticked(device, wishes))
        )
        return found

    def _assessed(self, device: UsbDevice, wishes: Wishes, inputs: Inputs) -> Assessment:
        name = incarnation_of(device)
        known = self.of_present(device)
        volumes = tuple(each.volume for each in self.filesystems[device.busid])
        followed = name in self._followed
        around = Circumstances(
            ticked=is_ticked(device, wishes) or followed,
            known=known,
            agreed=self._agreed.get(name, frozenset()),
            armed=name in self._armed or followed,
            volumes=volumes,
            only_one=inputs.has_only(device),
            found=self._found.get(name, frozenset()),
        )
        return Assessment(
            judgement=judge(device, self.book, around),
            known=known,
            volumes=volumes,
            armed=around.armed,
            followed=followed,
            names=("", "") if device.product and device.manufacturer else self._names.of(device.vidpid),
            unmount_fault=self._unmount_faults.get(name),
        )

    def _take_stock(self, present: Sequence[UsbDevice]) -> None:
        """Forgets what went, and follows what comes to a port that is followed."""
        now = time.monotonic()
        names = {incarnation_of(device) for device in present}
        for device in self._present:
            name = incarnation_of(device)
            if name not in names and name in self._wished:
                own = self.of_present(device).follow
                seconds = own or self._followed.get(name, 0)
                self._vacant[device.busid] = now + seconds, seconds
        self._vacant = {port: (until, seconds) for port, (until, seconds) in self._vacant.items() if now < until}
        known = {incarnation_of(device) for device in self._present}
        new = {name: self._vacant[name[0]][1] for name in names - known if name[0] in self._vacant}
        self._followed = {name: seconds for name, seconds in {**self._followed, **new}.items() if name in names}
        self._armed = {name for name in self._armed if name in names} | self._awakened(present, now)
        self._agreed = {name: agreed for name, agreed in self._agreed.items() if name in names}
        self._unmount_faults = {name: fault for name, fault in self._unmount_faults.items() if name in names}
        self._found = {name: kinds for name, kinds in self._found.items() if name in names}
        stayed = {device.busid: self.keys[device.busid] for device in self._present if incarnation_of(device) in names}
        self._present = tuple(present)
        self.keys = keys_of(present, stayed)

    def _awakened(self, present: Sequence[UsbDevice], now: float) -> set[Incarnation]:
        """The devices that were asked for by hand before the computer slept, and came back by another number."""
        if now > self._slept_until:
            self._slept = {}
        found = set()
        for device in present:
            fingerprint, agreed = self._slept.get(device.busid, ("", frozenset()))
            if fingerprint and device.interfaces and device.fingerprint == fingerprint:
                name = incarnation_of(device)
                found.add(name)
                self._agreed[name] = self._agreed.get(name, agreed)
        return found

    def sleep(self, asleep: bool) -> None:
        """Notes that the computer is about to sleep, or woke: what its user asked for before holds after."""
        self._slept_until = float("inf") if asleep else time.monotonic() + BACK_WITHIN
        if asleep:
            self._slept = {
                device.busid: (
                    device.fingerprint,
                    self._agreed.get(name, frozenset()) if device.serial else frozenset(),
                )
                for device in self._present
                if (name := incarnation_of(device)) in self._armed
            }

    # What its user says.

    def arm(self, device: UsbDevice) -> None:
        """Notes that its user asked for this device by hand."""
        self._armed.add(incarnation_of(device))

    def unfollow(self, device: UsbDevice) -> None:
        """Notes that its user does not want what came to a followed port."""
        self._followed.pop(incarnation_of(device), None)
        self._vacant.pop(device.busid, None)

    def session_ended(self) -> None:
        """What was asked for by hand was asked for that session."""
        self._armed.clear()
        self._slept.clear()

    def agree(self, device: UsbDevice, asked: Asked) -> None:
        """Notes a yes; one to what the device is, is remembered.

        Raises:
            QvdUsbError: it cannot be written down; it holds all the same until the program ends.
        """
        name = incarnation_of(device)
        self._agreed[name] = self._agreed.get(name, frozenset()) | {asked}
        self._unmount_faults.pop(name, None)
        self._armed.add(name)
        if asked in {Asked.UNLOCK, Asked.CHANGE}:
            words = agreed_words(device, self.book, self._found.get(name, frozenset()))
            self.change(device, lambda known: replace(_chosen(known, device), consent=words))

    def learn(self, device: UsbDevice, kinds: frozenset[str]) -> bool:
        """Notes kinds that the helper found it to be of; whether that is news."""
        name = incarnation_of(device)
        before = self._found.get(name, frozenset())
        self._found[name] = before | kinds
        return self._found[name] != before

    def unmount_failed(self, device: UsbDevice, fault: Fault | None) -> None:
        """Notes what came of unmounting; where it failed, its user is asked again."""
        name = incarnation_of(device)
        if fault is None:
            self._unmount_faults.pop(name, None)
            return
        self._unmount_faults[name] = fault
        self._agreed[name] = self._agreed.get(name, frozenset()) - {Asked.STORAGE}

    def chosen(self, device: UsbDevice) -> None:
        """Notes what the device is as its user chooses it; what was agreed of something else counts no more."""
        self.change(device, lambda known: _chosen(known, device))

    def seen(self, devices: Iterable[UsbDevice]) -> None:
        """Notes what devices are when they are shared for the first time without having been chosen here; one write.

        Raises:
            QvdUsbError: it cannot be written down; it holds all the same until the program ends.
        """
        new = [device for device in devices if device.interfaces and not self.of_present(device).fingerprint]
        if new:
            self._memory.change_all([self._change_of(device, _choosing(device)) for device in new])

    def of_present(self, device: UsbDevice) -> Remembered:
        """What is remembered of a device that is plugged in."""
        return self._memory.of(*_names_of(device))

    def of_absent(self, key: str) -> Remembered:
        """What is remembered of a device that is not plugged in."""
        return self._memory.of(key)

    def change_absent(self, key: str, change: Callable[[Remembered], Remembered]) -> None:
        """Changes what is remembered of a device that is not plugged in."""
        self._memory.change(key, (), change)

    def change(self, device: UsbDevice, change: Callable[[Remembered], Remembered]) -> None:
        """Changes what is remembered of a device.

        Raises:
            QvdUsbError: it cannot be written down; it holds all the same until the program ends.
        """
        known = self.of_present(device)
        if change(known) != known:
            self._memory.change_all([self._change_of(device, change)])

    def _change_of(self, device: UsbDevice, change: Callable[[Remembered], Remembered]) -> Change:
        here, identity = _names_of(device)
        apart = Company(self._present).has_twin(device) or self._memory.of(here) != NOTHING
        return Change(key=here if apart else identity, known_as=(here, identity), change=change)


def _names_of(device: UsbDevice) -> tuple[str, str]:
    """Under what a device may be remembered: its share list entry at this port, as twins are told apart; and alone."""
    identity = identity_of(device)
    return f"{identity}/{device.busid}", identity


def _chosen(known: Remembered, device: UsbDevice) -> Remembered:
    if not device.interfaces or known.fingerprint == device.fingerprint:
        return known
    return replace(
        known,
        fingerprint=device.fingerprint,
        faces=faces_of(device),
        product=device.product[:LONGEST_NAME],
        vendor=device.manufacturer[:LONGEST_NAME],
        consent=frozenset(),
    )


def _choosing(device: UsbDevice) -> Callable[[Remembered], Remembered]:
    return lambda known: _chosen(known, device)


def _signature(path: str) -> object:
    try:
        found = os.stat(path)
    except OSError as error:
        return error.errno
    return found.st_ino, found.st_mtime_ns, found.st_size
