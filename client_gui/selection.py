"""PURE: devices, wishes, policy and what the engine is doing -> the rows that a person sees."""

from __future__ import annotations

from client_gui import rules
from client_gui.judgement import Assessment
from client_gui.memory import NOTHING
from client_gui.state import Asked, DeviceState, Row
from client_gui.troubles import Fault, Standing, describe, fault_of
from client_gui.wishes import Company, Wishes, identity_of, is_ticked
from qvd_usbip.classes import is_hub
from qvd_usbip.errors import ALREADY_IN_USE, QvdUsbError, printable
from qvd_usbip.kinds import Kind, faces_of
from qvd_usbip.values import dataclass, field, replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from client_gui.memory import Remembered
    from qvd_usbip.ids import BusId
    from qvd_usbip.share_list import Entry
    from qvd_usbip.usb import UsbDevice


EXPORT_DRIVER = "usbip-host"
"""The driver that lends a device, as sysfs names it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What besides the device decides its state.

    `obstacle` stands in the way of every device (sharing is off, no helper). `assessments` has one for each device that
    is listed; `remembered` what is known of those that are not plugged in, by their row's key. `keys` are those that
    devices have already.
    """

    wishes: Wishes
    in_session: bool = False
    obstacle: Fault | None = None
    assessments: Mapping[BusId, Assessment] = field(default_factory=dict)
    remembered: Callable[[str], Remembered] = lambda _: NOTHING
    standings: Mapping[BusId, Standing] = field(default_factory=dict)
    keys: Mapping[BusId, str] = field(default_factory=dict)


def listed(devices: Iterable[UsbDevice]) -> tuple[UsbDevice, ...]:
    """The devices a person may think about: no hubs, and nothing that is itself received from elsewhere."""
    return tuple(device for device in devices if not is_hub(device.cls, device.interfaces) and not device.below_vhci)


def keys_of(devices: Sequence[UsbDevice], kept: Mapping[BusId, str] | None = None) -> dict[BusId, str]:
    """Decides a unique key for each device: its share list entry, with the port where that is no name for one alone.

    `kept` are the keys that devices have already: a twin that comes later takes none away.
    """
    keys = dict(kept or {})
    used = set(keys.values())
    for device in sorted(devices, key=lambda found: found.busid):
        if device.busid not in keys:
            identity = identity_of(device)
            key = identity if device.serial and identity not in used else f"{identity}/{device.busid}"
            while key in used and key != identity:  # some device says this is its serial number
                key = f"{key}/{device.busid}"
            keys[device.busid] = key
            used |= {identity, key}
    return keys


def rows_of(devices: Sequence[UsbDevice], situation: Situation) -> tuple[Row, ...]:
    """Decides the rows: one for each device that is plugged in, one for each entry of the share list that is not."""
    present = listed(devices)
    keys = keys_of(present, situation.keys)
    company = Company(present)
    rows = [_row(device, keys[device.busid], company, situation) for device in present]
    ticked = [device for device in present if is_ticked(device, situation.wishes)]
    missing = [
        entry for entry in situation.wishes.share_list.entries if not any(entry.matches(device) for device in ticked)
    ]
    taken = set(keys.values())
    rows += [_absent(entry, situation.remembered(str(entry))) for entry in missing if str(entry) not in taken]
    return tuple(sorted(rows, key=_place))


def _place(row: Row) -> tuple[str, str]:
    """By the name that is shown: a device that goes or comes stays where it was, since no row may move on its own."""
    return (row.nickname or row.product or str(row.kind)).casefold(), row.key


def _row(device: UsbDevice, key: str, company: Company, situation: Situation) -> Row:
    faces, twin = faces_of(device), company.has_twin(device)
    about = situation.assessments[device.busid]
    row = Row(
        key=key,
        busid=device.busid,
        vidpid=device.vidpid,
        serial=device.serial,
        product=printable(device.product or about.names[1]),
        vendor=printable(device.manufacturer or about.names[0]),
        kind=faces[0],
        speed=device.speed,
        driver=device.driver,
        ticked=about.wished(ticked=is_ticked(device, situation.wishes)),
        state=DeviceState.NOT_SHARED,
        identity=identity_of(device),
        twin=twin,
        faces=faces,
        drivers=tuple(dict.fromkeys(each.driver for each in device.interfaces if each.driver)),
        nickname=printable(about.known.nickname),
        mode=about.known.mode,
        follows_port=about.known.follow,
        consent=about.judgement.question,
        volumes=about.volumes,
        rule=about.judgement.decision,
        own_rule=f"{rules.ALLOW} {rules.naming(device, alike=company.has_like(device), twin=twin)}",
    )
    standing = situation.standings.get(device.busid)
    if standing is not None:
        return _moving(row, standing)
    if device.driver == EXPORT_DRIVER:  # by another program of this computer
        held = QvdUsbError(ALREADY_IN_USE, busid=device.busid)
        return _with_fault(replace(row, state=DeviceState.BLOCKED), fault_of(held))
    return _at_rest(row, about, situation)


def _at_rest(row: Row, about: Assessment, situation: Situation) -> Row:
    judgement, lock = about.judgement, about.judgement.lock(row.busid)
    if lock is not None and (judgement.refusal is not None or not row.ticked):
        state = DeviceState.BLOCKED if judgement.decision.file and judgement.refusal else DeviceState.LOCKED
        return _with_fault(replace(row, state=state), fault_of(lock))
    if about.unmount_fault is not None:
        row = _with_fault(row, about.unmount_fault)
    if not row.ticked:
        return row
    if situation.obstacle is not None:
        return _with_fault(replace(row, state=DeviceState.BLOCKED), situation.obstacle)
    question = judgement.question
    if question is None or (question.asked is Asked.PLUGGED and not situation.in_session):
        return replace(row, state=DeviceState.WAITING)
    return replace(row, state=DeviceState.CONFIRM)


def _moving(row: Row, standing: Standing) -> Row:
    moved = replace(row, state=standing.state, steps=standing.steps, retry_in=standing.retry_in, tries=standing.tries)
    return moved if standing.fault is None else _with_fault(moved, standing.fault)


def _with_fault(row: Row, fault: Fault) -> Row:
    text, remedy = describe(fault, device=row.product or str(row.vidpid), busid=str(row.busid))
    return replace(row, problem=fault.code, problem_text=text, remedy=remedy)


def _absent(entry: Entry, known: Remembered) -> Row:
    return Row(
        key=str(entry),
        busid=None,
        vidpid=entry.vidpid,
        serial=entry.serial or "",
        product=printable(known.product),
        vendor=printable(known.vendor),
        kind=known.faces[0] if known.faces else Kind.DEVICE,
        speed=None,
        driver="",
        ticked=True,
        state=DeviceState.ABSENT,
        identity=str(entry),
        faces=known.faces,
        nickname=printable(known.nickname),
        mode=known.mode,
        follows_port=known.follow,
    )


def wanted(devices: Sequence[UsbDevice], situation: Situation) -> tuple[UsbDevice, ...]:
    """Decides which devices are to be shared now.

    A device without interfaces is one that the kernel has not finished with: what it is cannot be judged yet.
    """
    if not situation.in_session or situation.obstacle is not None:
        return ()
    return tuple(device for device in listed(devices) if device.interfaces and _is_wanted(device, situation))


def _is_wanted(device: UsbDevice, situation: Situation) -> bool:
    about = situation.assessments[device.busid]
    allowed = about.judgement.refusal is None and about.judgement.question is None
    return allowed and about.wished(ticked=is_ticked(device, situation.wishes))
