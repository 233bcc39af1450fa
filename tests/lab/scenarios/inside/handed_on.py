"""EFFECT: handed_on.py: a number of one container goes to a device of another one before the agent can take the right.

Runs on the host. Drivers are let at a device of container `two` and wait for its answer; then the agent is stopped, the
device of container `one` is pulled out, and the waiting one goes on and gets its number. Root of `one` opens it. Only
then the agent goes on. Prints a JSON object: what root of `one` could do, and what became of the device.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
from typing import Any

sys.path.insert(0, "/usr/local/lib/kit")

from tests.kit.usbip_device.loan import PATIENCE, Loan, agent, configures, until

TERMINAL = "c:166:0"
#: Opens the number by a node of its own, says so, and tells whether there is still a device behind it in the end.
OPENER = """
import os, select, sys
node = "/root/handed-on"
if not os.path.exists(node):
    os.mknod(node, 0o020600, os.makedev(166, 0))
fd = os.open(node, os.O_RDWR | os.O_NONBLOCK | os.O_NOCTTY)
print("opened", flush=True)
poll = select.poll()
poll.register(fd, 0)
print("dead" if poll.poll(30_000) else "alive", flush=True)
"""


def has_terminal(loan: Loan) -> bool:
    """Whether a driver gave it the number."""
    loan.enumerated()
    return TERMINAL in loan.terminals()


def main() -> dict[str, Any]:
    with contextlib.ExitStack() as stack:
        first = Loan("one", "first", stack)
        first.go_on()
        assert TERMINAL in first.in_use()
        second = Loan("two", "second", stack, held=configures)
        second.held()
        pid = agent()
        os.kill(pid, signal.SIGSTOP)
        try:
            first.end("unplugged")
            second.go_on()
            until(lambda: has_terminal(second), "the second device has the number of the first one")
            words = ["lxc-attach", "-n", "one", "--clear-env", "--", "/usr/bin/python3", "-I", "-c", OPENER]
            opener = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
            assert opener.stdout is not None
            opened = opener.stdout.readline().strip()
        finally:
            os.kill(pid, signal.SIGCONT)
        became = second.broker.until(second.attach_id, "ready", patience=PATIENCE)
        return {"opened": opened, "became": became, "afterwards": opener.stdout.readline().strip()}


print(json.dumps(main()))
