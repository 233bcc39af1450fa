"""EFFECT: the first process of a container, by descriptor: whoever has its number later is not taken for it."""

import os
import select
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from qvd_usbip.ids import VmId

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

    def pidfd(self, name: VmId) -> int:
        """A descriptor of the container's init, which stays this object's.

        Raises:
            ProcessLookupError: it has none.
        """
        known = self._known.get(name)
        if known is not None and alive(known):
            return known
        self.forget(name)
        for pid in self._candidates(self.cgroups / str(name) / "payload"):
            found = self._open(name, pid)
            if found is not None:
                self._known[name] = found
                return found
        raise ProcessLookupError(f"container {name} has no init")

    def forget(self, name: VmId) -> None:
        """Close what is known of a container."""
        known = self._known.pop(name, None)
        if known is not None:
            os.close(known)

    def _candidates(self, top: Path) -> Iterator[int]:
        """The processes in a container's cgroups, those of systemd's own scope first."""
        count = 0
        folders = [Path(folder) for folder, _, _ in os.walk(top)]
        for folder in sorted(folders, key=lambda folder: (folder.name != "init.scope", len(folder.parts))):
            try:
                words = (folder / "cgroup.procs").read_text(encoding="ascii").split()
            except OSError:  # it went while one looks, or has threads only: no init is in it
                continue
            for word in words:
                count += 1
                if count > PROCESSES:
                    return
                yield int(word)

    def _open(self, name: VmId, pid: int) -> int | None:
        """A descriptor of this process if it is the init of the container right below the host."""
        try:
            fd = os.pidfd_open(pid)
        except OSError:  # it has ended
            return None
        if self._is_init(name, pid) and alive(fd):  # still alive: what was read under its number was about it
            return fd
        os.close(fd)
        return None

    def _is_init(self, name: VmId, pid: int) -> bool:
        try:
            status = (self.proc / str(pid) / "status").read_text(encoding="utf-8", errors="replace")
            cgroup = (self.proc / str(pid) / "cgroup").read_text(encoding="utf-8", errors="replace")
        except OSError:  # it has ended
            return False
        numbers = next((line.split()[1:] for line in status.splitlines() if line.startswith("NSpid:")), [])
        return len(numbers) == 2 and numbers[1] == "1" and f"/qvd/{name}/payload" in cgroup


def alive(pidfd: int) -> bool:
    """Whether the process has not ended. Source: pidfd_open(2)."""
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return not poll.poll(0)
