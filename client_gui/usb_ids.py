"""EFFECT: names of vendors and products from the list that distributions ship, for devices that do not say theirs.

Source: usb.ids, its syntax as the file's own head tells it.
"""

from __future__ import annotations

from qvd_usbip.errors import QvdUsbError
from qvd_usbip.system.files import read_bounded

TYPE_CHECKING = False
if TYPE_CHECKING:
    from qvd_usbip.ids import VidPid

LARGEST = 8 << 20
"""A file that is larger is no list of USB names, in bytes."""


class UsbNames:
    """The first of the files that is there; read when it is first asked, and no further than it has to be."""

    def __init__(self, paths: str) -> None:
        self._paths = [each.strip() for each in paths.split(",") if each.strip()]
        self._data: bytes | None = None
        self._known: dict[VidPid, tuple[str, str]] = {}

    def of(self, vidpid: VidPid) -> tuple[str, str]:
        """The names of vendor and product; "" for one that is not listed."""
        if vidpid not in self._known:
            if self._data is None:
                self._data = self._read()
            self._known[vidpid] = names_in(self._data, vidpid)
        return self._known[vidpid]

    def _read(self) -> bytes:
        for path in self._paths:
            try:
                return b"\n" + read_bounded(path, LARGEST)
            except (FileNotFoundError, QvdUsbError):
                continue  # the next one; without any, devices are called by their numbers
        return b""


def names_in(data: bytes, vidpid: VidPid) -> tuple[str, str]:
    """Finds the names in the file's content: a line `vvvv  Vendor`, below it lines `<tab>pppp  Product`."""
    start = data.find(b"\n%04x  " % vidpid.vendor)
    if start < 0:
        return "", ""
    end = data.find(b"\n", start + 1)
    vendor = data[start + 7 : end if end >= 0 else None]
    for line in data[end:].split(b"\n", 4096)[1:] if end >= 0 else ():
        if not line.startswith((b"\t", b"#")):
            break
        if line.startswith(b"\t%04x  " % vidpid.product):
            return _text(vendor), _text(line[7:])
    return _text(vendor), ""


def _text(name: bytes) -> str:
    return name.decode("utf-8", "replace").strip()
