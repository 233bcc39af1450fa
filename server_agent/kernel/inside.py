"""EFFECT: looks whether the host's nodes are what a container's processes find, without touching a file of its own."""

import os
from dataclasses import dataclass
from pathlib import Path

from qvd_usbip.ids import VmId
from server_agent import mounts
from server_agent.kernel.inits import Inits
from server_agent.kernel.nodes import NodeFolders
from server_agent.usable import Question, Seen

MOST_BYTES = 1 << 20  # of mountinfo: a container with more mounts hides only its own nodes


@dataclass(frozen=True, slots=True, kw_only=True)
class Inside:
    """The view into all containers.

    Args:
        nodes: the host's nodes.
        cgroups: the folder in the unified hierarchy that holds one parent cgroup per container.
        proc: "/proc".
    """

    nodes: NodeFolders
    cgroups: Path
    proc: Path = Path("/proc")

    def look(self, question: Question) -> Seen:
        """Look for one device's nodes.

        Raises:
            QvdUsbError, OSError: it cannot be seen.
        """
        name, access = question.container, question.access
        found = self.nodes.root.stat().st_dev
        return Seen(
            right={n for n, right in question.nodes if access and self.nodes.is_right(name, n, right, access)},
            device=f"{os.major(found)}:{os.minor(found)}",
            mounts=mounts.parse(self._mountinfo(name)),
        )

    def _mountinfo(self, name: VmId) -> str:
        """What the kernel says of the mounts of the container's init; "" when it has none."""
        inits = Inits(cgroups=self.cgroups, proc=self.proc)
        try:
            pid = inits.pid(name)
            with (self.proc / str(pid) / "mountinfo").open("rb") as file:
                said = file.read(MOST_BYTES)
            return said.decode("utf-8", "replace") if pid == inits.pid(name) else ""
        except (FileNotFoundError, ProcessLookupError):
            return ""
        finally:
            inits.forget(name)
