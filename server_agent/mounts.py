"""PURE: which mount a path of a process lies in, by what the kernel says of its mounts; no file of it is touched."""

from collections.abc import Collection
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """A line of mountinfo.

    Args:
        number: of the mount.
        parent: the number of the mount that it stands on.
        device: of the file system, "0:45".
        root: the folder of the file system that is mounted.
        point: where, as the process sees it.
        nodev: its device nodes cannot be opened.
    """

    number: int
    parent: int
    device: str
    root: str
    point: str
    nodev: bool

    def covers(self, path: str) -> bool:
        """Whether the path is this point or below it."""
        return path == self.point or path.startswith(self.point.rstrip("/") + "/")

    def within(self, path: str) -> str:
        """Where in the file system a path below the point leads."""
        return f"{self.root.rstrip('/')}{path.removeprefix(self.point.rstrip('/'))}"


def parse(text: str) -> tuple[Mount, ...]:
    """The mounts of a process; a line that is none is left out.

    Args:
        text: of /proc/PID/mountinfo, in which a space in a name is an octal number.

    Source: proc_pid_mountinfo(5).
    """
    rows = (line.split(" ") for line in text.split("\n"))
    return tuple(_mount(row) for row in rows if len(row) > 5 and row[0].isdecimal() and row[1].isdecimal())


def _mount(row: list[str]) -> Mount:
    number, parent, device, root, point, options = row[:6]
    return Mount(
        number=int(number), parent=int(parent), device=device, root=root, point=point,
        nodev="nodev" in options.split(","),
    )  # fmt: skip


def find(mounts: Collection[Mount], path: str) -> Mount | None:
    """The mount that a path leads into: from the root on, each mount that stands in the way is entered.

    Args:
        mounts: of one process.
        path: from / on, without links.
    """
    known = {mount.number for mount in mounts}
    here = next((each for each in mounts if each.point == "/" and each.parent not in known), None)
    for _ in mounts:  # no path enters more of them
        if here is None:
            return None
        above = [each for each in mounts if each.parent == here.number and each.covers(path)]
        if not above:
            return here
        here = min(above, key=lambda each: len(each.point))
    return here
