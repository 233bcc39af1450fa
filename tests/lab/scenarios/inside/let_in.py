"""EFFECT: let_in.py [--kill]: an open is let in, waits, and its number goes to a device of another container.

Runs on the host. Root of `one` opens the number of a device that has just gone, before the agent took the right: the
kernel lets it in, finds no device and asks modprobe, which takes its time here. Meanwhile the agent goes on, and the
device of container `two`, which was waiting in the middle of its enumeration, may have the number. When modprobe ends
the kernel looks for the device once more. With --kill the agent is killed while it has container `one` frozen, waiting
for that open, so that another agent lets the device of `two` through. Prints a JSON object: what came of the open, and
the number, if `two` has got it.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, "/usr/local/lib/kit")

from tests.kit.usbip_device.loan import Loan, agent, until

ASKED = Path("/run/modprobe-asked")
SWITCH, SLOW = Path("/proc/sys/kernel/modprobe"), Path("/run/slow-modprobe")
SECONDS = 4  # much longer than a device needs from its enumeration to its drivers
PROGRAM = f"""#!/bin/sh
case "$*" in *char-major-166*) touch {ASKED}; sleep {SECONDS};; esac
exec /sbin/modprobe "$@"
"""
OPENER = """
import errno, os, sys
node, number = "/root/let-in", sys.argv[1]
os.mknod(node, 0o020600, os.makedev(*map(int, number.split(":"))))
print("ready", flush=True)
sys.stdin.readline()
try:
    os.open(node, os.O_RDWR | os.O_NONBLOCK | os.O_NOCTTY)
except OSError as error:
    print(errno.errorcode[error.errno], flush=True)
else:
    print(os.readlink(f"/sys/dev/char/{number}"), flush=True)
"""


def agent_is_ready() -> bool:
    return not subprocess.run(["systemctl", "is-active", "--quiet", "qvd-usb-agent"], check=False).returncode


def kill_while_frozen(pid: int) -> None:
    """The container stands still, and who would let it go on is no more."""
    (switch,) = Path("/sys/fs/cgroup").glob("qvd/one/cgroup.freeze")

    def stopped_in_time() -> bool:
        if switch.read_text().strip() != "1":
            return False
        os.kill(pid, signal.SIGSTOP)
        frozen = switch.read_text().strip() == "1"
        os.kill(pid, signal.SIGKILL if frozen else signal.SIGCONT)
        return frozen

    until(stopped_in_time, "the agent freezes container one")
    until(lambda: not agent_is_ready(), "the agent is gone")
    assert switch.read_text().strip() == "1"
    until(lambda: switch.read_text().strip() == "0", "container one goes on")


def main(*, kill: bool) -> dict[str, Any]:
    SLOW.write_text(PROGRAM)
    SLOW.chmod(0o755)
    usual = SWITCH.read_text()
    with contextlib.ExitStack() as stack:
        stack.callback(SWITCH.write_text, usual)
        first = Loan("one", "first", stack)
        first.go_on()
        first.in_use()
        (terminal,) = first.terminals()
        words = ["lxc-attach", "-n", "one", "--clear-env", "--", "/usr/bin/python3", "-I", "-c", OPENER, terminal[2:]]
        opener = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert opener.stdin is not None
        assert opener.stdout is not None
        opener.stdout.readline()  # it is ready: the agent stands still as shortly as can be
        SWITCH.write_text(str(SLOW))
        second = Loan("two", "second", stack)
        second.held()
        pid = agent()
        os.kill(pid, signal.SIGSTOP)
        try:
            first.end("unplugged")
            opener.stdin.write("\n")
            opener.stdin.flush()
            until(ASKED.exists, "the open waits for modprobe")
        finally:
            os.kill(pid, signal.SIGCONT)
        second.go_on()
        if kill:
            kill_while_frozen(pid)
            until(agent_is_ready, "another agent is ready")
        numbers = second.in_use()
        return {"open": opener.stdout.readline().strip(), "number": terminal if terminal in numbers else ""}


print(json.dumps(main(kill="--kill" in sys.argv[1:])))
