"""EFFECT: runs the user's own commands when a device was shared, came back, or failed.

`client.usb.on-share`, `on-return` and `on-fail` hold a command line each. It is run as the user, without a shell, with
the device in its environment, for HOOK_LIMIT seconds at most; nothing waits for it.
"""

from __future__ import annotations

import logging
import os
import shlex
import signal
import subprocess
import time
from typing import TYPE_CHECKING

from client_gui.state import DeviceState
from client_gui.steps import NOT_HOME
from qvd_usbip.errors import ALREADY_IN_USE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from client_gui.loop import Loop
    from client_gui.state import Row

LOG = logging.getLogger(__name__)

SHARE, RETURN, FAIL = "share", "return", "fail"
HOOK_LIMIT = 30.0
"""How long one command may run, in seconds."""
END_LIMIT = 3.0
"""How long commands may go on once the engine ends, in seconds."""
MOST = 16
"""How many commands may run at once; what happens beyond that runs none."""
LOOK_EVERY = 0.5

_SHARED = frozenset({DeviceState.ATTACHED, DeviceState.IN_USE})
_MOVING = frozenset({DeviceState.RELEASING, DeviceState.CONNECTING, DeviceState.RETURNING})
_FAILED = frozenset({DeviceState.FAILED, DeviceState.BLOCKED})
_AWAY = NOT_HOME | {ALREADY_IN_USE.code}
"""Problems of a device that is neither in the remote desktop nor back with its driver."""


class Course:
    """What has been told of each device, so that each thing is told once.

    One that was pulled, or that its helper could not give back, has not returned.
    """

    def __init__(self) -> None:
        self._shared: set[str] = set()
        self._astray: set[str] = set()
        self._failing: dict[str, str] = {}
        self._moved: set[str] = set()

    def events(self, rows: Iterable[Row]) -> Iterator[tuple[str, Row]]:
        """Decides what happened since the last rows: SHARE, RETURN, FAIL, and to which device."""
        seen = set()
        for row in rows:
            seen.add(row.key)
            yield from self._of(row)
        self._shared &= seen
        self._astray &= seen

    def _of(self, row: Row) -> Iterator[tuple[str, Row]]:
        if row.state in _SHARED:
            self._failing.pop(row.key, None)
            self._astray.discard(row.key)
            if row.key not in self._shared:
                yield SHARE, row
            self._shared.add(row.key)
        elif row.state in _MOVING:
            self._moved.add(row.key)
            return
        elif row.state is DeviceState.ABSENT:
            self._shared.discard(row.key)
            self._astray.discard(row.key)
        elif row.key in self._shared | self._astray:
            self._shared.discard(row.key)
            if row.problem in _AWAY:
                self._astray.add(row.key)
            else:
                self._astray.discard(row.key)
                yield RETURN, row
        if row.state in _FAILED and row.key in self._moved and self._failing.get(row.key) != row.problem:
            self._failing[row.key] = row.problem
            yield FAIL, row
        self._moved.discard(row.key)


class Hooks:
    """The commands that run; belongs to the engine's thread."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._course = Course()
        self._running: list[tuple[str, subprocess.Popen[bytes], float]] = []

    def note(self, rows: Iterable[Row], commands: Mapping[str, str]) -> None:
        """Runs what these rows give reason to.

        Args:
            rows: what is shown now.
            commands: the command line for SHARE, RETURN and FAIL, "" for none.
        """
        for event, row in self._course.events(rows):
            if commands.get(event):
                self._run(event, row, commands[event])

    def _run(self, event: str, row: Row, command: str) -> None:
        if len(self._running) >= MOST:
            LOG.warning("on-%s is not run: %s commands run already", event, MOST)
            return
        try:
            process = subprocess.Popen(
                shlex.split(command),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={**os.environ, **environment(event, row)},
                cwd="/",
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            LOG.warning("on-%s cannot be run: reason=%s", event, error)
            return
        if not self._running:
            self._loop.call_later(LOOK_EVERY, self._look)
        self._running.append((event, process, time.monotonic() + HOOK_LIMIT))

    def close(self) -> None:
        """Gives what still runs a moment to end, and ends it then."""
        deadline = time.monotonic() + END_LIMIT
        for event, process, _ in self._running:
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                _kill(process)
                process.wait()
            _bury(event, process)
        self._running = []

    def _look(self) -> None:
        """Buries what ended, and ends what takes too long."""
        left = []
        for event, process, deadline in self._running:
            if process.poll() is not None:
                _bury(event, process)
                continue
            if time.monotonic() > deadline:
                LOG.warning("on-%s did not end in %s s: pid=%s", event, HOOK_LIMIT, process.pid)
                _kill(process)
            left.append((event, process, deadline))
        self._running = left
        if left:
            self._loop.call_later(LOOK_EVERY, self._look)


def _bury(event: str, process: subprocess.Popen[bytes]) -> None:
    """Says of a command that has ended if it failed; what it wrote itself nobody has read."""
    if process.returncode != 0:
        LOG.warning("on-%s failed: status=%s pid=%s", event, process.returncode, process.pid)


def _kill(process: subprocess.Popen[bytes]) -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def environment(event: str, row: Row) -> dict[str, str]:
    """What the command is told: texts of one line, whatever the device calls itself."""
    return {
        "QVD_USB_EVENT": event,
        "QVD_USB_BUSID": str(row.busid or ""),
        "QVD_USB_DEVICE": row.identity,
        "QVD_USB_VIDPID": str(row.vidpid),
        "QVD_USB_NAME": row.nickname or " ".join(filter(None, (row.vendor, row.product))),
        "QVD_USB_KIND": str(row.kind),
        "QVD_USB_STATE": str(row.state),
        "QVD_USB_PROBLEM": row.problem,
    }
