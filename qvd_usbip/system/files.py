"""EFFECT: reads a configuration file within bounds, and replaces a file so that it is always the old or the new one.

Light module: the helper under root imports it.
"""

import errno
import os
import stat

from qvd_usbip import errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Location = str | os.PathLike[str]

LIMIT = 1 << 20
_TEMPORARY = ".new"
_STRAY_SECONDS = 60
_NO_FOLDER_SYNC = frozenset((errno.EINVAL, errno.ENOTSUP, errno.EBADF))  # file systems that know no fsync of a folder
_NOT_OURS = frozenset((errno.ENOENT, errno.EPERM, errno.EACCES, errno.EISDIR))


def read_bounded(path: "Location", limit: int = LIMIT) -> bytes:
    """Read a file of at most `limit` bytes; only a plain file, and without waiting for anyone.

    Raises: FileNotFoundError if there is none, which is often no mistake; QvdUsbError config-is-folder,
    config-too-large, config-unreadable for everything else.
    """
    name = os.fsdecode(path)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:
        raise errors.QvdUsbError(errors.CONFIG_UNREADABLE, path=name, reason=_reason(error)) from error
    try:
        return _read_plain(descriptor, name, limit)
    except OSError as error:
        raise errors.QvdUsbError(errors.CONFIG_UNREADABLE, path=name, reason=_reason(error)) from error
    finally:
        os.close(descriptor)


def _read_plain(descriptor: int, name: str, limit: int) -> bytes:
    status = os.fstat(descriptor)
    if stat.S_ISDIR(status.st_mode):
        raise errors.QvdUsbError(errors.CONFIG_IS_FOLDER, path=name)
    if not stat.S_ISREG(status.st_mode):
        raise errors.QvdUsbError(errors.CONFIG_UNREADABLE, path=name, reason="it is no plain file")
    if status.st_size > limit:
        raise errors.QvdUsbError(errors.CONFIG_TOO_LARGE, path=name, limit=limit)
    chunks: list[bytes] = []
    room = limit + 1  # it may grow while it is read
    while room > 0 and (chunk := os.read(descriptor, room)):
        chunks.append(chunk)
        room -= len(chunk)
    if room <= 0:
        raise errors.QvdUsbError(errors.CONFIG_TOO_LARGE, path=name, limit=limit)
    return b"".join(chunks)


def read_text(path: "Location", limit: int = LIMIT) -> str:
    """Read a file of UTF-8 text, as read_bounded does. Raises: also QvdUsbError config-not-text, NUL bytes included."""
    data = read_bounded(path, limit)
    offset = data.find(b"\0")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        offset = error.start if offset < 0 else min(offset, error.start)
        raise errors.QvdUsbError(errors.CONFIG_NOT_TEXT, path=os.fsdecode(path), offset=offset) from error
    if offset >= 0:
        raise errors.QvdUsbError(errors.CONFIG_NOT_TEXT, path=os.fsdecode(path), offset=offset)
    return text


def save_atomic(
    path: "Location",
    data: bytes,
    mode: int,
    owner: "tuple[int, int] | None" = None,
    still: "Callable[[], bool] | None" = None,
) -> bool:
    """Replace or make the file: whatever happens, power loss included, it is the old or the new one, never a part.

    A symbolic link stays and its target is replaced. A missing folder is made, for its owner only.
    Args: mode: the file's permission bits, whatever the umask; owner: its uid and gid, where they are to be kept. A
    group that the caller is not in cannot be; the file then lets its new group do no more than everybody; still: asked
    when the new file is ready, whether it is to take the old one's place.
    Returns: whether it did. Raises: QvdUsbError config-unwritable; the old file is then as it was.
    """
    try:
        target = os.path.realpath(path)
        folder, name = os.path.split(target)
        if os.path.isdir(target):
            raise errors.QvdUsbError(errors.CONFIG_IS_FOLDER, path=os.fsdecode(path))
        os.makedirs(folder, mode=0o700, exist_ok=True)
        return _replace(folder, name, data, mode, owner, still)
    except (OSError, ValueError) as error:
        raise errors.QvdUsbError(errors.CONFIG_UNWRITABLE, path=os.fsdecode(path), reason=_reason(error)) from error


def remove(path: "Location") -> None:
    """Remove a file, so that it stays removed through a power loss.

    Raises: FileNotFoundError if there is none; QvdUsbError config-unwritable for everything else.
    """
    folder, name = os.path.split(os.path.abspath(os.fsdecode(path)))
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.unlink(name, dir_fd=descriptor)
            _sync_folder(descriptor)
        finally:
            os.close(descriptor)
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:
        raise errors.QvdUsbError(errors.CONFIG_UNWRITABLE, path=os.fsdecode(path), reason=_reason(error)) from error


def _replace(
    folder: str,
    name: str,
    data: bytes,
    mode: int,
    owner: "tuple[int, int] | None",
    still: "Callable[[], bool] | None",
) -> bool:
    folder_descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    temporary = f".{name}.{os.urandom(6).hex()}{_TEMPORARY}"
    try:
        try:
            written = _write_new(temporary, folder_descriptor, data, mode, owner)
            if still is not None and not still():
                _unlink(temporary, folder_descriptor)
                return False
            os.rename(temporary, name, src_dir_fd=folder_descriptor, dst_dir_fd=folder_descriptor)
        except BaseException:
            _unlink(temporary, folder_descriptor)
            raise
        _sync_folder(folder_descriptor)
        _sweep(name, folder_descriptor, written)
        return True
    finally:
        os.close(folder_descriptor)


def _write_new(temporary: str, folder: int, data: bytes, mode: int, owner: "tuple[int, int] | None") -> float:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(temporary, flags, 0o600, dir_fd=folder)
    try:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        made = os.fstat(descriptor)
        if owner is not None and owner != (made.st_uid, made.st_gid):
            mode = _give(descriptor, made, owner, mode)
        os.fchmod(descriptor, mode)
        os.fsync(descriptor)
        return os.fstat(descriptor).st_mtime
    finally:
        os.close(descriptor)


def _give(descriptor: int, made: os.stat_result, owner: "tuple[int, int]", mode: int) -> int:
    """Give the file its owner and group; returns the mode it may have with those it got."""
    try:
        os.fchown(descriptor, *owner)
    except PermissionError:
        if owner[0] != made.st_uid:
            raise
        return mode & (0o707 | (mode & 0o007) << 3)
    return mode


def _sync_folder(folder: int) -> None:
    try:
        os.fsync(folder)
    except OSError as error:
        if error.errno not in _NO_FOLDER_SYNC:
            raise


def _sweep(name: str, folder: int, now: float) -> None:
    """Remove what savers that were killed left behind; a living one's file is seconds old."""
    for stray in os.listdir(folder):
        if stray.startswith(f".{name}.") and stray.endswith(_TEMPORARY):
            try:
                if now - os.stat(stray, dir_fd=folder, follow_symlinks=False).st_mtime > _STRAY_SECONDS:
                    os.unlink(stray, dir_fd=folder)
            except OSError as error:
                if error.errno not in _NOT_OURS:
                    raise


def _unlink(name: str, folder: int) -> None:
    try:
        os.unlink(name, dir_fd=folder)
    except FileNotFoundError:
        return


def _reason(error: "OSError | ValueError") -> str:
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return "the disk is full"
    if isinstance(error, OSError) and error.errno == errno.EPERM:
        return "it belongs to somebody else"
    return (isinstance(error, OSError) and error.strerror) or str(error)
