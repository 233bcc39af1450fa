"""EFFECT: the virtual hubs: which there are, which ports are free, attach and detach."""

import errno
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from qvd_usbip import vhci
from qvd_usbip.errors import VHCI_MISSING, VHCI_NO_HUBS, QvdUsbError
from qvd_usbip.ids import HubId
from server_agent.events import HubSeen
from server_agent.state import Half, HubBuses, Port

FREE_SECONDS = 5.0  # detach is asynchronous; peers that hang keep a port this long at most
POLL_SECONDS = 0.02
HUB_PREFIX = "vhci_hcd."
HIGH_SPEED = "480"  # what the root hub of the slower half says of itself
SPEED_OF_HALF: Mapping[Half, int] = {"hs": vhci.HIGH, "ss": vhci.SUPER}


class PortTakenError(Exception):
    """The port is in use, or not free again yet."""


@dataclass(frozen=True, slots=True)
class _Arrangement:
    """What one look at the driver found; a look costs some dozen calls, so that a step with a port takes one."""

    layout: vhci.Layout
    hubs: list[int]

    def lendable(self) -> tuple[HubId, ...]:
        """The hubs of which containers may have ports."""
        return tuple(HubId(number) for number in vhci.lendable_hubs(self.layout, self.hubs))


@dataclass(frozen=True, slots=True, kw_only=True)
class Vhci:
    """The vhci_hcd driver below a sysfs root.

    Args:
        sysfs: "/sys".
    """

    sysfs: Path

    @property
    def _driver(self) -> Path:
        return self.sysfs / "bus/platform/drivers/vhci_hcd"

    def hub_path(self, hub: HubId) -> Path:
        """The hub's folder in sysfs."""
        return self.sysfs / "devices/platform" / hub.name

    def layout(self) -> vhci.Layout:
        """Which of the known arrangements this kernel has."""
        return self._arrangement().layout

    def _arrangement(self) -> _Arrangement:
        hubs = self.bound()
        layout = vhci.recognise(
            vhci.Observation(
                driver_dir_exists=self._driver.is_dir(),
                hubs=tuple(hubs),
                has_status1=(self.hub_path(HubId(0)) / "status.1").exists(),
                hub_attach=frozenset(n for n in hubs if (self.hub_path(HubId(n)) / "attach").exists()),
            )
        )
        return _Arrangement(layout, hubs)

    def require(self) -> vhci.Layout:
        """The layout.

        Raises:
            QvdUsbError: vhci-missing or vhci-no-hubs.
        """
        layout = self.layout()
        if layout == vhci.MODULE_MISSING:
            raise QvdUsbError(VHCI_MISSING)
        if layout == vhci.NO_HUBS:
            raise QvdUsbError(VHCI_NO_HUBS)
        return layout

    def debug_flag(self) -> int:
        """What usbip-core writes to the kernel log about each packet, as bits; 0 where the kernel cannot.

        Source: drivers/usb/usbip/usbip_common.c, usbip_debug_flag.
        """
        try:
            return int(_read(self._debug_flag))
        except FileNotFoundError:
            return 0

    @property
    def _debug_flag(self) -> Path:
        return self.sysfs / "module/usbip_core/parameters/usbip_debug_flag"

    def quieten(self) -> bool:
        """Let usbip-core write nothing about packets.

        Returns:
            Whether it did until now.

        Raises:
            OSError: it still does.
        """
        if not self.debug_flag():
            return False
        _write(self._debug_flag, "0")
        return True

    def bound(self) -> list[int]:
        """The numbers of the hubs bound to the driver."""
        try:
            entries = [entry.name for entry in self._driver.iterdir()]
        except FileNotFoundError:
            return []
        numbers = (entry.removeprefix(HUB_PREFIX) for entry in entries if entry.startswith(HUB_PREFIX))
        return sorted(int(number) for number in numbers if number.isascii() and number.isdecimal())

    def lendable(self) -> tuple[HubId, ...]:
        """The hubs of which containers may have ports."""
        return self._arrangement().lendable()

    def buses(self, hub: HubId) -> HubBuses | None:
        """The bus numbers of a hub's two halves; None while it has none."""
        found: dict[Half, int] = {}
        for root_hub in self.root_hubs(hub):
            half: Half = "hs" if _read(root_hub / "speed") == HIGH_SPEED else "ss"
            found[half] = int(_read(root_hub / "busnum"))
        return HubBuses(hs=found["hs"], ss=found["ss"]) if len(found) == 2 else None

    def root_hubs(self, hub: HubId) -> list[Path]:
        """The root hubs of a hub: usbN below its folder."""
        return sorted(path for path in self.hub_path(hub).glob("usb[0-9]*") if path.name[3:].isdecimal())

    def ports_per_half(self) -> int:
        """How many ports each half of a hub has, as the status table of the first usable hub shows."""
        return self._ports_per_half(self._arrangement())

    def _ports_per_half(self, found: _Arrangement) -> int:
        for hub in found.lendable():
            if self.root_hubs(hub):
                return sum(row.hub == "hs" for row in self._rows(hub, found.layout))
        return 0

    def used(self, hub: HubId) -> frozenset[Port]:
        """The ports of a hub that are not free.

        Raises:
            OSError, QvdUsbError: the table cannot be read.
        """
        return self._used(hub, self.layout())

    def _used(self, hub: HubId, layout: vhci.Layout) -> frozenset[Port]:
        counts: dict[str, int] = {"hs": 0, "ss": 0}
        taken = []
        for row in self._rows(hub, layout):
            half: Half = "ss" if row.hub == "ss" else "hs"
            if row.state != vhci.STATE_FREE:
                taken.append(Port(hub=hub, half=half, rhport=counts[half]))
            counts[half] += 1
        return frozenset(taken)

    def _rows(self, hub: HubId, layout: vhci.Layout) -> tuple[vhci.PortStatus, ...]:
        """The rows of one hub; a status file without a bus below its hub is never read (it oopses old kernels)."""
        if not self.root_hubs(hub):
            return ()
        if hub == HubId(0) or layout == vhci.PER_HUB:
            path = self.hub_path(hub) / "status"
        else:
            path = self.hub_path(HubId(0)) / f"status.{hub.number}"
        return vhci.parse_status(path.read_text(encoding="ascii"))

    def _control(self, port: Port, found: _Arrangement) -> tuple[Path, int]:
        """The folder whose attach and detach rule this port, and the number the port has there."""
        ports = vhci.Ports(self._ports_per_half(found))
        hub, number = ports.attach_target(found.layout, port.hub.number, port.rhport, SPEED_OF_HALF[port.half])
        return self.hub_path(HubId(hub)), number

    def attach(self, port: Port, fd: int, devid: int, speed: int) -> None:
        """Hand a connected stream socket to the kernel, which takes a reference of its own.

        Args:
            port: a free port on the half that belongs to `speed`.
            fd: the socket's descriptor in this process.
            devid: busnum << 16 | devnum at the client.
            speed: as the kernel counts them; one this kernel does not know is tried as SuperSpeed.

        Raises:
            PortTakenError: try another port.
            OSError: EINVAL for a socket or a number the kernel will not have.
        """
        folder, number = self._control(port, self._arrangement())
        for tried in vhci.speeds_to_try(speed):
            try:
                _write(folder / "attach", vhci.Ports.attach_line(number, fd, devid, tried))
            except OSError as error:
                if error.errno == errno.EBUSY:
                    raise PortTakenError from error
                if error.errno != errno.EINVAL or tried != vhci.SUPER_PLUS:
                    raise
            else:
                return

    def detach(self, port: Port) -> bool:
        """Take whatever is attached off a port and wait for it to be free.

        While the module is being loaded hub 0 rules ports of hubs that are not there yet: asked for one of those the
        kernel oopses (detach_store, drivers/usb/usbip/vhci_sysfs.c; attach_store looks first). Nothing is on them.

        Returns:
            True when the port is free, False when it was not within some seconds.

        Raises:
            OSError: the kernel would not.
        """
        if self.buses(port.hub) is None:
            return True
        found = self._arrangement()
        folder, number = self._control(port, found)
        try:
            _write(folder / "detach", str(number))
        except OSError as error:
            if error.errno != errno.EINVAL:  # EINVAL: it is free already
                raise
        deadline = time.monotonic() + FREE_SECONDS
        while port in self._used(port.hub, found.layout):
            if time.monotonic() >= deadline:
                return False
            time.sleep(POLL_SECONDS)
        return True

    def seen(self, hub: HubId, *, gate_closed: bool) -> HubSeen | None:
        """A hub as it is now; None while it has no buses."""
        buses = self.buses(hub)
        return None if buses is None else HubSeen(buses=buses, gate_closed=gate_closed, used=self.used(hub))


def _read(path: Path) -> str:
    return path.read_text(encoding="ascii").strip()


def _write(path: Path, text: str) -> None:
    """One write(2), as sysfs wants it."""
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)
