"""EFFECT: a lab that people keep open between commands: `up`, `run`, `shell`, `status`, `down`.

`up` leaves one process, the keeper, which owns both guests; they end with it. It leaves by itself when the lab was not
used for two hours. Each kept lab has a name, so that one person's is not another's to use or to end.
"""

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tests.lab import cache
from tests.lab.errors import LabError
from tests.lab.lab import Lab
from tests.lab.progress import say

_IDLE_SECONDS = 2 * 3600
_NOT_UP = LabError("the lab is not up", "`python3 -m tests.lab up` starts it")


def _taken(name: str) -> LabError:
    return LabError(
        f"a lab named {name} is up already",
        "use it if it is yours; else `python3 -m tests.lab --name ANOTHER up` makes one of your own",
    )


def _card(name: str) -> Path:
    """Where the keeper says what it keeps; locked for as long as it lives."""
    return cache.cache_root() / f"up-{name}.json"


def _wait_for_the_end(card: Path) -> None:
    while time.time() - card.stat().st_mtime < _IDLE_SECONDS:
        time.sleep(5)
    say("not used for two hours: going down")


def keep(name: str, suite: str, level: str, ready: int) -> None:
    """Opens a lab and keeps it until SIGTERM; writes a line into the descriptor `ready` when it is up."""
    card = _card(name)
    with card.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise _taken(name) from None
        with Lab.open(suite=suite, level=level, name=f"up-{name}") as lab:
            facts = {
                "name": name,
                "pid": os.getpid(),
                "suite": suite,
                "level": level,
                "folder": str(lab.pair.folders.short),
            }
            file.truncate(0)
            file.write(json.dumps(facts))
            file.flush()
            os.write(ready, b"up\n")
            os.close(ready)
            _wait_for_the_end(card)


def up(name: str, suite: str, level: str) -> None:
    """Starts the keeper and returns when its lab is up."""
    if status(name):
        raise _taken(name)
    cache.cache_root().mkdir(parents=True, exist_ok=True)
    reading, writing = os.pipe()
    command = [
        sys.executable,
        "-m",
        "tests.lab",
        "--name",
        name,
        "keep",
        "--suite",
        suite,
        "--level",
        level,
        "--ready",
        str(writing),
    ]
    keeper = subprocess.Popen(command, stdin=subprocess.DEVNULL, pass_fds=[writing], start_new_session=True)
    os.close(writing)
    try:
        word = os.read(reading, 16)
    except BaseException:
        keeper.terminate()
        keeper.wait()
        raise
    os.close(reading)
    if word != b"up\n":
        raise LabError(f"the lab did not come up (status {keeper.wait()}, see above)")


def status(name: str) -> dict[str, Any] | None:
    """What is up: pid, suite, level and folder of sockets; None when nothing is."""
    card = _card(name)
    with contextlib.suppress(FileNotFoundError), card.open("r+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            text = card.read_text(encoding="utf-8")
            return dict(json.loads(text)) if text else {"pid": 0, "folder": ""}
    return None


def in_use(name: str) -> Path:
    """The folder of the lab that is up; counts as a use of it."""
    facts = status(name)
    if not facts or not facts["folder"]:
        raise _NOT_UP
    os.utime(_card(name))
    return Path(facts["folder"])


def down(name: str, limit: float = 30.0) -> None:
    """Ends the keeper and its lab."""
    facts = status(name)
    if not facts or not facts["pid"]:
        raise _NOT_UP
    os.kill(facts["pid"], signal.SIGTERM)
    deadline = time.monotonic() + limit
    while status(name):
        if time.monotonic() > deadline:
            raise LabError(f"the keeper {facts['pid']} is still there after {limit:.0f} s", f"`kill -9 {facts['pid']}`")
        time.sleep(0.1)
