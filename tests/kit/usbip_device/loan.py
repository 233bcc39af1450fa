"""EFFECT: a device lent to a container on its host: serial adapter and stick in one; it may hold the kernel up."""

import contextlib
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .attach import Broker
from .descriptors import MISCELLANEOUS, Identity
from .device import Device
from .functions import Serial, Stick
from .records import Request, Submit
from .serve import pair

HUBS = Path("/sys/devices/platform")
PATIENCE = 60.0
HELD = 4.0  # seconds; the kernel waits five for an answer
SET_CONFIGURATION = 9


def configures(request: Request) -> bool:
    """Whether drivers are about to have the device."""
    return isinstance(request, Submit) and (request.setup.kind, request.setup.request) == (0, SET_CONFIGURATION)


def agent() -> int:
    """The process id of this host's agent."""
    shown = subprocess.run(
        ["systemctl", "show", "-p", "MainPID", "--value", "qvd-usb-agent"], check=True, capture_output=True, text=True
    )
    return int(shown.stdout)


def until(holds: Any, what: str) -> Any:
    """Wait for something to be true, and give it back."""
    end = time.monotonic() + PATIENCE
    while not (found := holds()):
        if time.monotonic() > end:
            raise SystemExit(f"not within {PATIENCE:.0f} s: {what}")
        time.sleep(0.004)
    return found


class Loan:
    """One device in one container.

    Args:
        tenant: the container.
        serial: by which it is known in sysfs.
        stack: what the device's end of the connection is closed with.
        held: which request is answered only after `go_on`, or HELD seconds; the first one.
    """

    def __init__(
        self, tenant: str, serial: str, stack: contextlib.ExitStack, held: Callable[[Request], bool] = lambda _: True
    ) -> None:
        self.tenant, self.serial = tenant, serial
        self._held = held
        self._asked, self._go_on = threading.Event(), threading.Event()
        self._stack = stack
        identity = Identity(serial=self.serial, classes=MISCELLANEOUS)
        device = Device(identity=identity, functions=(Serial(), Stick(bytearray(64 << 10), first=2, number=3)))
        self.connection, fd = stack.enter_context(pair(device, self._before))
        self.broker = Broker(self.tenant)
        self.attach_id = self.broker.attach(fd, 0x10002, 3)
        self.folder: Path | None = None

    def _before(self, request: Request) -> None:
        if self._held(request):
            self._asked.set()
            self._go_on.wait(HELD)

    def held(self) -> None:
        """It was asked what it is held at, and lets the kernel wait."""
        until(self._asked.is_set, f"{self.serial} is asked")

    def go_on(self) -> None:
        """Answer at once from now on."""
        self._go_on.set()

    def enumerated(self) -> Path:
        """Its folder in sysfs."""

        def find() -> Path | None:
            for path in HUBS.glob("vhci_hcd.*/usb*/*-*/serial"):
                with contextlib.suppress(OSError):
                    if path.read_text().strip() == self.serial:
                        return path.parent
            return None

        self.folder = until(find, f"{self.serial} enumerates")
        return self.folder

    def numbers(self) -> list[str]:
        """The numbers that drivers gave it, when it has both."""
        found = [*self.terminals(), *self._found("b", "*:*/host*/target*/*/block/*/dev")]
        return found if len(found) == 2 else []

    def terminals(self) -> list[str]:
        """The number of its serial port, when it has one."""
        return self._found("c", "*:*/tty/tty*/dev")

    def _found(self, kind: str, place: str) -> list[str]:
        assert self.folder is not None
        found = []
        for path in self.folder.glob(place):
            with contextlib.suppress(OSError):
                found.append(f"{kind}:{path.read_text().strip()}")
        return found

    def in_use(self) -> list[str]:
        """Authorised, with its numbers."""
        self.enumerated()
        said = self.broker.until(self.attach_id, "authorised", "ready", patience=PATIENCE)
        if said["state"] not in {"authorised", "ready"}:
            raise SystemExit(f"{self.serial}: {said}")
        return list(until(self.numbers, f"{self.serial} has its nodes"))

    def end(self, how: str) -> None:
        """Unplugged by its client, or given back by the container."""
        if how == "unplugged":
            self.connection.close()
        else:
            self.broker.detach(self.attach_id)
        until(lambda: self.folder is None or not self.folder.exists(), f"{self.serial} is gone")

    def forget(self) -> None:
        """Close the device's end."""
        self._stack.close()
