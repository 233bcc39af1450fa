"""EFFECT: spin.py NUMBER…: root of a container tries device nodes of its own making, as fast as it can.

NUMBER is c:166:0 or b:8:0. Ends when standard input does; prints one JSON object: how often it tried, what it opened of
its own hub, and every open of another hub's device. Whose device it was, the kernel's own link in /sys/dev tells.
"""

import errno
import json
import os
import re
import select
import stat
import sys
import time
from pathlib import Path

ROUNDS = 50  # between two looks at standard input
QUICK = 0.04  # seconds; less than a device is there for, so that in that time none can have come and gone
NOT_THERE = frozenset({errno.ENXIO, errno.ENODEV, errno.EIO, errno.ENOMEDIUM, errno.EAGAIN, errno.EBUSY})


def hub_of(kind: str, number: str) -> int | None:
    """The hub below which the device with this number is at this moment."""
    try:
        found = str(Path(f"/sys/dev/{'block' if kind == 'b' else 'char'}/{number}").readlink())
    except OSError:
        return None
    hub = re.search(r"/vhci_hcd\.(\d+)/", found)
    return int(hub[1]) if hub else None


class Node:
    """One number, and what came of trying it."""

    def __init__(self, word: str, own: int) -> None:
        self.kind, self.number = word.split(":", 1)
        self.own, self.skip = own, False
        self.hub: int | None = None
        self.refused = self.absent = self.opened = self.unsure = 0
        self.wrong: list[dict[str, object]] = []
        self.path = Path(f"/root/spin-{word.replace(':', '-')}")
        if not self.path.exists():
            major, minor = map(int, self.number.split(":"))
            mode = 0o600 | (stat.S_IFBLK if self.kind == "b" else stat.S_IFCHR)
            os.mknod(self.path, mode, os.makedev(major, minor))

    def attempt(self) -> None:
        """Try to open it; a device of one's own that was opened is left alone until it is gone."""
        began, before = time.monotonic(), hub_of(self.kind, self.number)
        if before != self.hub:
            self.hub, self.skip = before, False
        if self.skip:
            return
        access = os.O_RDONLY if self.kind == "b" else os.O_RDWR
        try:
            fd = os.open(self.path, access | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        except PermissionError:
            self.refused += 1
            return
        except OSError as error:
            if error.errno not in NOT_THERE:
                raise
            self.absent += 1
            return
        after, took = hub_of(self.kind, self.number), time.monotonic() - began
        os.close(fd)  # until now nobody else could get the number
        hub = after if after is not None or took > QUICK else before
        if hub == self.own:
            self.opened += 1
            self.skip = True
        elif hub is None:  # whatever it was is gone
            self.unsure += 1
        else:
            at = {"at": began, "took": took, "before": before, "after": after}
            self.wrong.append({"node": f"{self.kind}:{self.number}", **at})


def own_hub() -> int:
    """The one hub that this container can see."""
    (found,) = Path("/sys/devices/platform").glob("vhci_hcd.*")
    return int(found.name.partition(".")[2])


def main(words: list[str]) -> None:
    os.nice(10)
    own = own_hub()
    nodes = [Node(word, own) for word in words]
    print(json.dumps({"hub": own}), flush=True)
    while not select.select([sys.stdin], [], [], 0)[0]:
        for _ in range(ROUNDS):
            for node in nodes:
                node.attempt()
    print(
        json.dumps(
            {
                "hub": own,
                "refused": sum(node.refused for node in nodes),
                "absent": sum(node.absent for node in nodes),
                "unsure": sum(node.unsure for node in nodes),
                "opened": {f"{node.kind}:{node.number}": node.opened for node in nodes},
                "wrong": [each for node in nodes for each in node.wrong],
            }
        )
    )


main(sys.argv[1:])
