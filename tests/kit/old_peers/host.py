"""EFFECT: an old host, as its container sees it: one hub mounted, whose own `attach` takes devices for it alone."""

import errno
import os
import socket
from pathlib import Path

HEADER = "hub port sta spd dev      sockfd local_busid\n"
FREE, USED = 4, 6
HALVES = ("hs", "ss")


class OldHost:
    """The hub `number` below `root`/sys, and the kernel behind its `attach`.

    Source: attach_store, drivers/usb/usbip/vhci_sysfs.c, with a hub's ports numbered from 0 as QVD's kernels do.
    """

    def __init__(self, root: Path, number: int = 3, ports: int = 4) -> None:
        self.sysfs = root / "sys"
        self.hub = self.sysfs / f"devices/platform/vhci_hcd.{number}"
        self.buses = {"hs": 2 * number + 1, "ss": 2 * number + 2}
        self.ports = ports
        self.answers = False  # whether devices enumerate by themselves
        self.taken: dict[int, socket.socket] = {}
        self._at: dict[int, int] = {}
        self.devids: list[tuple[int, int]] = []
        for half, speed in zip(HALVES, ("480", "5000"), strict=True):
            root_hub = self.hub / f"usb{self.buses[half]}"
            root_hub.mkdir(parents=True)
            (root_hub / "speed").write_text(f"{speed}\n")
            (root_hub / "busnum").write_text(f"{self.buses[half]}\n")
        for name in ("attach", "detach"):
            (self.hub / name).touch()
        self._show()

    def write(self, descriptor: int, line: bytes) -> int:
        """What the kernel does with a write to `attach`."""
        assert os.path.realpath(f"/proc/self/fd/{descriptor}") == str(self.hub.resolve() / "attach")
        port, fd, devid, speed = (int(word) for word in line.split())
        if port >= 2 * self.ports or speed not in {1, 2, 3, 5}:
            raise OSError(errno.EINVAL, "a port or speed that is none")
        try:
            taken = socket.socket(fileno=os.dup(fd))
        except OSError as error:
            raise OSError(errno.EINVAL, "no socket") from error
        if taken.type != socket.SOCK_STREAM or port in self.taken:
            busy = port in self.taken
            taken.close()
            raise OSError(errno.EBUSY if busy else errno.EINVAL, "in use" if busy else "no stream socket")
        self.taken[port] = taken
        self.devids.append((devid, speed))
        self._at[port] = devid
        self._show()
        if self.answers:
            self.enumerate(port)
        return len(line)

    def enumerate(self, port: int, name: str = "") -> str:
        """The device on a port has enumerated; returns what it is called below /dev."""
        half, rhport = HALVES[port // self.ports], port % self.ports
        bus = self.buses[half]
        folder = self.hub / f"usb{bus}/{bus}-{rhport + 1}"
        folder.mkdir()
        devname = name or f"bus/usb/{bus:03}/002"
        (folder / "dev").write_text(f"189:{(bus - 1) * 128 + 1}\n")
        (folder / "uevent").write_text(
            f"MAJOR=189\nMINOR={(bus - 1) * 128 + 1}\nDEVNAME={devname}\nDEVTYPE=usb_device\n"
        )
        (folder / "subsystem").symlink_to("../../../../../bus/usb")
        return devname

    def end(self) -> None:
        """Every peer has gone: the ports are free again."""
        for taken in self.taken.values():
            taken.close()
        self.taken.clear()
        self._show()

    def _show(self) -> None:
        rows = []
        for place, half in enumerate(HALVES):
            for rhport in range(self.ports):
                port = place * self.ports + rhport
                state = USED if port in self.taken else FREE
                devid = self._at[port] if port in self.taken else 0
                rows.append(f"{half}  {port:04d} {state:03d} 000 {devid:08x} 000000 0-0\n")
        fresh = self.hub / ".status"
        fresh.write_text(HEADER + "".join(rows))
        fresh.rename(self.hub / "status")
