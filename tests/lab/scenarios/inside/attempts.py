"""EFFECT: what ways out are made of: a file opened, a file system mounted, a node made; OSError says who refused it."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.lab.scenarios.inside.system_calls import call

Way = Callable[[], object]
SPOT = "/root/spot"
PLATFORM = "/sys/devices/platform"
MS_RDONLY, MS_REMOUNT, MS_BIND, MS_MOVE, MS_REC, MNT_DETACH = 1, 32, 4096, 8192, 16384, 2


def writes(path: str) -> Way:
    """Opening a file for writing; nothing is written."""
    return lambda: os.close(os.open(path, os.O_WRONLY))


def reads(path: str) -> Way:
    def way() -> None:
        with Path(path).open("rb") as file:
            file.read(16)

    return way


def mounts(
    source: str, kind: str, flags: int = 0, point: str = SPOT, data: str = "", *, enter: Callable[..., int] = call
) -> Way:
    """A call of mount(2), by one of the ways to enter the kernel; what came of it is taken away again."""

    def way() -> None:
        Path(SPOT).mkdir(exist_ok=True)
        words = (source.encode(), point.encode(), kind.encode() or None, flags, data.encode() or None)
        enter("mount", *words)
        if not flags & MS_REMOUNT:
            call("umount2", point.encode(), MNT_DETACH)

    return way


def opens_node(kind: int, major: int, minor: int) -> Way:
    """A node of its own making."""

    def way() -> None:
        node = Path(f"/root/node-{major}-{minor}")
        node.unlink(missing_ok=True)
        os.mknod(node, 0o600 | kind, os.makedev(major, minor))
        try:
            os.close(os.open(node, os.O_RDONLY | os.O_NONBLOCK))
        finally:
            node.unlink()

    return way


def matching(pattern: str) -> list[str]:
    return sorted(map(str, Path("/").glob(pattern.lstrip("/"))))


def first(pattern: str) -> str:
    """The first that matches, or the pattern itself: a path that is not there."""
    return (matching(pattern) or [pattern])[0]


def found(*patterns: str) -> Iterator[tuple[str, Way]]:
    """Each file that is there, opened for writing; a pattern of which there is none is a way that was not tried."""
    for pattern in patterns:
        for path in matching(pattern)[:3] or [pattern]:
            yield path, writes(path)
