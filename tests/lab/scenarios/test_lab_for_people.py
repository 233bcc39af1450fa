"""The lab from the command line, as people keep it open, beside the one that the tests run in."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab import Lab

pytestmark = pytest.mark.deep

_ROOT = Path(__file__).resolve().parents[3]


class Command:
    """`python3 -m tests.lab --name NAME`."""

    def __init__(self, name: str) -> None:
        self._words = [sys.executable, "-m", "tests.lab", "--name", name]

    def __call__(self, *words: str) -> subprocess.CompletedProcess[str]:
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:  # what `up` leaves keeps a pipe
            done = subprocess.run([*self._words, *words], cwd=_ROOT, stdout=out, stderr=err, check=False)
            said = [(file.seek(0), file.read())[1] for file in (out, err)]
        return subprocess.CompletedProcess(done.args, done.returncode, *said)


@pytest.fixture
def command() -> Iterator[Command]:
    command = Command(f"test{os.getpid()}")
    yield command
    command("down")


def processes_of(folder: str) -> list[int]:
    """Every process that has this folder in its command line."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes()
        except OSError:  # it ended
            continue
        if os.fsencode(folder) in words:
            found.append(int(path.parent.name))
    return found


def until_gone(folder: str) -> None:
    end = time.monotonic() + 30
    while left := processes_of(folder):
        assert time.monotonic() < end, f"processes are left: {left}"
        time.sleep(0.1)


def test_kept_beside_another_one_it_does_what_it_is_told_until_it_is_ended(lab: Lab, command: Command) -> None:
    nothing = command("run", "server", "true")
    assert (nothing.returncode, nothing.stdout) == (1, "")
    assert "the lab is not up" in nothing.stderr
    assert "tests.lab up" in nothing.stderr
    assert command("status").returncode == 1

    up = command("up", "--level", "base")
    assert up.returncode == 0, up.stderr
    status = json.loads(command("status").stdout)
    assert (status["suite"], status["level"]) == ("trixie", "base")
    again = command("up", "--level", "base")
    assert again.returncode == 1
    assert "is up already" in again.stderr

    assert command("run", "client", "echo kept >/root/mark; hostname").stdout == "client\n"
    assert command("run", "client", "cat", "/root/mark").stdout == "kept\n"
    assert command("run", "server", "exit 7").returncode == 7
    assert not lab.client.run("test -e /root/mark", check=False), "that is another lab"

    assert command("down").returncode == 0
    until_gone(status["folder"])
    assert command("status").returncode == 1


def test_killed_it_leaves_no_process_and_can_be_started_anew(command: Command) -> None:
    assert command("up", "--level", "base").returncode == 0
    status = json.loads(command("status").stdout)
    assert len(processes_of(status["folder"])) >= 2
    os.kill(status["pid"], signal.SIGKILL)
    until_gone(status["folder"])
    assert command("status").returncode == 1
    assert command("up", "--level", "base").returncode == 0
    assert command("run", "server", "hostname").stdout == "server\n"
