"""EFFECT: the installed agent, killed right after one of its effects on the kernel or its disk.

/run/die-at: "KIND N": the N-th effect of that kind from now on is its last. KIND: attach, detach, authorized (a file of
sysfs that it writes), update, delete (an entry of a device map), written (a new ledger, under another name), ledger (it
is in the place of the old one).
/run/effects: every effect, a kind a line. /run/dead: it was killed; the next one does nothing before that is gone.
"""

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

sys.path.insert(0, "/usr/lib/qvd-usbip/python")

from qvd_usbip.system import files
from server_agent import cli, ledger
from server_agent.kernel import bpf, gate, vhci

ORDER, EFFECTS, DEAD = Path("/run/die-at"), Path("/run/effects"), Path("/run/dead")
NEW_FILES = {"ledger": "written"}
OF_MAPS = {bpf.MAP_UPDATE: "update", bpf.MAP_DELETE: "delete"}


def happened(kind: str) -> None:
    """Note an effect, and die of it if that is the order."""
    with EFFECTS.open("a") as file:
        file.write(f"{kind}\n")
    if not ORDER.exists():
        return
    wanted, left = ORDER.read_text().split()
    if kind != wanted:
        return
    if left == "1":
        ORDER.unlink()
        DEAD.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    ORDER.write_text(f"{wanted} {int(left) - 1}")


def noted(call: Callable[..., Any], kind_of: Callable[..., str | None]) -> Callable[..., Any]:
    """The same call; what it did is noted once it has done it."""

    def calling(*arguments: Any) -> Any:
        result = call(*arguments)
        kind = kind_of(*arguments)
        if kind is not None:
            happened(kind)
        return result

    return calling


while DEAD.exists():
    time.sleep(0.05)
with (
    patch.object(gate, "_write", noted(gate._write, lambda path, _: path.name)),
    patch.object(vhci, "_write", noted(vhci._write, lambda path, _: path.name)),
    patch.object(bpf, "_kernel", noted(bpf._kernel, lambda command, *_: OF_MAPS.get(command))),
    patch.object(files, "_write_new", noted(files._write_new, lambda name, *_: NEW_FILES.get(name.split(".")[1]))),
    patch.object(ledger, "save_atomic", noted(files.save_atomic, lambda *_: "ledger")),
):
    sys.exit(cli.main(["run"]))
