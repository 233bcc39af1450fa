"""EFFECT: the lab's cache: folders named by the hash of what they are made from, made whole or not at all.

A folder is built as `NAME.part` and renamed when it is complete, under a lock: a run that was interrupted leaves
nothing that counts, and two runs do not build the same thing twice.
"""

import contextlib
import fcntl
import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from tests.lab.errors import LabError
from tests.lab.progress import say


def cache_root() -> Path:
    """The cache folder: `$XDG_CACHE_HOME/qvd-usbip-lab`, else `~/.cache/qvd-usbip-lab`."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "qvd-usbip-lab"


def key_of(parts: Iterable[str | bytes]) -> str:
    """Twelve hexadecimal digits that stand for the parts, in their order."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.hexdigest()[:12]


def key_of_files(root: Path, files: Iterable[Path]) -> str:
    """The key of files by relative name, executable bit and content."""
    parts: list[str | bytes] = []
    for path in sorted(files):
        mode = "x" if path.stat().st_mode & 0o100 else "-"
        parts += [path.relative_to(root).as_posix(), mode, path.read_bytes()]
    return key_of(parts)


@contextlib.contextmanager
def lock(path: Path, waiting_for: str, *, shared: bool = False) -> Iterator[None]:
    """Holds the lock file `path`; says so once when another process has it. Raises LabError where none can be made."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        problem = f"the lab's cache {path.parent} cannot be made: {error.strerror}"
        raise LabError(problem, "set XDG_CACHE_HOME to a folder that you may write to") from error
    kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    with path.open("w") as file:
        try:
            fcntl.flock(file, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"another run works on {waiting_for}; waiting for it")
            fcntl.flock(file, kind)
        yield


def ensure(folder: Path, what: str, build: Callable[[Path], None], discard: Callable[[Path], None]) -> Path:
    """`folder`, built by `build(part)` when it is not there yet.

    Args:
        folder: the complete folder, whose name holds the key.
        what: what it is, for people.
        build: fills the folder it is given.
        discard: removes a folder that an interrupted run left.
    """
    if not folder.is_dir():
        with lock(folder.with_suffix(".lock"), what):
            if not folder.is_dir():
                part = folder.with_suffix(".part")
                if part.exists():
                    discard(part)
                part.mkdir(parents=True)
                build(part)
                part.rename(folder)
    os.utime(folder)  # the last use, for `prune`
    return folder


def remove(folder: Path) -> None:
    """Removes a folder of ours; one that is not there is all right."""
    if folder.exists():
        shutil.rmtree(folder)


@contextlib.contextmanager
def in_use(folder: Path) -> Iterator[None]:
    """Keeps `prune` of any process away from `folder` for as long as the context lasts."""
    with lock(folder.with_suffix(".use"), folder.name, shared=True):
        yield


def prune(root: Path, prefix: str, keep: int) -> None:
    """Removes the folders `root/prefix*` used longest ago, but for `keep` of them and those in use."""
    folders = [path for path in root.glob(f"{prefix}*") if path.is_dir() and path.suffix != ".part"]
    folders.sort(key=lambda path: path.stat().st_mtime, reverse=True)
    for folder in folders[keep:]:
        with folder.with_suffix(".use").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            used = time.localtime(folder.stat().st_mtime)
            say(f"removing {folder.name}, last used {time.strftime('%d %b %H:%M', used)}")
            remove(folder)
        folder.with_suffix(".use").unlink(missing_ok=True)
        folder.with_suffix(".lock").unlink(missing_ok=True)
