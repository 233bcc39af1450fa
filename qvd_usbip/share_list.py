"""PURE: client.usb.share_list, the devices a user wants to share: `0441:0012, 0bda:58c2@1234`.

A serial number is written as it is. Where it holds what this grammar or the configuration file needs (a comma, a blank
at an end, a control character, "${"), that character is written as %XX, its UTF-8 bytes in hexadecimal; QVD's own
client does not know such devices at all. That client knows no %XX either: what it wrote means the serial number as it
stands there too, and stays as it wrote it.
"""

from __future__ import annotations

from qvd_usbip import errors, ids, percent
from qvd_usbip.values import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from qvd_usbip.usb import UsbDevice


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One wish: every device of this vendor and product, or only the one with this serial number.

    `text` is how the serial number stands in the list, where we would write it otherwise, else "".
    """

    vidpid: ids.VidPid
    serial: str | None = None
    text: str = ""

    def matches(self, device: UsbDevice) -> bool:
        """Whether the device is meant; blanks at the ends of serial numbers do not count: not everybody reads them."""
        if self.serial is None or self.vidpid != device.vidpid:
            return self.vidpid == device.vidpid
        bare = device.serial.strip()
        if not bare:
            return device.serial == self.serial
        as_written = "%" in bare and bare == (self.text or _written(self.serial))
        return as_written or bare == self.serial.strip()

    def __str__(self) -> str:
        return f"{self.vidpid}@{self.text}" if self.text else written(self.vidpid, self.serial)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareList:
    """The whole wish, in the order in which it was written; str() is the value for the configuration file."""

    entries: tuple[Entry, ...] = ()

    def entry_matching(self, device: UsbDevice) -> Entry | None:
        """The first entry that means this device."""
        return next((entry for entry in self.entries if entry.matches(device)), None)

    def matches(self, device: UsbDevice) -> bool:
        """Whether the device is wanted."""
        return self.entry_matching(device) is not None

    def with_entry(self, entry: Entry) -> ShareList:
        """The list with this entry at its end; the same list if it has it already."""
        return self if entry in self.entries else ShareList(entries=(*self.entries, entry))

    def without(self, entry: Entry) -> ShareList:
        """The list without this entry."""
        return ShareList(entries=tuple(each for each in self.entries if each != entry))

    def __str__(self) -> str:
        return ", ".join(map(str, self.entries))


def written(vidpid: ids.VidPid, serial: str | None) -> str:
    """An entry as it stands in the list."""
    if serial is None:
        return str(vidpid)
    return f"{vidpid}@{serial if serial.isascii() and serial.isalnum() else _written(serial)}"


def entry_for(device: UsbDevice) -> Entry:
    """The narrowest entry that means this device."""
    return Entry(vidpid=device.vidpid, serial=device.serial or None)


def parse(text: str) -> ShareList:
    """Read the list; blanks around entries and empty entries (a comma too many) do no harm, doubles count once.

    Raises: QvdUsbError share-list-malformed, with the entry.
    """
    written = (item.strip() for item in text.split(","))
    return ShareList(entries=tuple(dict.fromkeys(_entry(item) for item in written if item)))


def _entry(item: str) -> Entry:
    vidpid, at, serial = item.partition("@")
    try:
        parsed = ids.VidPid.parse(vidpid.strip())
    except errors.QvdUsbError as error:
        raise errors.QvdUsbError(errors.SHARE_LIST_MALFORMED, value=item) from error
    if at and not serial.strip():
        raise errors.QvdUsbError(errors.SHARE_LIST_MALFORMED, value=item)
    return _named(parsed, serial.strip()) if at else Entry(vidpid=parsed)


def _named(vidpid: ids.VidPid, text: str) -> Entry:
    try:
        serial = percent.decoded(text)
    except UnicodeDecodeError:
        serial = text  # no %XX of ours
    plain = text == _written(serial) or not text.isprintable() or "${" in text
    return Entry(vidpid=vidpid, serial=serial, text="" if plain else text)


def _written(serial: str) -> str:
    last = len(serial) - 1
    return "".join(percent.escaped(char) if _needs_escape(serial, at, last) else char for at, char in enumerate(serial))


def _needs_escape(serial: str, at: int, last: int) -> bool:
    char = serial[at]
    if char == "%":
        return percent.starts_escape(serial, at)
    if char == "$":  # a configuration file would take "${" for a reference to another key
        return serial[at + 1 : at + 2] == "{"
    return char == "," or not char.isprintable() or (char.isspace() and at in (0, last))
