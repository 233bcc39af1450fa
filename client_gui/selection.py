"""PURE: devices, wishes, policy and what the engine is doing -> the rows that a person sees."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from client_gui.state import DeviceState, Row
from client_gui.troubles import Fault, Standing, describe, fault_of
from client_gui.wishes import Wishes, identity_of, is_ticked, twins_of
from qvd_usbip.errors import ALREADY_IN_USE, QvdUsbError, printable
from qvd_usbip.kinds import Kind, kind_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from qvd_usbip.ids import BusId
    from qvd_usbip.share_list import Entry
    from qvd_usbip.usb import UsbDevice


EXPORT_DRIVER = "usbip-host"
"""The driver that lends a device, as sysfs names it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What besides the device decides its state.

    `obstacle` stands in the way of every device (sharing is off, no helper); `locks` holds what locks a device.
    """

    wishes: Wishes
    in_session: bool = False
    obstacle: Fault | None = None
    locks: Mapping[BusId, QvdUsbError] = field(default_factory=dict)
    standings: Mapping[BusId, Standing] = field(default_factory=dict)


def listed(devices: Iterable[UsbDevice]) -> tuple[UsbDevice, ...]:
    """The devices a person may think about: no hubs, and nothing that is itself received from elsewhere."""
    return tuple(device for device in devices if kind_of(device) is not Kind.HUB and not device.below_vhci)


def keys_of(devices: Sequence[UsbDevice]) -> dict[BusId, str]:
    """Decides a unique key for each device: its share list entry, with the port where that is no name for one alone."""
    keys: dict[BusId, str] = {}
    used: set[str] = set()
    for device in sorted(devices, key=lambda found: found.busid):
        identity = identity_of(device)
        alone = bool(device.serial) and identity not in used
        keys[device.busid] = identity if alone else f"{identity}/{device.busid}"
        used.add(identity)
    return keys


def rows_of(devices: Sequence[UsbDevice], situation: Situation) -> tuple[Row, ...]:
    """Decides the rows: one for each device that is plugged in, one for each entry of the share list that is not."""
    present = listed(devices)
    keys = keys_of(present)
    rows = [_row(device, keys[device.busid], present, situation) for device in present]
    ticked = [device for device in present if is_ticked(device, situation.wishes)]
    missing = [
        entry for entry in situation.wishes.share_list.entries if not any(entry.matches(device) for device in ticked)
    ]
    taken = set(keys.values())
    rows += [_absent(entry) for entry in missing if str(entry) not in taken]
    return tuple(sorted(rows, key=lambda row: (row.state is DeviceState.ABSENT, row.product.casefold(), row.key)))


def _row(device: UsbDevice, key: str, present: Sequence[UsbDevice], situation: Situation) -> Row:
    row = Row(
        key=key,
        busid=device.busid,
        vidpid=device.vidpid,
        serial=device.serial,
        product=printable(device.product),
        vendor=printable(device.manufacturer),
        kind=kind_of(device),
        speed=device.speed,
        driver=device.driver,
        ticked=is_ticked(device, situation.wishes),
        state=DeviceState.NOT_SHARED,
        identity=identity_of(device),
        twin=bool(twins_of(device, present)),
    )
    standing = situation.standings.get(device.busid)
    if standing is not None:
        return _moving(row, standing)
    if device.driver == EXPORT_DRIVER:  # by another program of this computer
        held = QvdUsbError(ALREADY_IN_USE, busid=device.busid)
        return _with_fault(replace(row, state=DeviceState.BLOCKED), fault_of(held))
    lock = situation.locks.get(device.busid)
    if lock is not None:
        return _with_fault(replace(row, state=DeviceState.LOCKED), fault_of(lock))
    if row.ticked and situation.obstacle is not None:
        return _with_fault(replace(row, state=DeviceState.BLOCKED), situation.obstacle)
    return replace(row, state=DeviceState.WAITING) if row.ticked else row


def _moving(row: Row, standing: Standing) -> Row:
    moved = replace(row, state=standing.state, steps=standing.steps, retry_in=standing.retry_in)
    return moved if standing.fault is None else _with_fault(moved, standing.fault)


def _with_fault(row: Row, fault: Fault) -> Row:
    text, remedy = describe(fault, device=row.product or str(row.vidpid), busid=str(row.busid))
    return replace(row, problem=fault.code, problem_text=text, remedy=remedy)


def _absent(entry: Entry) -> Row:
    return Row(
        key=str(entry),
        busid=None,
        vidpid=entry.vidpid,
        serial=entry.serial or "",
        product="",
        vendor="",
        kind=Kind.DEVICE,
        speed=None,
        driver="",
        ticked=True,
        state=DeviceState.ABSENT,
        identity=str(entry),
    )


def wanted(devices: Sequence[UsbDevice], situation: Situation) -> tuple[UsbDevice, ...]:
    """Decides which devices are to be shared now.

    A device without interfaces is one that the kernel has not finished with: what it is cannot be judged yet.
    """
    if not situation.in_session or situation.obstacle is not None:
        return ()
    return tuple(
        device
        for device in listed(devices)
        if is_ticked(device, situation.wishes) and device.interfaces and device.busid not in situation.locks
    )


def find(rows: Iterable[Row], test: Callable[[Row], bool]) -> Row | None:
    """The first row that passes."""
    return next((row for row in rows if test(row)), None)
