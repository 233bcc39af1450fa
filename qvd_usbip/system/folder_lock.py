"""EFFECT: the lock on a folder, so that two programs do not write over each other's change of a file in it."""

from __future__ import annotations

import errno
import fcntl
import os
import time

from qvd_usbip.errors import CONFIG_UNWRITABLE, QvdUsbError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType

    from qvd_usbip.system.files import Location

LOCK_LIMIT = 1.0
"""How long another program may keep the folder locked, in seconds."""


class locked_folder:  # noqa: N801  # as contextlib would make it of a function; that module is dear to load
    """Holds the folder's lock in a `with` block; a missing folder is made, for its owner only.

    Raises:
        QvdUsbError: config-unwritable.
    """

    def __init__(self, folder: Location) -> None:
        self._folder = os.fspath(folder)
        self._descriptor = -1

    def __enter__(self) -> None:
        try:
            os.makedirs(self._folder, mode=0o700, exist_ok=True)
            self._descriptor = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise QvdUsbError(CONFIG_UNWRITABLE, path=self._folder, reason=_reason(error)) from error
        try:
            _lock(self._descriptor, self._folder)
        except BaseException:
            os.close(self._descriptor)
            raise

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        os.close(self._descriptor)


def _lock(descriptor: int, folder: str) -> None:
    deadline = time.monotonic() + LOCK_LIMIT
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() > deadline:
                reason = "another program keeps it locked"
                raise QvdUsbError(CONFIG_UNWRITABLE, path=folder, reason=reason) from error
            time.sleep(0.01)
        except OSError as error:
            if error.errno in {errno.ENOLCK, errno.EBADF, errno.ENOTSUP}:  # a network file system without locks
                return
            raise QvdUsbError(CONFIG_UNWRITABLE, path=folder, reason=_reason(error)) from error
        else:
            return


def _reason(error: OSError) -> str:
    return os.strerror(error.errno) if error.errno else str(error)
