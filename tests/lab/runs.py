"""EFFECT: the folders of one run: a short one for sockets and logs, a roomy one in the cache for disks.

Each is locked while its run lives, so that what a killed run left is told from what is in use, and removed by the next.
"""

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.lab import cache

_PREFIX = "qvdlab-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Folders:
    """Where a run keeps its things."""

    short: Path
    """Sockets and logs; its path is short, since a unix socket's path has 107 bytes at most."""
    disks: Path


def _remove_dead(parent: Path) -> None:
    """Removes the run folders of this user below `parent` whose run is over."""
    for folder in parent.glob(f"{_PREFIX}*"):
        with contextlib.suppress(FileNotFoundError, PermissionError, NotADirectoryError):
            if folder.stat().st_uid != os.getuid():
                continue
            with (folder / "lock").open("w") as lock:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    continue
                shutil.rmtree(folder)


@contextlib.contextmanager
def folders(name: str) -> Iterator[Folders]:
    """New folders for a run; they are gone afterwards."""
    roomy = cache.cache_root() / "runs"
    roomy.mkdir(parents=True, exist_ok=True)
    with cache.lock(roomy / "lock", "the folders of runs"):
        _remove_dead(roomy)
        _remove_dead(Path("/tmp"))
        short = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{name}.", dir="/tmp"))
        disks = roomy / short.name
        disks.mkdir()
        locks = [(folder / "lock").open("w") for folder in (short, disks)]
        for lock in locks:
            fcntl.flock(lock, fcntl.LOCK_EX)
    try:
        yield Folders(short=short, disks=disks)
    finally:
        shutil.rmtree(short, ignore_errors=True)
        shutil.rmtree(disks, ignore_errors=True)
        for lock in locks:
            lock.close()
