"""EFFECT: storm.py SERIAL EVENTS [--pace N] [--pull]: the kernel's events by the thousand, to the agent's own socket.

The terminal of a device is gone, is there again, and so on: as fast as the kernel takes it, or N events a second. With
--pull the terminal's driver lets go of it for good in the middle, of which one event among all of them tells; what is
said afterwards ends with its being gone, too.
Prints {"sent", "there", "seconds", "behind", "most", "dropped"}: events, how many of them say that it is there, how
long that took, how long the agent still had to read then, at most how many bytes waited for it, and how many events the
kernel had no room for.
"""

import argparse
import json
import sys
import time
from pathlib import Path

sys.path.insert(0, "/usr/local/lib/kit")

from tests.kit.kernel_word import NETLINK_KOBJECT_UEVENT, Channel, of_terminal, terminal_of
from tests.kit.usbip_device.loan import agent

TOGETHER = 20  # events between two looks at the clock
OFTEN = 50 * TOGETHER  # between two looks at the socket
PATIENCE = 600.0


class Ear:
    """The socket by which a process hears the kernel's events, as /proc/net/netlink has it.

    Source: netlink_native_seq_show, net/netlink/af_netlink.c.
    """

    def __init__(self, pid: int) -> None:
        sockets = {entry.readlink().name for entry in Path(f"/proc/{pid}/fd").iterdir() if entry.is_socket()}
        (self._inode,) = (row[9] for row in self._rows() if f"socket:[{row[9]}]" in sockets)

    def waiting(self) -> int:
        """Bytes that were not read yet."""
        return int(self._row()[4])

    def dropped(self) -> int:
        """Events for which there was no room."""
        return int(self._row()[8])

    def _row(self) -> list[str]:
        (row,) = (row for row in self._rows() if row[9] == self._inode)
        return row

    @staticmethod
    def _rows() -> list[list[str]]:
        rows = [line.split() for line in Path("/proc/net/netlink").read_text().splitlines()[1:]]
        return [row for row in rows if row[1] == str(NETLINK_KOBJECT_UEVENT)]


def pull(terminal: Path) -> None:
    """Its driver lets go of the device, and of the terminal with it."""
    interface = terminal.parents[1]
    (interface / "driver/unbind").write_text(interface.name)


def blow(ear: Ear, terminal: Path, events: int, pace: int, pulled_at: int) -> dict[str, float]:
    """Say it so often; see the module."""
    most, count, began = 0, 0, time.monotonic()
    first, then = of_terminal("remove", terminal), of_terminal("add", terminal)
    with Channel() as kernel:
        for number in range(0, events, TOGETHER):
            if number == pulled_at:
                pull(terminal)
                first, then = then, first
            for _ in range(TOGETHER // 2):
                kernel.send(first)
                kernel.send(then)
            count += TOGETHER // 2
            if number % OFTEN == 0:
                most = max(most, ear.waiting())
            if pace:
                time.sleep(max(0.0, began + (number + TOGETHER) / pace - time.monotonic()))
    return {"sent": 2 * count, "there": count, "most": max(most, ear.waiting()), "seconds": time.monotonic() - began}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("serial")
    parser.add_argument("events", type=int)
    parser.add_argument("--pace", type=int, default=0)
    parser.add_argument("--pull", action="store_true")
    given = parser.parse_args()
    ear = Ear(agent())
    before = ear.dropped()
    middle = given.events // 2 // TOGETHER * TOGETHER
    done = blow(ear, terminal_of(given.serial), given.events, given.pace, middle if given.pull else given.events)
    sent = time.monotonic()
    while ear.waiting():
        if time.monotonic() > sent + PATIENCE:
            raise SystemExit(f"{ear.waiting()} bytes still wait after {PATIENCE:.0f} s")
        time.sleep(0.02)
    print(json.dumps({**done, "behind": time.monotonic() - sent, "dropped": ear.dropped() - before}))


main()
