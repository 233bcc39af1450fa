"""Nothing outlives the one that started it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.lab import processes

REPOSITORY = Path(__file__).resolve().parents[3]

PARENT = """
import sys, time
from tests.lab import processes
child = processes.start(["sleep", "1000"])
print(child.pid, flush=True)
time.sleep(1000)
"""

BEHIND_SUDO = """
import subprocess, sys, time
from tests.lab import processes
with processes.stopped_with_stdin():
    shell = subprocess.Popen(["sh", "-c", "setsid sleep 1000 & echo $!; wait"], stdout=subprocess.PIPE)
    print(shell.stdout.readline().decode().strip(), flush=True)
    sys.exit(AFTER)
"""


def _gone(pid: int, limit: float = 10) -> bool:
    deadline = time.monotonic() + limit
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return True
        if state == "Z":  # dead; whoever adopted it has yet to notice
            return True
        time.sleep(0.02)
    return False


def _start(program: str) -> tuple[subprocess.Popen[bytes], int]:
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=REPOSITORY
    )
    assert process.stdout
    return process, int(process.stdout.readline())


def _finish(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    for stream in (process.stdin, process.stdout):
        if stream:
            stream.close()


def test_a_child_dies_with_its_parent_even_by_kill_9() -> None:
    parent, child = _start(PARENT)
    try:
        assert not _gone(child, 0.1)
        os.kill(parent.pid, signal.SIGKILL)
        assert _gone(child)
    finally:
        _finish(parent)


@pytest.mark.parametrize("after", ["time.sleep(1000)", "shell.wait()"])
def test_what_runs_behind_sudo_ends_with_its_standard_input_with_all_below_it(after: str) -> None:
    """Also where its own work ends first, since what it waited for was killed."""
    process, grandchild = _start(BEHIND_SUDO.replace("AFTER", after))
    try:
        assert not _gone(grandchild, 0.1)
        assert process.stdin
        process.stdin.close()
        assert process.wait(10) == 130
        assert _gone(grandchild), "even one in a session of its own"
    finally:
        _finish(process)


def test_a_process_with_long_turns_does_not_interrupt_others() -> None:
    usual, patient = processes.start(["sleep", "1000"]), processes.start(["sleep", "1000"], long_turns=True)
    try:
        assert os.sched_getscheduler(usual.pid) == os.sched_getscheduler(0)
        assert os.sched_getscheduler(patient.pid) == os.SCHED_BATCH
    finally:
        processes.end(usual)
        processes.end(patient)
