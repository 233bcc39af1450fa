"""EFFECT: that an engine shares devices for this user, and what it is doing: a lock and a status file.

They stand in the user's runtime folder. The lock tells whether the engine lives: the kernel lets go of it when the
process ends, however that came, so that a status file left behind is never believed.
"""

from __future__ import annotations

import fcntl
import json
import os
import stat
import time

from client_gui.reported import parse_status
from qvd_usbip.errors import CONFIG_UNWRITABLE, SESSION_EXISTS, QvdUsbError
from qvd_usbip.system.files import read_bounded, save_atomic

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from qvd_usbip.system.files import Location

FOLDER = "qvd-usbip"
RUN = "/run/user"


def runtime_folder(environment: Mapping[str, str], uid: int) -> str:
    """Decides where this user's lock and status file stand.

    /run/user/UID if it is a folder of this user's alone, else $XDG_RUNTIME_DIR, else ~/.cache. What every program of
    the user finds comes first: a desktop inside another one has a variable of its own.
    """
    given = environment.get("XDG_RUNTIME_DIR", "")
    for folder in (os.path.join(RUN, str(uid)), given if given.startswith("/") else ""):
        if folder and _is_private(folder, uid):
            return os.path.join(folder, FOLDER)
    home = environment.get("HOME", "")
    if not home.startswith("/"):
        raise QvdUsbError(CONFIG_UNWRITABLE, path="~/.cache", reason="there is no home folder")
    return os.path.join(home, ".cache", FOLDER)


def _is_private(folder: str, uid: int) -> bool:
    try:
        found = os.stat(folder)
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == uid and not found.st_mode & 0o022


class Presence:
    """This process' claim to be the one that shares this user's devices."""

    def __init__(self, folder: str, lock: int) -> None:
        self._folder = folder
        self._lock = lock

    @classmethod
    def claim(cls, where: Location) -> Presence:
        """Becomes the one that shares.

        Raises:
            QvdUsbError: session-exists if another process is it; config-unwritable if the folder cannot be used.
        """
        folder = os.fspath(where)
        try:
            os.makedirs(folder, mode=0o700, exist_ok=True)
            if not _is_private(folder, os.geteuid()):
                raise QvdUsbError(CONFIG_UNWRITABLE, path=folder, reason="others may write there")
            name = os.path.join(folder, "engine.lock")
            lock = os.open(name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            reason = os.strerror(error.errno or 0)
            raise QvdUsbError(CONFIG_UNWRITABLE, path=folder, reason=reason) from error
        if not _lock(lock):
            pid = os.pread(lock, 20, 0).decode(errors="replace").strip() or "?"
            os.close(lock)
            raise QvdUsbError(SESSION_EXISTS, name=f"process {pid} serves it")
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
        return cls(folder, lock)

    def publish(self, status: Mapping[str, object]) -> None:
        """Replaces the status file.

        Raises:
            QvdUsbError: config-unwritable.
        """
        text = json.dumps({**status, "pid": os.getpid()})
        save_atomic(os.path.join(self._folder, "status.json"), text.encode(), 0o600)

    def release(self) -> None:
        """Gives up the claim; the status file goes first."""
        try:  # noqa: SIM105  # contextlib is dear to load
            os.unlink(os.path.join(self._folder, "status.json"))
        except FileNotFoundError:
            pass  # it was never published
        os.close(self._lock)


def _lock(lock: int) -> bool:
    for pause in (0.0, 0.01, 0.05):  # `qvd-usb status` holds the lock too, for the moment that it takes to look
        time.sleep(pause)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            continue
        return True
    return False


def read_status(folder: Location) -> dict[str, object] | None:
    """Reads what the running engine last said; None if none is running.

    Raises:
        QvdUsbError: config-…, where a file is there that cannot be read.
    """
    if not _is_running(folder):
        return None
    try:
        return parse_status(read_bounded(os.path.join(folder, "status.json")))
    except FileNotFoundError:
        return None  # it has only just started


def _is_running(folder: Location) -> bool:
    try:
        lock = os.open(os.path.join(folder, "engine.lock"), os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(lock)
    return False
