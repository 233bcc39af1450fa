"""EFFECT: a moment at which no process of a container is inside a system call.

The kernel asks whether a number may be opened before it looks for the device behind it, and between the two it may
wait: for a lock, or for modprobe, which it starts where there is no device at that moment. An open that was let in then
finds whatever has the number in the end. A frozen process stands at the border to user space: no open is under way.

Source: fs/char_dev.c, chrdev_open; drivers/base/map.c, kobj_lookup; Documentation/admin-guide/cgroup-v2.rst,
cgroup.freeze; Documentation/admin-guide/cgroup-v1/freezer-subsystem.rst.
"""

import errno
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from qvd_usbip.ids import VmId
from server_agent.kernel.cgroup_tree import GONE, cgroup_names

LONGEST = 0.5  # seconds in which a container stands still at most
FIRST_PAUSE, LONGEST_PAUSE = 0.0005, 0.02


class Hierarchy(Protocol):
    """Where the cgroup that a container is frozen by is: its host folder, which nobody inside can write, or see."""

    def switch(self, name: VmId) -> Path:
        """The file that freezes and thaws."""

    def set(self, name: VmId, *, frozen: bool) -> None:
        """Freeze it, or thaw it."""

    def is_frozen(self, name: VmId) -> bool:
        """Whether all of its processes are."""

    def names(self) -> frozenset[VmId]:
        """Every container with a cgroup here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unified:
    """Cgroup v2; `cgroups` is the folder that holds one cgroup per container."""

    cgroups: Path

    def switch(self, name: VmId) -> Path:
        """The file that freezes and thaws."""
        return self.cgroups / str(name) / "cgroup.freeze"

    def set(self, name: VmId, *, frozen: bool) -> None:
        """Freeze it, or thaw it."""
        self.switch(name).write_text("1" if frozen else "0", encoding="ascii")

    def is_frozen(self, name: VmId) -> bool:
        """Whether all of its processes are."""
        return "frozen 1" in (self.cgroups / str(name) / "cgroup.events").read_text(encoding="ascii").splitlines()

    def names(self) -> frozenset[VmId]:
        """Every container with a cgroup here."""
        return cgroup_names(self.cgroups)


@dataclass(frozen=True, slots=True, kw_only=True)
class FreezerFiles:
    """Cgroup v1; `cgroups` is the folder in the freezer's hierarchy that holds one cgroup per container."""

    cgroups: Path

    def switch(self, name: VmId) -> Path:
        """The file that freezes and thaws."""
        return self.cgroups / str(name) / "freezer.state"

    def set(self, name: VmId, *, frozen: bool) -> None:
        """Freeze it, or thaw it."""
        self.switch(name).write_text("FROZEN" if frozen else "THAWED", encoding="ascii")

    def is_frozen(self, name: VmId) -> bool:
        """Whether all of its processes are."""
        return self.switch(name).read_text(encoding="ascii").strip() == "FROZEN"

    def names(self) -> frozenset[VmId]:
        """Every container with a cgroup here."""
        return cgroup_names(self.cgroups)


@dataclass(frozen=True, slots=True, kw_only=True)
class Freezer:
    """Freezes containers for a moment.

    Args:
        hierarchies: where a container may have its cgroup; the first one that has it counts.
    """

    hierarchies: tuple[Hierarchy, ...]

    def no_call_under_way(self, name: VmId) -> bool:
        """Freeze a container until every process of it has come out of the kernel, and let it go on.

        Returns:
            False when one of them did not come out in time; True too for a container that goes meanwhile.

        Raises:
            OSError: it cannot be frozen, or not be thawed.
        """
        there = next(self._having(name), None)
        if there is None:
            raise FileNotFoundError(errno.ENOENT, "no cgroup to freeze it by", str(name))
        try:
            there.set(name, frozen=True)
            try:
                return _wait(there, name)
            finally:
                there.set(name, frozen=False)
        except OSError as error:
            if error.errno in GONE:
                return True
            raise

    def thaw_all(self) -> None:
        """Let go on what an agent that was killed meanwhile has left frozen."""
        for there in self.hierarchies:
            for name in there.names():
                with suppress(FileNotFoundError):
                    there.set(name, frozen=False)

    def _having(self, name: VmId) -> Iterator[Hierarchy]:
        return (there for there in self.hierarchies if there.switch(name).exists())


def _wait(there: Hierarchy, name: VmId) -> bool:
    end, pause = time.monotonic() + LONGEST, FIRST_PAUSE
    while not there.is_frozen(name):
        if time.monotonic() > end:
            return False
        time.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE)
    return True
