"""EFFECT: has the helper finish what a killed one left, where nobody wants the device any more.

A device that is wanted again is settled by the helper that lends it next; root's unit does it at boot.
"""

from __future__ import annotations

import logging
import subprocess

from client_gui.exporter import fault_of_exit

LOG = logging.getLogger(__name__)


class Recovery:
    """At most one run of `recover` at a time: it gives back what this user's helpers left, nothing that is in use."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._done_for: set[object] = set()

    def begin(self, helper: str, reason: object) -> None:
        """Starts it, once for each reason."""
        if not self.ended() or reason in self._done_for:
            return
        self._done_for.add(reason)
        try:
            self._process = subprocess.Popen(
                [helper, "recover"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"},
                cwd="/",
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            LOG.warning("devices that a killed helper left stay where they are: reason=%s", error)

    def ended(self) -> bool:
        """Whether none runs; what a run could not do is said once, when that is asked for after its end."""
        if self._process is None:
            return True
        status = self._process.poll()
        if status is None:
            return False
        self._process = None
        if status != 0:
            fault = fault_of_exit(status, "")
            LOG.warning("a device that a killed helper left stays where it is: problem=%s %s", fault.code, fault.text)
        return True
