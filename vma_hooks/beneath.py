"""EFFECT: walks below a folder, one component at a time, never through a symbolic link."""

import errno
import os

TYPE_CHECKING = False  # importing typing or collections.abc would cost more than an event's work
if TYPE_CHECKING:
    from collections.abc import Sequence

NOT_THERE = frozenset((errno.ENOENT, errno.ENOTDIR, errno.ELOOP))
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def open_folder(path: str) -> int:
    """Open the folder everything else is relative to; the caller closes the descriptor."""
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)


def descend(top: int, folders: "Sequence[str]", *, make: bool = False) -> int:
    """Open the folder at the end of a path below `top`.

    Args:
        top: directory descriptor; it stays open.
        folders: names without any slash, `.` or `..` among them.
        make: create what is missing, mode 0755.

    Returns:
        A descriptor of its own, which the caller closes.

    Raises:
        OSError: NOT_THERE holds the numbers that say "no such folder, or a link in its place".
    """
    here = os.open(".", _FOLDER, dir_fd=top)
    for name in folders:
        try:
            if make:
                make_folder(name, here, 0o755)
            below = os.open(name, _FOLDER, dir_fd=here)
        finally:
            os.close(here)
        here = below
    return here


def make_folder(name: str, folder: int | None, mode: int) -> None:
    """Make a folder where there is none yet; `name` may be a full path when `folder` is None."""
    try:
        os.mkdir(name, mode, dir_fd=folder)
    except FileExistsError:
        return
