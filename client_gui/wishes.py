"""PURE: which devices the user wants to share: the share list, and the ports that tell twins apart."""

from __future__ import annotations

from qvd_usbip.errors import SETTINGS_MALFORMED, SHARE_ALL_ON, QvdUsbError
from qvd_usbip.ids import BusId
from qvd_usbip.share_list import Entry, ShareList, entry_for, parse, written
from qvd_usbip.values import dataclass, field, replace

TYPE_CHECKING = False
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
    return written(device.vidpid, device.serial or None)


def parse_ports(text: str) -> dict[str, frozenset[BusId]]:
    """Parses `client.usb.share_ports`: `entry/busid`, comma separated.

    Raises:
        QvdUsbError: settings-malformed, naming the key and the word.
    """
    ports: dict[str, frozenset[BusId]] = {}
    for word in filter(None, (piece.strip() for piece in text.split(","))):
        entry, _, busid = word.rpartition("/")
        try:
            (named,) = parse(entry).entries
            port = BusId.parse(busid)
        except (QvdUsbError, ValueError) as error:
            reason = f"client.usb.share_ports has '{word}', not vid:pid/busid or vid:pid@serial/busid"
            raise QvdUsbError(SETTINGS_MALFORMED, reason=reason) from error
        ports[str(named)] = ports.get(str(named), frozenset()) | {port}
    return ports


def format_ports(ports: Mapping[str, frozenset[BusId]]) -> str:
    """Formats what `parse_ports` reads."""
    return ", ".join(f"{entry}/{busid}" for entry in sorted(ports) for busid in sorted(ports[entry]))


def is_ticked(device: UsbDevice, wishes: Wishes) -> bool:
    """Decides whether the user wants this device shared."""
    return wishes.share_all or any(_ticks(entry, device, wishes) for entry in wishes.share_list.entries)


def _ticks(entry: Entry, device: UsbDevice, wishes: Wishes) -> bool:
    ports = wishes.ports.get(str(entry))
    return entry.matches(device) and (ports is None or device.busid in ports)


class Company:
    """Who is plugged in: counted once, so that each device can be asked about the others without a look at each."""

    def __init__(self, devices: Iterable[UsbDevice]) -> None:
        self._named: dict[str, int] = {}
        self._made: dict[str, int] = {}
        for device in devices:
            for known, name in ((self._named, identity_of(device)), (self._made, str(device.vidpid))):
                known[name] = known.get(name, 0) + 1

    def has_twin(self, device: UsbDevice) -> bool:
        """Whether another one has the same vid:pid and serial: only the port tells them apart."""
        return self._named.get(identity_of(device), 0) > 1

    def has_like(self, device: UsbDevice) -> bool:
        """Whether another one has the same vid:pid."""
        return self._made.get(str(device.vidpid), 0) > 1


def tick(device: UsbDevice, devices: Sequence[UsbDevice], wishes: Wishes) -> Wishes:
    """Decides the wishes after ticking this device; no other present device's tick changes.

    Where its entry would stand for another device that is present too, the entry is limited to ports. One that is
    plugged in later is not foreseen: an entry without ports stands for it too, as QVD's share list has it.
    """
    if is_ticked(device, wishes):
        return wishes
    entry = entry_for(device)
    limited = wishes.ports.get(str(entry), frozenset()) if entry in wishes.share_list.entries else frozenset()
    ports = {name: busids for name, busids in wishes.ports.items() if name != str(entry)}
    if limited or any(entry.matches(other) for other in devices if other.busid != device.busid):
        ports[str(entry)] = limited | {device.busid}
    return replace(wishes, share_list=wishes.share_list.with_entry(entry), ports=ports)


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
    others = [other for other in devices if other.busid != device.busid and is_ticked(other, wishes)]
    share_list, ports = wishes.share_list, dict(wishes.ports)
    for entry in wishes.share_list.entries:
        if not _ticks(entry, device, wishes):
            continue
        remaining = ports.pop(str(entry), frozenset()) - {device.busid}
        if remaining:
            ports[str(entry)] = remaining
        else:
            share_list = share_list.without(entry)
    after = replace(wishes, share_list=share_list, ports=ports)
    for other in others:
        after = tick(other, devices, after)
    return after


def add(entry: Entry, wishes: Wishes) -> Wishes:
    """Decides the wishes with this entry for every device that it matches, now or later."""
    ports = {name: busids for name, busids in wishes.ports.items() if name != str(entry)}
    return replace(wishes, share_list=wishes.share_list.with_entry(entry), ports=ports)


def forget(entry: Entry, wishes: Wishes) -> Wishes:
    """Decides the wishes without this entry."""
    ports = {name: busids for name, busids in wishes.ports.items() if name != str(entry)}
    return replace(wishes, share_list=wishes.share_list.without(entry), ports=ports)
