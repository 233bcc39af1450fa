"""EFFECT: the cgroups of a container: host folder NAME, below it LXC's monitor, and a payload that is the container's.

Whatever is below the payload was made by container root, so it is walked by directory descriptors and with a bound.
"""

import errno
import os
from collections.abc import Iterator
from pathlib import Path

from qvd_usbip.ids import VmId
from server_agent.kernel.container_names import container_names

GONE = frozenset({errno.ENOENT, errno.ENODEV})
CGROUPS = 8192  # a system has some hundred; a walk over so many takes a fraction of a second
DEPTH = 256  # some ten are usual
NAMED = 4  # of those that would not go; container root can have any number of them
FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class TooManyError(OSError):
    """There are more cgroups than anybody needs."""


def walk(top: Path) -> Iterator[int]:
    """A descriptor for this cgroup and each one below it, a parent always before its children; valid until the next.

    A cgroup is listed only after its descriptor was handed out: children that appear later have what it has by then.

    Raises:
        TooManyError: there are too many of them, or they are nested too deeply.
        OSError: the kernel does not say; what goes while one looks is fine.
    """
    try:
        fd = os.open(top, FOLDER)
    except OSError as error:
        if error.errno in GONE:
            return
        raise
    yield from _walk(fd, iter(range(CGROUPS)), DEPTH)


def _walk(fd: int, left: Iterator[int], depth: int) -> Iterator[int]:
    try:
        if next(left, None) is None or not depth:
            raise TooManyError(errno.E2BIG, "too many cgroups")
        yield fd
        for name in _children(fd):
            try:
                child = os.open(name, FOLDER, dir_fd=fd)
            except OSError as error:
                if error.errno not in GONE:
                    raise
                continue
            yield from _walk(child, left, depth - 1)
    finally:
        os.close(fd)


def _children(fd: int) -> list[str]:
    try:
        with os.scandir(fd) as entries:
            return [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    except OSError as error:
        if error.errno not in GONE:
            raise
        return []


def folders(parent: Path) -> list[Path]:
    """The cgroups right below this one; none when it is gone."""
    try:
        return [child for child in parent.iterdir() if child.is_dir() and not child.is_symlink()]
    except OSError as error:
        if error.errno in GONE:
            return []
        raise


def payloads(host_folder: Path) -> list[Path]:
    """The container's own cgroups below its host folder: all but LXC's monitor."""
    return [child for child in folders(host_folder) if not child.name.startswith("monitor")]


def populated_payload(host_folder: Path) -> bool:
    """Whether the container has processes of its own (cgroup v2)."""
    return any(populated(child) for child in payloads(host_folder))


def populated(cgroup: Path) -> bool:
    """Whether any process is in this cgroup or below it.

    Source: Documentation/admin-guide/cgroup-v2.rst, cgroup.events.
    """
    try:
        return "populated 1" in (cgroup / "cgroup.events").read_text().splitlines()
    except OSError as error:
        if error.errno in GONE:
            return False
        raise


def remove_cgroups(*tops: Path) -> None:
    """Remove cgroups and those below them, deepest first; what is gone is fine, what stays keeps none beside it.

    Raises:
        TooManyError: not all could be removed at once.
        OSError: EBUSY when a process is left. Its file name is what stayed though nothing below keeps it.
    """
    stayed: list[OSError] = []
    for top in tops:
        try:
            parent = os.open(top.parent, FOLDER)
        except FileNotFoundError:
            continue
        try:
            _remove(parent, top.name, iter(range(CGROUPS)), DEPTH, stayed)
        except TooManyError as error:
            stayed.append(_of(error, top.name))
        finally:
            os.close(parent)
    if stayed:
        more = f" and {len(stayed) - NAMED} more" if len(stayed) > NAMED else ""
        raise _of(stayed[0], ", ".join(str(error.filename) for error in stayed[:NAMED]) + more)


def _remove(parent: int, place: str, left: Iterator[int], depth: int, stayed: list[OSError]) -> bool:
    """Whether it is gone; what stays by itself, at this place or below it, is added to `stayed`."""
    if next(left, None) is None:
        raise TooManyError(errno.E2BIG, "too many cgroups")
    if not depth:
        stayed.append(TooManyError(errno.E2BIG, "nested too deeply", place))
        return False
    name = place.rpartition("/")[2]
    try:
        fd = os.open(name, FOLDER, dir_fd=parent)
        try:
            below = [_remove(fd, f"{place}/{child}", left, depth - 1, stayed) for child in _children(fd)]
        finally:
            os.close(fd)
        if all(below):
            os.rmdir(name, dir_fd=parent)
        return all(below)
    except TooManyError:
        raise
    except OSError as error:
        if error.errno in GONE:
            return True
        stayed.append(_of(error, place))
        return False


def _of(error: OSError, place: str) -> OSError:
    return type(error)(error.errno, error.strerror, place)


def cgroup_names(parent: Path) -> frozenset[VmId]:
    """The containers that have a cgroup right below this one."""
    return frozenset(name for name in container_names(parent) if (parent / str(name)).is_dir())
