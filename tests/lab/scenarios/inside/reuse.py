"""EFFECT: reuse.py CYCLES [--seed N] [--gate-off]: devices for two containers in turn, each with numbers just used.

Runs on the host. Each device is a serial adapter and a stick in one (tests/kit/usbip_device). The next one is attached,
and held back in the middle of its enumeration, while the one before is still in use in the other container; then that
one ends, its numbers are free, and the next one goes on and gets them. In every second cycle the agent is stopped
meanwhile, as it would be on a machine that is busy: it has not yet taken the rights of the old device when the numbers
are there again. All that time root of both containers tries the numbers (spin.py).

With --gate-off each device is authorised here as it comes, as the kernel would if there were no gate.
Prints one JSON object; progress goes to /run/reuse.progress. Exits 1 after an open by the wrong container.
"""

import argparse
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, "/usr/local/lib/kit")

from tests.kit.usbip_device.loan import Loan, agent, until

TENANTS = ("one", "two")
NUMBERS = ("c:166:0", "c:166:1", "b:8:0", "b:8:16")
SPIN = "/usr/local/bin/spin.py"
PROGRESS = Path("/run/reuse.progress")
SEEN = 0.05  # seconds a device is in use at least
UNGUARDED = 0.3  # how long the agent is still stopped, without a gate, once drivers have the device


class Spinner:
    """Root of a container, trying."""

    def __init__(self, tenant: str) -> None:
        self.tenant = tenant
        words = ["lxc-attach", "-n", tenant, "--clear-env", "--", "/usr/bin/python3", "-I", SPIN, *NUMBERS]
        self._program = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._program.stdout is not None
        self._program.stdout.readline()  # it has begun

    def end(self) -> dict[str, Any]:
        """What came of it."""
        said: dict[str, Any] = json.loads(self._program.communicate("")[0])
        return said


def cycles(count: int, *, seed: int, gate_off: bool, result: dict[str, Any]) -> None:
    """Go through all cycles; what was counted is in `result`."""
    chance, pid = random.Random(seed), agent()

    def start(number: int) -> Loan:
        return Loan(TENANTS[number % 2], f"reuse-{number}", contextlib.ExitStack())

    current, following = start(0), start(1)
    current.go_on()
    numbers = current.in_use()
    began = time.monotonic()
    for cycle in range(1, count + 1):
        following.held()
        time.sleep(SEEN)
        stopped = gate_off or cycle % 2 == 0
        if stopped:
            os.kill(pid, signal.SIGSTOP)
        try:
            current.end("unplugged" if stopped or chance.random() < 0.5 else "given back")
            following.go_on()
            if stopped:
                folder = following.enumerated()
                if gate_off:
                    (folder / "authorized").write_text("1")
                    until(following.numbers, f"{following.serial} has its nodes, without a gate")
                time.sleep(UNGUARDED if gate_off else SEEN)
        finally:
            os.kill(pid, signal.SIGCONT)
        current.forget()
        later = start(cycle + 1)
        got = following.in_use()
        result["reused"] += sum(number in numbers for number in got)
        result["stopped"] += stopped
        result["cycles"], result["seconds"] = cycle, round(time.monotonic() - began, 1)
        current, following, numbers = following, later, got
        if cycle % 10 == 0:
            PROGRESS.write_text(json.dumps(result))
    for loan in (current, following):
        loan.go_on()
        loan.connection.close()
        loan.forget()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cycles", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--gate-off", action="store_true")
    options = parser.parse_args()
    result: dict[str, Any] = {"cycles": 0, "reused": 0, "stopped": 0, "seconds": 0}
    trying = [Spinner(tenant) for tenant in TENANTS]
    try:
        cycles(options.cycles, seed=options.seed, gate_off=options.gate_off, result=result)
    finally:
        said = {each.tenant: each.end() for each in trying}
    result["tried"] = sum(each["refused"] + each["absent"] + sum(each["opened"].values()) for each in said.values())
    result["own"] = sum(sum(each["opened"].values()) for each in said.values())
    result["unsure"] = sum(each["unsure"] for each in said.values())
    result["wrong"] = [{"by": tenant, **row} for tenant, each in said.items() for row in each["wrong"]]
    print(json.dumps(result))
    return 1 if result["wrong"] else 0


sys.exit(main())
