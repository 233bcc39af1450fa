"""EFFECT: the first process of a container, by descriptor: whoever has its number later is not taken for it."""

import errno
import os
import select
import threading
from dataclasses import dataclass, field
from pathlib import Path

from qvd_usbip.ids import VmId
from server_agent.kernel.cgroup_tree import GONE, walk

PROCESSES = 20_000  # a container with more before its init hides only itself


@dataclass(frozen=True, slots=True, kw_only=True)
class Inits:
    """The inits of all containers.

    Args:
        cgroups: the folder in the unified hierarchy that holds one parent cgroup per container.
        proc: "/proc".
    """

    cgroups: Path
    proc: Path = Path("/proc")
    _known: dict[VmId, int] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)  # containers are told things by many threads

    def pidfd(self, name: VmId) -> int:
        """A descriptor of the container's init, the caller's to close: it stays valid when the container is forgotten.

        Raises:
            ProcessLookupError: it has none.
            OSError: its cgroups cannot be looked through.
        """
        with self._lock:
            known = self._known.get(name)
            if known is not None and alive(known):
                return os.dup(known)
        found = self._search(name)  # which may take a while, and nobody waits for it
        with self._lock:
            self._drop(name)
            self._known[name] = found
            return os.dup(found)

    def pid(self, name: VmId) -> int:
        """The number of the container's init; asked again, it is the same as long as that process lives.

        Raises:
            ProcessLookupError: it has none.

        Source: pidfd_open(2), proc_pid_fdinfo(5).
        """
        said = Path(f"/proc/self/fdinfo/{self.pidfd(name)}").read_text(encoding="ascii")
        pid = next((int(line.split()[1]) for line in said.splitlines() if line.startswith("Pid:")), -1)
        if pid < 0:
            raise ProcessLookupError(f"container {name} has no init")
        return pid

    def forget(self, name: VmId) -> None:
        """Close what is known of a container."""
        with self._lock:
            self._drop(name)

    def _drop(self, name: VmId) -> None:
        known = self._known.pop(name, None)
        if known is not None:
            os.close(known)

    def _search(self, name: VmId) -> int:
        for pid in self._candidates(self.cgroups / str(name) / "payload"):
            found = self._open(name, pid)
            if found is not None:
                return found
        raise ProcessLookupError(f"container {name} has no init")

    def _candidates(self, top: Path) -> list[int]:
        """The processes in a container's cgroups, those of systemd's own scope first."""
        scopes: list[int] = []
        others: list[int] = []
        for cgroup in walk(top):
            is_scope = Path(f"/proc/self/fd/{cgroup}").readlink().name == "init.scope"
            (scopes if is_scope else others).extend(_processes(cgroup))
            if len(scopes) + len(others) > PROCESSES:
                break
        return scopes + others

    def _open(self, name: VmId, pid: int) -> int | None:
        """A descriptor of this process if it is the init of the container right below the host."""
        try:
            fd = os.pidfd_open(pid)
        except ProcessLookupError:
            return None
        if self._is_init(name, pid) and alive(fd):  # still alive: what was read under its number was about it
            return fd
        os.close(fd)
        return None

    def _is_init(self, name: VmId, pid: int) -> bool:
        try:
            status = (self.proc / str(pid) / "status").read_text(encoding="utf-8", errors="replace")
            cgroup = (self.proc / str(pid) / "cgroup").read_text(encoding="utf-8", errors="replace")
        except (FileNotFoundError, ProcessLookupError):  # it has ended
            return False
        numbers = next((line.split()[1:] for line in status.splitlines() if line.startswith("NSpid:")), [])
        return len(numbers) == 2 and numbers[1] == "1" and f"/qvd/{name}/payload" in cgroup


def _processes(cgroup: int) -> list[int]:
    """The numbers of the processes right in this cgroup."""
    try:
        words = Path(f"/proc/self/fd/{cgroup}/cgroup.procs").read_text(encoding="ascii").split()
    except OSError as error:
        if error.errno in GONE or error.errno == errno.EOPNOTSUPP:  # it went while one looks, or has threads only
            return []
        raise
    return [int(word) for word in words]


def alive(pidfd: int) -> bool:
    """Whether the process has not ended. Source: pidfd_open(2)."""
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return not poll.poll(0)
