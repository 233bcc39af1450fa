"""EFFECT: the lock on a folder, so that two programs do not write over each other's change of a file in it."""

from __future__ import annotations

import errno
import fcntl
import os
import time
from contextlib import contextmanager

from qvd_usbip.errors import CONFIG_UNWRITABLE, QvdUsbError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LOCK_LIMIT = 1.0
"""How long another program may keep the folder locked, in seconds."""


@contextmanager
def locked_folder(folder: Path) -> Iterator[None]:
    """Holds the folder's lock; a missing folder is made, for its owner only.

    Raises:
        QvdUsbError: config-unwritable.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise QvdUsbError(CONFIG_UNWRITABLE, path=str(folder), reason=_reason(error)) from error
    try:
        _lock(descriptor, folder)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, folder: Path) -> None:
    deadline = time.monotonic() + LOCK_LIMIT
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() > deadline:
                reason = "another program keeps it locked"
                raise QvdUsbError(CONFIG_UNWRITABLE, path=str(folder), reason=reason) from error
            time.sleep(0.01)
        except OSError as error:
            if error.errno in {errno.ENOLCK, errno.EBADF, errno.ENOTSUP}:  # a network file system without locks
                return
            raise QvdUsbError(CONFIG_UNWRITABLE, path=str(folder), reason=_reason(error)) from error
        else:
            return


def _reason(error: OSError) -> str:
    return os.strerror(error.errno) if error.errno else str(error)
