"""EFFECT: the installed agent, to which no event of the kernel ever comes; it looks around each second."""

import os
import sys
from collections.abc import Iterator
from unittest.mock import patch

sys.path.insert(0, "/usr/lib/qvd-usbip/python")

from qvd_usbip.uevent import Uevent
from server_agent import cli, daemon, main
from server_agent.kernel.udev import Monitor


class Deaf(Monitor):
    """Hears nothing."""

    def start(self) -> int:
        """A descriptor that never becomes readable."""
        return os.pipe()[0]

    def read(self) -> Iterator[Uevent]:
        """Nothing has arrived."""
        return iter(())


with patch.object(main, "Monitor", Deaf), patch.object(daemon, "LOOK_SECONDS", 1.0):
    sys.exit(cli.main(["run"]))
