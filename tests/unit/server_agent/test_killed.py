"""Killed at any system call of a grant, a revoke, a ledger write: no wrong right, and the next start makes it exact.

On a simulated host (plain files): the order of the agent's own calls is what counts here. strace kills it at each.
"""

import errno
import os
import re
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from server_agent.ledger import Ledger
from server_agent.state import State
from tests.kit.crowd import one_step
from tests.kit.crowd.host import BOOT, Crowd

pytestmark = pytest.mark.deep

REPOSITORY = Path(__file__).resolve().parents[3]
# What only arranges memory is no effect, and its number differs from run to run.
MEMORY = frozenset({"brk", "mmap", "munmap", "mprotect", "madvise", "mremap"})
CALL = re.compile(r"^(\w+)\(")


def step(name: str, folder: Path, *strace: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-B", "-m", "tests.kit.crowd.one_step", name, str(folder)]
    environment = {**os.environ, "PYTHONHASHSEED": "0", "PYTHONPATH": str(REPOSITORY)}
    return subprocess.run(
        ["strace", "-qq", *strace, *command], check=False, cwd=REPOSITORY, env=environment, capture_output=True,
        text=True, timeout=120,
    )  # fmt: skip


def calls_of(name: str, folder: Path) -> list[tuple[str, int]]:
    """Each call between the two marks: its name, and the how manieth of that name it is."""
    log = folder / "calls"
    done = step(name, folder, "-o", str(log))
    assert done.returncode == 0, done.stderr
    counts: Counter[str] = Counter()
    found = []
    for line in log.read_text(errors="replace").splitlines():
        call = CALL.match(line)
        if call is not None:
            counts[call[1]] += 1
            if counts["getppid"] == 1 and call[1] not in MEMORY and call[1] != "getppid":
                found.append((call[1], counts[call[1]]))
    assert counts["getppid"] == 2
    return found


@contextmanager
def kernel(crowd: Crowd) -> Iterator[None]:
    """What the kernel does while a step waits for it: the port written to `detach` becomes free, its device goes."""
    stop = threading.Event()
    turn = one_step.turn(crowd.folder)
    os.mkfifo(turn)

    def watch() -> None:
        while not stop.wait(0.001):
            try:
                waiting = os.open(turn, os.O_WRONLY | os.O_NONBLOCK)
            except OSError as error:
                if error.errno != errno.ENXIO:
                    raise
                continue  # nobody waits
            detach(crowd)
            os.close(waiting)

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        yield
    finally:
        stop.set()
        watching.join()
        turn.unlink()
        detach(crowd)


def detach(crowd: Crowd) -> None:
    asked = crowd.sysfs.hub(0) / "detach"
    if not asked.read_text():
        return
    asked.write_text("")
    link = place(crowd)
    if link.exists():
        device = link.resolve()
        link.unlink()
        device.rename(crowd.folder / "gone")
    crowd.sysfs.set_status(1, {})


def host(folder: Path, name: str) -> Crowd:
    """Before the step: a device that waits to be judged, or one that is in use."""
    folder.mkdir()
    crowd = Crowd(folder=folder, containers=1, devices=1)
    crowd.plug(authorised=name == "revoke")
    crowd.write_ledger()
    if name == "revoke":
        crowd.give_all()
    crowd.events.close()
    return crowd


def place(crowd: Crowd) -> Path:
    return crowd.sysfs.root / "bus/usb/devices" / str(crowd.busid(1, 0))


def authorised(crowd: Crowd) -> bool:
    return place(crowd).exists() and (place(crowd) / "authorized").read_text().strip() == "1"


def check_at_once(crowd: Crowd, name: str) -> None:
    """Whatever instant it died: drivers have the device only where its right stands, or is being taken back."""
    held = crowd.rights.held(crowd.name(1)) or frozenset()
    assert held <= crowd.expected(1)
    if name == "look" and authorised(crowd):
        assert crowd.usb(1, 0) in held
    record = crowd.ledger().path.read_text()
    assert Ledger(path=crowd.ledger().path, boot_id=BOOT).load(1.0).containers, record


def check_exact(crowd: Crowd) -> State:
    """After the next start: exactly the rights of what is there, and a second look changes nothing."""
    with kernel(crowd), one_step.taking_turns(crowd.folder):
        state = one_step.look(crowd)
    numbers = {crowd.usb(1, 0), crowd.tty(1, 0)} if (place(crowd) / "1.0").exists() else {crowd.usb(1, 0)}
    assert crowd.rights.held(crowd.name(1)) == frozenset(numbers if place(crowd).exists() else ())
    assert authorised(crowd) == place(crowd).exists()
    written = crowd.rights.written
    assert not state.revoking
    again = one_step.look(Crowd.existing(crowd.folder, containers=1, devices=1))
    assert not again.revoking
    assert crowd.rights.written == written
    return state


@pytest.mark.parametrize(
    ("name", "effects"), [("look", {"write"}), ("revoke", {"unlink", "write"}), ("save", {"fsync"})]
)
def test_killed_at_any_call_nothing_wrong_is_left_and_the_next_start_makes_it_right(
    tmp_path: Path, name: str, effects: set[str]
) -> None:
    crowd = host(tmp_path / "0", name)
    with kernel(crowd):
        calls = calls_of(name, crowd.folder)
    assert effects <= {call for call, _ in calls}
    for number, (call, count) in enumerate(calls, 1):
        crowd = host(tmp_path / str(number), name)
        inject = ("-o", "/dev/null", "-e", f"trace={call}", "-e", f"inject={call}:signal=KILL:when={count}")
        with kernel(crowd):
            done = step(name, crowd.folder, *inject)
        assert done.returncode in {-9, 137}, (call, count, done.stderr)
        check_at_once(crowd, name)
        check_exact(crowd)
