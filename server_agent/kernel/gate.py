"""EFFECT: nothing below a leased hub reaches a driver before it was judged: the gate, the look, the authorisation."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from qvd_usbip.ids import BusId, HubId
from server_agent.descriptors import LONGEST, Enumerated, enumerated
from server_agent.kernel.vhci import Vhci
from server_agent.state import Right

CLOSED, OPEN = "0", "1"
INHIBITED = "1"


class ChangedError(Exception):
    """The device at this place is another one by now, or gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """authorized and authorized_default below a sysfs root."""

    sysfs: Path

    def closed(self, hub: HubId) -> bool:
        """Whether new devices on both halves of this hub start unauthorised."""
        roots = Vhci(sysfs=self.sysfs).root_hubs(hub)
        return bool(roots) and all(_read(root / "authorized_default") == CLOSED for root in roots)

    def close(self, hub: HubId) -> None:
        """Let new devices start unauthorised.

        Raises:
            OSError: the kernel would not, or the hub has no bus.
        """
        for root in Vhci(sysfs=self.sysfs).root_hubs(hub):
            _write(root / "authorized_default", CLOSED)
        if not self.closed(hub):
            raise OSError(f"{hub.name}: authorized_default did not stay 0")

    def keep_closed(self, hub: HubId) -> None:
        """Close the gate if it is open: a module that was loaded anew begins with open ones.

        Raises:
            OSError: it stays open, or the hub is gone.
        """
        if not self.closed(hub):
            self.close(hub)

    def inspect(self, busid: BusId, number: Right) -> Enumerated:
        """What enumerated, as this kernel read it; its word, not the client's.

        Raises:
            ChangedError: it is another device or gone.
            QvdUsbError: its descriptors make no sense.
        """
        with self._same(busid, number) as folder:
            words = {
                name: _read(folder / name)
                for name in ("busnum", "devnum", "speed", "idVendor", "idProduct", "bDeviceClass")
            }
            strings = {
                name: text
                for name in ("serial", "product", "manufacturer")
                if (text := _read_optional(folder / name)) is not None
            }
            blob = _read_bytes(folder / "descriptors")
        return enumerated(busid, {**words, **strings}, blob)

    def authorise(self, busid: BusId, number: Right) -> None:
        """Let drivers have the device that was inspected, and no other.

        Raises:
            ChangedError: it is another device or gone.
            OSError: it could not be configured.
        """
        with self._same(busid, number) as folder:
            _write(folder / "authorized", OPEN)

    def inhibit_keys(self, devpath: str) -> None:
        """Let the kernel give what an input device says to nobody; who listens already hears no more of it.

        Source: Documentation/input/input-programming.rst, inhibiting input devices.

        Args:
            devpath: its place, as the kernel's event has it.

        Raises:
            ChangedError: it is gone.
            OSError: the kernel would not, or is older than 5.11.
        """
        folder = self.sysfs / devpath.removeprefix("/")
        try:
            _write(folder / "inhibited", INHIBITED)
        except OSError as error:
            if folder.exists():
                raise
            raise ChangedError(f"{devpath} is gone") from error

    @contextmanager
    def _same(self, busid: BusId, number: Right) -> Iterator[Path]:
        """The device's folder by descriptor: it stays this device's, or every access to it fails."""
        try:
            fd = os.open(self.sysfs / "bus/usb/devices" / str(busid), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError as error:
            raise ChangedError(f"{busid} is gone") from error
        try:
            folder = Path(f"/proc/self/fd/{fd}")
            try:
                dev = _read(folder / "dev")
            except OSError as error:
                raise ChangedError(f"{busid} is gone") from error
            if dev != str(number.number):
                raise ChangedError(f"{busid} is {dev} now, not {number.number}")
            yield folder
        finally:
            os.close(fd)


def _read(path: Path) -> str:
    return _read_bytes(path).decode(errors="replace").strip()


def _read_optional(path: Path) -> str | None:
    try:
        return _read(path)
    except FileNotFoundError:
        return None


def _read_bytes(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(LONGEST)


def _write(path: Path, text: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)
