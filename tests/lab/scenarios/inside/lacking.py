"""EFFECT: lacking.py VID PID SERIAL: the installed agent, with all that it keeps, and then without each capability.

Orders are given until one comes to nothing: to start; to reserve what a container in a user namespace needs; to give it
the device, with a node for it; to clear away what its root made of its cgroups. Prints a line of JSON for each agent:
what it lacks, the order, and what was said about it: by its answer, or in its log.
"""

import json
import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Callable
from multiprocessing.context import ForkProcess
from pathlib import Path
from unittest.mock import patch

import prctl

sys.path.insert(0, "/usr/lib/qvd-usbip/python")

from qvd_usbip.errors import QvdUsbError
from server_agent import asking, cli, main, privileges
from server_agent.commands.run import run

NAME, UID = "needy", 100_000
LOG, NODES, CGROUP = Path("/run/lacking.log"), Path(f"/run/qvd-usbip/nodes/{NAME}"), Path(f"/sys/fs/cgroup/qvd/{NAME}")
AT_START = "CAP_SETPCAP"  # given up with the rest
SECONDS, WORDS = 30.0, 600
WARM = (main, run)  # read before the agents are forked


def agent(lacks: str) -> None:
    """Be the agent, in a process that systemd gave all capabilities of its unit but one."""
    log = os.open(LOG, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for descriptor in (1, 2):
        os.dup2(log, descriptor)
    needed = tuple(name for name in privileges.NEEDED if name != lacks)
    had = [getattr(prctl, name) for name in (*needed, AT_START) if name != lacks]
    prctl.cap_effective.limit(*had)
    prctl.cap_permitted.limit(*had)
    with patch.object(privileges, "NEEDED", needed):
        sys.exit(cli.main(["run"]))


def within(seconds: float, holds: Callable[[], bool]) -> bool:
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def said(words: str) -> str:
    """The last line of the log with these words."""
    return [line for line in LOG.read_text().splitlines() if words in line][-1]


def answers() -> bool:
    try:
        asking.ask({"op": "status"})
    except QvdUsbError:
        return False
    return True


def start(process: ForkProcess) -> str:
    """Until it answers."""
    assert within(SECONDS, lambda: not process.is_alive() or answers())
    return "" if process.is_alive() else LOG.read_text()[-WORDS:]


def reserve(_: ForkProcess) -> str:
    """A hub, rights, a folder for nodes, and a broker for a group of the container."""
    asking.ask({"op": "reserve", "container": NAME, "broker_gid": UID + 1000, "root_uid": UID})
    return ""


def lend(_: ForkProcess) -> str:
    """A device: there is a node of it."""
    done = subprocess.run(
        [sys.executable, "/usr/local/bin/hand_over.py", NAME, *sys.argv[1:]],
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        return done.stderr
    return "" if within(2, lambda: any(map(Path.is_char_device, NODES.rglob("*")))) else said("NodeNotMade")


def release(_: ForkProcess) -> str:
    """Its cgroups go, one in one of its root's own too."""
    (CGROUP / "payload/inner").mkdir(parents=True)
    for folder in (CGROUP / "payload", CGROUP / "payload/inner"):
        os.chown(folder, UID, UID)
    asking.ask({"op": "release", "container": NAME})
    return said("rights not removed") if CGROUP.exists() else ""


def at_home() -> bool:
    """Whether every device that can be lent is here."""
    return all(file.read_text() == "1\n" for file in Path("/sys/bus/usb/drivers/usbip-host").glob("*/usbip_status"))


def clear() -> None:
    """Nothing of the container is left for the next agent."""
    if answers():
        asking.ask({"op": "release", "container": NAME})
    for folder in (CGROUP / "payload/inner", CGROUP / "payload", CGROUP):
        if folder.exists():
            folder.rmdir()
    assert within(SECONDS, at_home)


def tried(lacks: str) -> tuple[str, str]:
    """The order that came to nothing, and what was said of it."""
    process = multiprocessing.get_context("fork").Process(target=agent, args=(lacks,))
    process.start()
    try:
        for order in (start, reserve, lend, release):
            try:
                words = order(process)
            except QvdUsbError as error:
                words = f"{error.problem.code}: {error}"
            if words:
                return order.__name__, words
        return "", ""
    finally:
        clear()
        process.terminate()
        process.join()


for each in ("", *privileges.NEEDED, AT_START):
    print(json.dumps([each, *tried(each)]), flush=True)
