"""EFFECT: has the helper finish what a killed one left, where nobody wants the device any more.

A device that is wanted again is settled by the helper that lends it next; root's unit does it at boot.
"""

from __future__ import annotations

import contextlib
import logging
import subprocess
import tempfile
import time

from client_gui.exporter import fault_of_exit, fault_of_start
from client_gui.steps import RETURN_LIMIT
from client_gui.troubles import Fault
from qvd_usbip.errors import printable
from qvd_usbip.values import replace

LOG = logging.getLogger(__name__)

LIMIT = RETURN_LIMIT
"""How long a run is waited for, in seconds."""


def _start(helper: str, errors: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [helper, "recover"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=errors,
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"},
        cwd="/",
        start_new_session=True,
    )


def try_out(helper: str) -> Fault | None:
    """Runs it to its end, to see whether the helper works on this computer at all; what came of it, if not."""
    with tempfile.TemporaryFile() as errors:
        try:
            process = _start(helper, errors.fileno())
        except (OSError, ValueError) as error:
            return fault_of_start(helper, error)
        try:
            status = process.wait(LIMIT)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(PermissionError):  # it belongs to root, but for whoever is that
                process.kill()
                process.wait()
            return Fault(code="helper-silent", seconds=round(LIMIT))
        errors.seek(0)
        said = errors.read(4096).decode("utf-8", "replace")
    if status == 0:
        return None
    remedy = next((line.strip() for line in said.splitlines()[1:]), "")
    return replace(fault_of_exit(status, said), remedy=printable(remedy))


class Recovery:
    """At most one run of `recover` at a time: it gives back what this user's helpers left, nothing that is in use."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._until = 0.0
        self._late: list[subprocess.Popen[bytes]] = []
        self._done_for: set[object] = set()

    def begin(self, helper: str, reason: object) -> None:
        """Starts it, once for each reason."""
        if not self.ended() or self._late or reason in self._done_for:
            return
        self._done_for.add(reason)
        try:
            self._process = _start(helper, subprocess.DEVNULL)
        except (OSError, ValueError) as error:
            LOG.warning("devices that a killed helper left stay where they are: reason=%s", error)
        self._until = time.monotonic() + LIMIT

    def ended(self) -> bool:
        """Whether none is waited for; what a run could not do is said once, when that is asked for after its end."""
        self._late = [each for each in self._late if each.poll() is None]
        if self._process is None:
            return True
        status = self._process.poll()
        if status is None and time.monotonic() < self._until:
            return False
        if status is None:
            LOG.warning("a device that a killed helper left is not back: recover is still at work after %s s", LIMIT)
            self._late.append(self._process)
        elif status != 0:
            fault = fault_of_exit(status, "")
            LOG.warning("a device that a killed helper left stays where it is: problem=%s %s", fault.code, fault.text)
        self._process = None
        return True
