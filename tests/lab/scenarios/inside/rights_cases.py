"""EFFECT: rights_cases.py map|v1|lxc: the contract of the back ends for device rights, on this guest's own kernel.

For map and v1 a container is made of bare cgroups, beside those of the agent; for lxc it is the running container
`one`, since the list is LXC's. A process goes into each cgroup and opens the node. Prints one line per case.
"""

import atexit
import errno
import os
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, "/usr/lib/qvd-usbip/python")
sys.path.insert(0, str(Path(__file__).resolve().parent))

from qvd_usbip.ids import VmId
from server_agent.kernel.cgroup_v1 import DeviceFiles
from server_agent.kernel.cgroup_v2_lxc import LxcLists
from server_agent.kernel.cgroup_v2_map import DeviceMaps
from server_agent.kernel.rights import Rights
from server_agent.state import Right
from tests.kit import rights_contract
from tests.kit.rights_contract import KMSG, LOOP, NEIGHBOUR, NULL, PORT

CGROUPS, NODES, PARENT = Path("/sys/fs/cgroup"), Path("/var/lib/lab/rights"), "rights-test"
FLAGS = {"rw": os.O_RDWR, "r": os.O_RDONLY}


class Bench:
    """A container whose init sleeps."""

    def __init__(self, rights: Rights, name: str, payload: Path) -> None:
        self.rights = rights
        self.name = VmId(name)
        self.payload = payload
        self.made: list[Path] = []
        self.init: subprocess.Popen[bytes] | None = None
        NODES.mkdir(exist_ok=True)
        for right in (NULL, KMSG, LOOP, NEIGHBOUR, PORT, Right(kind="c", number=LOOP.number)):
            mode = 0o600 | (0o060000 if right.kind == "b" else 0o020000)
            node(right).unlink(missing_ok=True)
            os.mknod(node(right), mode, os.makedev(right.number.major, right.number.minor))

    def start(self) -> None:
        self.payload.mkdir(parents=True)
        self.made = [self.payload]
        self.deepen()
        self.init = subprocess.Popen(
            ["sleep", "600"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        atexit.register(self.init.kill)
        (self.made[-1] / "cgroup.procs").write_text(str(self.init.pid))

    def stop(self) -> None:
        if self.init is not None:
            self.init.kill()
            self.init.wait()
        deadline = time.monotonic() + 10
        while self.rights.has_processes(self.name) and time.monotonic() < deadline:
            time.sleep(0.05)

    def deepen(self) -> None:
        self.made.append(self.made[-1] / "deeper")
        self.made[-1].mkdir()

    def opens(self, right: Right, access: str = "rw") -> list[bool]:
        return [opens_in(cgroup, right, access) for cgroup in self.made]


class Running(Bench):
    """The container that LXC runs; only cgroups without children of their own take a process."""

    def __init__(self, rights: Rights, name: str, payload: Path) -> None:
        super().__init__(rights, name, payload)
        self.made = [payload / "ns/init.scope"]

    def deepen(self) -> None:
        self.made.append(self.payload / f"ns/made{len(self.made)}")
        self.made[-1].mkdir()

    def clean(self) -> None:
        for cgroup in self.made[1:]:
            cgroup.rmdir()


def node(right: Right) -> Path:
    return NODES / f"{right.kind}{right.number}"


def opens_in(cgroup: Path, right: Right, access: str) -> bool:
    """Whether a process of this cgroup may open the node; that nothing is behind it does not matter."""
    pid = os.fork()
    if not pid:
        status = 3
        try:
            (cgroup / "cgroup.procs").write_text("0")
            os.close(os.open(node(right), FLAGS[access] | os.O_NONBLOCK | os.O_NOCTTY))
            status = 0
        except OSError as error:
            status = {errno.EPERM: 1, errno.ENXIO: 0, errno.ENODEV: 0, errno.EIO: 0}.get(error.errno or 0, 2)
            if status == 2:
                print(f"{cgroup} {right}: {error}", file=sys.stderr)
        finally:
            os._exit(status)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if status not in {0, 1}:
        raise AssertionError(f"{cgroup}: {right} could not be tried")
    return status == 0


def bench_of(word: str) -> Bench:
    if word == "lxc":
        return Running(LxcLists(cgroups=CGROUPS / "qvd"), "one", CGROUPS / "qvd/one/payload")
    if word == "v1":
        files = DeviceFiles(hierarchies=CGROUPS, parent=PARENT)
        return Bench(files, "case", CGROUPS / "devices" / PARENT / "case/payload")
    maps = DeviceMaps(cgroups=CGROUPS / PARENT, pins=Path("/sys/fs/bpf") / PARENT)
    return Bench(maps, "case", CGROUPS / PARENT / "case/payload")


def main(word: str) -> None:
    bench = bench_of(word)
    if not isinstance(bench, Running):
        bench.rights.create(bench.name)
        bench.start()
    for case in rights_contract.CASES:
        began = time.monotonic()
        case(bench)
        rights_contract.clear(bench)
        print(f"{word}: {case.__name__} {time.monotonic() - began:.2f} s", flush=True)
    if isinstance(bench, Running):
        bench.clean()
        return
    rights_contract.stopped_nothing_is_left_and_the_next_life_begins_without_rights(bench)
    bench.stop()
    bench.rights.remove(bench.name)
    print(f"{word}: stopped_nothing_is_left", flush=True)


main(sys.argv[1])
