"""A helper that follows a script: the real messages over the real socket pair, misbehaving where it is told to.

It is started by the engine as the real one is (`PROGRAM lend`, the socket pair as descriptor 0). What it shall do
stands in the file `manner` beside it, what it did in the file `diary`.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import time
from pathlib import Path

PROGRAM = r"""#!{python} -IS
import json, os, select, signal, socket, sys, time

here = os.path.dirname(os.path.abspath(sys.argv[0]))
connection = None
with open(os.path.join(here, "pids"), "a") as pids:
    pids.write(str(os.getpid()) + "\n")


def manner():
    with open(os.path.join(here, "manner")) as file:
        return file.read().split()


def note(word):
    with open(os.path.join(here, "diary"), "a") as file:
        file.write(word + "\n")


def say(**message):
    try:
        engine.send(json.dumps({{"v": 1, **message}}).encode())
    except OSError:
        note("left alone")
        sys.exit(0)


if sys.argv[1:] == ["recover"]:
    note("recovers")
    sys.exit(0)
engine = socket.socket(fileno=0)


def misbehave(step):
    if "hang-" + step in manner():
        note("hangs")
        time.sleep(60)
    if "deaf-" + step in manner():
        signal.pause()
    if "die-" + step in manner():
        sys.exit(3)
    if "crash-" + step in manner():
        os.kill(os.getpid(), signal.SIGKILL)
    if "status-" + step in manner():
        print("error: the disk is mounted", file=sys.stderr)
        sys.exit(34)
    if "garbage-" + step in manner():
        engine.send(b"\xff{{")
        time.sleep(0.5)
    if "refuse-" + step in manner():
        say(state="refused", problem="storage-in-use", text="1-4 is mounted")
        note("refused")
        sys.exit(34)


def go_home(word):
    if "keep" in manner():
        note("keeps")
        time.sleep(60)
    note("returned")
    note(word)
    say(state="returned")
    sys.exit(0)


request = json.loads(engine.recv(2048))
note("asked " + request["busid"] + " " + json.dumps(request["expect"], sort_keys=True))
note("consent " + json.dumps(request["consent"]))
misbehave("bind")
wanting = [word.partition("-")[2] for word in manner() if word.startswith("locked")]
if set(wanting) - set(request["consent"]):
    why = ", ".join(wanting) + " needs the user's consent"
    say(state="refused", problem="device-locked", text="1-4 is locked: " + why + ".")
    note("refused")
    sys.exit(36)
note("bound")
say(state="bound", devid=65541, speed=3)
while True:
    waiting = [engine] + ([connection] if connection else [])
    ready = select.select(waiting, [], [])[0]
    if connection in ready:
        if not connection.recv(1, socket.MSG_PEEK):
            note("dropped")
            connection = None
            say(state="dropped")
            continue
        time.sleep(0.01)
    if engine not in ready:
        continue
    try:
        data, descriptors, _, _ = socket.recv_fds(engine, 2048, 1)
    except ConnectionError:  # it went without reading what was said last
        data = b""
    if not data:
        go_home("left alone")
    order = json.loads(data)
    if order["op"] == "return":
        misbehave("return")
        go_home("asked to return")
    misbehave("export")
    connection = socket.socket(fileno=descriptors[0])
    connection.send(b"65541 3\n")
    note("exported")
    say(state="exported")
"""


class FakeHelper:
    """The script, its manner, and its diary."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / "helper"
        self._folder = folder
        self._told: set[str] = set()
        self.path.write_text(PROGRAM.format(python=sys.executable))
        self.path.chmod(0o755)
        self.behave()

    def behave(self, *manner: str) -> None:
        """From now on `locked-KIND` (what it finds the device to be), `hang-STEP`, `die-…`, `crash-…`, `garbage-…`,
        `refuse-…`, `status-…` (bind, export, return) or `keep`."""
        self._told.update(manner)
        (self._folder / "manner").write_text(" ".join(manner))

    def end_hung(self) -> None:
        """Kills every run of it, where it was told to hang: nothing else ends those."""
        pids = self._folder / "pids"
        if not pids.exists() or not any(word.startswith(("hang", "keep")) for word in self._told):
            return
        for pid in pids.read_text().split():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)

    def diary(self) -> list[str]:
        """What it noted, all runs one after the other."""
        diary = self._folder / "diary"
        return diary.read_text().splitlines() if diary.exists() else []

    def consents(self) -> list[list[str]]:
        """What it was told in each run that its user agreed to."""
        return [json.loads(line.removeprefix("consent ")) for line in self.diary() if line.startswith("consent ")]

    def wait_for(self, word: str, times: int = 1, seconds: float = 30.0) -> None:
        """Waits until it noted the word so often."""
        deadline = time.monotonic() + seconds
        while self.diary().count(word) < times:
            assert time.monotonic() < deadline, f"the helper never noted {word!r}: {self.diary()}"
            time.sleep(0.005)
