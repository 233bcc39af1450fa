"""EFFECT: the installed agent, to which no event of the kernel ever comes; it looks around each second.

/run/looks: when each look began, by the monotonic clock, a line each.
"""

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

sys.path.insert(0, "/usr/lib/qvd-usbip/python")

from qvd_usbip.uevent import Uevent
from server_agent import cli, daemon, main
from server_agent.events import Observed
from server_agent.kernel.observe import Observer
from server_agent.kernel.udev import Monitor

LOOKS = Path("/run/looks")


class Deaf(Monitor):
    """Hears nothing."""

    def start(self) -> int:
        """A descriptor that never becomes readable."""
        return os.pipe()[0]

    def read(self) -> Iterator[Uevent]:
        """Nothing has arrived."""
        return iter(())


class Noting(Observer):
    """Notes when it looks."""

    def look(self, now: float) -> Observed:
        """As the agent's own."""
        with LOOKS.open("a") as file:
            file.write(f"{time.monotonic()}\n")
        return super().look(now)


with (
    patch.object(main, "Monitor", Deaf),
    patch.object(main, "Observer", Noting),
    patch.object(daemon, "LOOK_SECONDS", 1.0),
):
    sys.exit(cli.main(["run"]))
