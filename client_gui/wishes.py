"""PURE: which devices the user wants to share: the share list, and the ports that tell twins apart."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from qvd_usbip.errors import SHARE_ALL_ON, SHARE_LIST_MALFORMED, QvdUsbError
from qvd_usbip.ids import BusId
from qvd_usbip.share_list import Entry, ShareList, entry_for, parse

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from qvd_usbip.usb import UsbDevice


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """The share list, and per entry the ports it is limited to where devices cannot be told apart otherwise."""

    share_list: ShareList = field(default_factory=lambda: parse(""))
    ports: Mapping[str, frozenset[BusId]] = field(default_factory=dict)
    share_all: bool = False


def identity_of(device: UsbDevice) -> str:
    """The share list entry that names this device: `vid:pid@serial`, or `vid:pid` where it has no serial."""
    return str(entry_for(device))


def parse_ports(text: str) -> dict[str, frozenset[BusId]]:
    """Parses `client.usb.share_ports`: `entry/busid`, comma separated.

    Raises:
        QvdUsbError: share-list-malformed, busid-malformed.
    """
    ports: dict[str, frozenset[BusId]] = {}
    for word in filter(None, (piece.strip() for piece in text.split(","))):
        entry, slash, busid = word.rpartition("/")
        if not slash:
            raise QvdUsbError(SHARE_LIST_MALFORMED, value=word)
        (named,) = parse(entry) or (None,)
        key = str(named)
        ports[key] = ports.get(key, frozenset()) | {BusId.parse(busid)}
    return ports


def format_ports(ports: Mapping[str, frozenset[BusId]]) -> str:
    """Formats what `parse_ports` reads."""
    return ", ".join(f"{entry}/{busid}" for entry in sorted(ports) for busid in sorted(ports[entry]))


def is_ticked(device: UsbDevice, wishes: Wishes) -> bool:
    """Decides whether the user wants this device shared."""
    if wishes.share_all:
        return True
    if not wishes.share_list.matches(device):
        return False
    limited = wishes.ports.get(identity_of(device))
    return limited is None or device.busid in limited


def twins_of(device: UsbDevice, devices: Iterable[UsbDevice]) -> tuple[UsbDevice, ...]:
    """The other devices present that have the same vid:pid and serial: only the port tells them apart."""
    identity = identity_of(device)
    return tuple(other for other in devices if other.busid != device.busid and identity_of(other) == identity)


def tick(device: UsbDevice, devices: Sequence[UsbDevice], wishes: Wishes) -> Wishes:
    """Decides the wishes after ticking this device; no other device's tick changes."""
    if is_ticked(device, wishes):
        return wishes
    identity = identity_of(device)
    ticked_twins = {twin.busid for twin in twins_of(device, devices) if is_ticked(twin, wishes)}
    ports = dict(wishes.ports)
    if identity in ports or twins_of(device, devices):
        ports[identity] = frozenset(ports.get(identity, frozenset()) | ticked_twins | {device.busid})
    share_list = wishes.share_list
    if not share_list.matches(device):
        share_list = share_list.with_entry(entry_for(device))
    return replace(wishes, share_list=share_list, ports=ports)


def untick(device: UsbDevice, devices: Sequence[UsbDevice], wishes: Wishes) -> Wishes:
    """Decides the wishes after unticking this device; no other present device's tick changes.

    An entry that stood for several devices is replaced by one entry for each of the others.

    Raises:
        QvdUsbError: share-all-on, where the list has no say.
    """
    if not is_ticked(device, wishes):
        return wishes
    if wishes.share_all:
        raise QvdUsbError(SHARE_ALL_ON)
    identity = identity_of(device)
    others = [other for other in devices if other.busid != device.busid and is_ticked(other, wishes)]
    share_list = wishes.share_list
    for entry in tuple(share_list):
        if entry.matches(device):
            share_list = share_list.without(entry)
    ports = {entry: busids for entry, busids in wishes.ports.items() if entry != identity}
    remaining = wishes.ports.get(identity, frozenset()) - {device.busid}
    remaining |= {twin.busid for twin in twins_of(device, others)}
    if remaining:
        ports[identity] = remaining
        share_list = share_list.with_entry(entry_for(device))
    for other in others:
        if not share_list.matches(other):
            share_list = share_list.with_entry(entry_for(other))
    return replace(wishes, share_list=share_list, ports=ports)


def add(entry: Entry, wishes: Wishes) -> Wishes:
    """Decides the wishes with this entry for every device that it matches, now or later."""
    ports = {name: busids for name, busids in wishes.ports.items() if name != str(entry)}
    return replace(wishes, share_list=wishes.share_list.with_entry(entry), ports=ports)


def forget(entry: Entry, wishes: Wishes) -> Wishes:
    """Decides the wishes without this entry."""
    ports = {name: busids for name, busids in wishes.ports.items() if name != str(entry)}
    return replace(wishes, share_list=wishes.share_list.without(entry), ports=ports)
