"""EFFECT: the commands of `qvd-usb` that tick devices, and the one that asks the running engine."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from client_gui import selection, settings
from client_gui.advisor import Advisor
from client_gui.listing import session_text, table
from client_gui.mirror import give_order
from client_gui.orders import Order
from client_gui.presence import read_status, runtime_folder
from client_gui.reported import rows_of_status, session_of_status
from client_gui.scan import Scanner
from client_gui.settings import Files
from client_gui.state import Asked, Mode
from client_gui.targets import names, parse_target
from client_gui.targets import share as share_target
from client_gui.targets import unshare as unshare_target
from client_gui.unmount import unmount
from client_gui.wishes import is_ticked
from qvd_usbip.errors import NO_SESSION, SHARING_DISABLED, STORAGE_IN_USE, QvdUsbError, printable
from qvd_usbip.kinds import faces_of, keeps_data

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from client_gui.judgement import Assessment
    from client_gui.settings import Settings
    from client_gui.state import Row
    from client_gui.wishes import Wishes
    from qvd_usbip.ids import BusId
    from qvd_usbip.share_list import Entry
    from qvd_usbip.usb import UsbDevice


def _print_json(value: object) -> None:
    print(json.dumps(value, ensure_ascii=True))


def share(targets: Sequence[str], *, agree: bool, as_json: bool) -> int:
    """Ticks each of the targets, or none of them; `agree` says yes to what would be asked first."""
    return _change(targets, on=True, agree=agree, as_json=as_json)


def unshare(targets: Sequence[str], *, as_json: bool) -> int:
    """Unticks each of the targets, or none of them."""
    return _change(targets, on=False, agree=False, as_json=as_json)


def _change(targets: Sequence[str], *, on: bool, agree: bool, as_json: bool) -> int:
    parsed = [parse_target(text) for text in targets]
    files = Files.of_user()
    read = settings.load(files)
    devices = selection.listed(Scanner(Path(read.usbroot)).scan())
    advisor = Advisor(files, read.database)
    advisor.reload()
    if advisor.book_fault is not None:
        raise advisor.book_fault
    meant = [device for device in devices if any(names(target, device) for target in parsed)]
    usbroot = Path(read.usbroot)
    advisor.assess(devices, read.wishes, usbroot)
    if agree:
        for device in meant:
            _agree(advisor, device, _keys_of(devices), lambda: advisor.assess(devices, read.wishes, usbroot))
    assessments = advisor.assess(devices, read.wishes, usbroot)
    locks = {busid: lock for busid, about in assessments.items() if (lock := about.judgement.lock(busid)) is not None}

    def change(now: Settings) -> Wishes:
        after = now.wishes
        for target in parsed:
            after = share_target(target, devices, locks, after) if on else unshare_target(target, devices, after)
        return after

    new = [device for device in meant if on and not is_ticked(device, read.wishes)]
    notes = _choose(advisor, new)
    after = settings.change_wishes(files, change)
    if on:
        assessments = advisor.assess(devices, after.wishes, usbroot)
        manual = [device.busid for device in meant if assessments[device.busid].known.mode is Mode.MANUAL]
        _call_up(manual, _keys_of(devices))
        notes += _notes(parsed, devices, after)
        notes += _conditions(meant, assessments, in_session=bool(_reported()))
    if as_json:
        _print_json({"v": 1, "share_list": str(after.wishes.share_list), "notes": notes})
        return 0
    print(f"share list: {printable(str(after.wishes.share_list)) or '(empty)'}")
    for note in notes:
        print(f"note: {note}", file=sys.stderr)
    return 0


def _choose(advisor: Advisor, devices: Sequence[UsbDevice]) -> list[str]:
    """Who ticks a device means what it is now, and has asked for it by hand; what of that cannot be written down."""
    notes: list[str] = []
    for device in devices:
        advisor.arm(device)
        try:
            advisor.chosen(device)
        except QvdUsbError as error:
            notes.append(f"{error} {error.remedy()}")
    return notes


def _call_up(manual: Sequence[BusId], keys: Mapping[BusId, str]) -> None:
    """Has the engine that runs share what it does not take from the list by itself once it was plugged in again."""
    for busid in manual:
        give_order(Path(runtime_folder(os.environ, os.geteuid())), Order(op="toggle", key=keys[busid], on=True))


def _conditions(
    devices: Sequence[UsbDevice], assessments: Mapping[BusId, Assessment], *, in_session: bool
) -> Iterator[str]:
    for device in devices:
        about = assessments[device.busid]
        if about.judgement.question is not None:
            yield f"{device.busid} waits for your OK: qvd-usb share --agree {device.busid}"
        elif about.known.mode is Mode.MANUAL and not in_session:
            yield f"{device.busid} is shared by hand only: say this again once the session runs."


def _agree(
    advisor: Advisor, device: UsbDevice, keys: Mapping[BusId, str], look: Callable[[], Mapping[BusId, Assessment]]
) -> None:
    """Says yes to one question after the other, as far as that can be done here; volumes are unmounted at once."""
    for _ in Asked:
        question = look()[device.busid].judgement.question
        if question is None:
            return
        if question.asked is Asked.STORAGE:
            print(f"unmounting what is on {device.busid} ...", file=sys.stderr)
            fault = unmount(advisor.filesystems[device.busid])
            if fault is not None:
                raise QvdUsbError(STORAGE_IN_USE, busid=device.busid, use=fault.text.rstrip("."))
        if question.asked is Asked.PLUGGED:
            order = Order(op="agree", key=keys[device.busid], asked=Asked.PLUGGED)
            give_order(Path(runtime_folder(os.environ, os.geteuid())), order)
        advisor.agree(device, question.asked)


def _reported() -> Sequence[Row]:
    status = read_status(runtime_folder(os.environ, os.geteuid()))
    return () if status is None else rows_of_status(status)


def _keys_of(devices: Sequence[UsbDevice]) -> Mapping[BusId, str]:
    """The devices' keys as the engine that runs has them, and for what it has not said yet, as it will."""
    reported = {row.busid: row.key for row in _reported() if row.busid is not None}
    return {**selection.keys_of(devices), **reported}


def _notes(targets: Sequence[BusId | Entry], devices: Sequence[UsbDevice], after: Settings) -> Iterator[str]:
    for target in targets:
        chosen = [found for found in devices if names(target, found)]
        if not chosen:
            yield f"{target} is not plugged in; it is shared as soon as it is."
        for device in chosen:
            yield f"while {device.busid} is shared, it stops working on this computer."
            if keeps_data(faces_of(device)):
                yield f"the remote side can change or delete everything on {device.busid}."
    if after.needed_to_enable:
        error = QvdUsbError(SHARING_DISABLED, setting=after.needed_to_enable)
        yield f"{error} {error.remedy()}"


def show_status(*, as_json: bool) -> int:
    """Prints what the engine that runs is doing."""
    status = read_status(runtime_folder(os.environ, os.geteuid()))
    if status is None:
        raise QvdUsbError(NO_SESSION)
    if as_json:
        _print_json(status)
        return 0
    session = session_of_status(status)
    if session is not None:
        print(session_text(session))
    for trouble in _dicts(status.get("problems")):
        print(printable(f"error: {trouble.get('text')} {trouble.get('remedy')}"), file=sys.stderr)
    rows = rows_of_status(status)
    print(table(rows) if rows else "No USB devices are plugged in.")
    return 0


def _dicts(value: object) -> list[dict[str, object]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []
