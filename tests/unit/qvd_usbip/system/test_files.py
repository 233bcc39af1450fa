"""Files are read within bounds, and a saved file is the old one or the new one, whatever happens in between."""

from __future__ import annotations

import errno
import os
import signal
import stat
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qvd_usbip import errors
from qvd_usbip.errors import Problem, QvdUsbError
from qvd_usbip.system.files import read_bounded, read_text, save_atomic

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def problem(action: Callable[[], object]) -> Problem:
    with pytest.raises(QvdUsbError) as caught:
        action()
    return caught.value.problem


def nobody_may_give(*_: object) -> None:
    raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_what_is_saved_is_read(tmp_path: Path) -> None:
    path = tmp_path / "client.conf"
    save_atomic(path, b"a=1\n", 0o600)
    save_atomic(path, b"a=2\n", 0o600)
    assert read_bounded(path) == b"a=2\n"
    assert read_text(str(path)) == "a=2\n"
    assert names(tmp_path) == ["client.conf"]


@pytest.mark.parametrize("mode", [0o600, 0o644, 0o666])
def test_the_mode_is_the_one_asked_for(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "client.conf"
    old = os.umask(0o077)
    try:
        save_atomic(path, b"", mode)
    finally:
        os.umask(old)
    assert stat.S_IMODE(path.stat().st_mode) == mode


@pytest.mark.parametrize(("before", "after"), [(0o640, 0o600), (0o664, 0o644), (0o606, 0o606), (0o666, 0o666)])
def test_a_group_that_cannot_be_kept_gives_the_new_one_nothing_that_not_all_have(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: int, after: int
) -> None:
    path = tmp_path / "client.conf"
    monkeypatch.setattr(os, "fchown", nobody_may_give)
    save_atomic(path, b"a=1\n", before, (os.geteuid(), os.getegid() + 1))
    assert (read_bounded(path), stat.S_IMODE(path.stat().st_mode)) == (b"a=1\n", after)


def test_somebody_elses_file_stays_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "client.conf"
    path.write_bytes(b"theirs\n")
    monkeypatch.setattr(os, "fchown", nobody_may_give)
    with pytest.raises(QvdUsbError, match="it belongs to somebody else") as caught:
        save_atomic(path, b"mine\n", 0o644, (os.geteuid() + 1, os.getegid()))
    assert caught.value.problem is errors.CONFIG_UNWRITABLE
    assert (path.read_bytes(), names(tmp_path)) == (b"theirs\n", ["client.conf"])


def test_a_missing_file_is_the_callers_business(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_bounded(tmp_path / "none")


def test_a_missing_folder_is_made_for_its_owner(tmp_path: Path) -> None:
    save_atomic(tmp_path / ".qvd/more/client.conf", b"x", 0o600)
    assert stat.S_IMODE((tmp_path / ".qvd/more").stat().st_mode) == 0o700


def test_a_folder_in_the_place_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "client.conf").mkdir()
    assert problem(lambda: read_bounded(tmp_path / "client.conf")) is errors.CONFIG_IS_FOLDER
    assert problem(lambda: save_atomic(tmp_path / "client.conf", b"", 0o600)) is errors.CONFIG_IS_FOLDER
    assert (tmp_path / "client.conf").is_dir()


def test_100_megabytes_are_refused_at_once(tmp_path: Path) -> None:
    path = tmp_path / "client.conf"
    with path.open("wb") as file:
        file.truncate(100 << 20)
    assert problem(lambda: read_bounded(path)) is errors.CONFIG_TOO_LARGE


def test_the_limit_is_exact(tmp_path: Path) -> None:
    path = tmp_path / "client.conf"
    path.write_bytes(b"x" * 11)
    assert len(read_bounded(path, limit=11)) == 11
    assert problem(lambda: read_bounded(path, limit=10)) is errors.CONFIG_TOO_LARGE


def test_a_file_that_grows_while_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "client.conf"
    path.write_bytes(b"x" * 20)
    small = os.stat_result((stat.S_IFREG | 0o600, 0, 0, 1, 0, 0, 5, 0, 0, 0))
    monkeypatch.setattr(os, "fstat", lambda _: small)
    assert problem(lambda: read_bounded(path, limit=10)) is errors.CONFIG_TOO_LARGE


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "client.conf")
    assert problem(lambda: read_bounded(tmp_path / "client.conf")) is errors.CONFIG_UNREADABLE


def test_an_endless_device_is_refused() -> None:
    assert problem(lambda: read_bounded("/dev/zero")) is errors.CONFIG_UNREADABLE


def test_a_file_below_a_file_is_unreadable(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"")
    assert problem(lambda: read_bounded(tmp_path / "a/b")) is errors.CONFIG_UNREADABLE
    assert problem(lambda: save_atomic(tmp_path / "a/b", b"", 0o600)) is errors.CONFIG_UNWRITABLE


def test_no_right_to_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refusing(*_: object, **__: object) -> int:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(os, "open", refusing)  # root may read everything, and tests may run as root
    with pytest.raises(QvdUsbError, match="Permission denied") as caught:
        read_bounded(tmp_path / "x")
    assert caught.value.problem is errors.CONFIG_UNREADABLE


def test_a_name_with_nul(tmp_path: Path) -> None:
    assert problem(lambda: read_bounded(f"{tmp_path}/\0")) is errors.CONFIG_UNREADABLE
    assert problem(lambda: save_atomic(f"{tmp_path}/\0", b"", 0o600)) is errors.CONFIG_UNWRITABLE


@pytest.mark.parametrize(("data", "offset"), [(b"ab\xffc", 2), (b"a\0b", 1), (b"\0\xff", 0), (b"\xff\0", 0)])
def test_no_text(tmp_path: Path, data: bytes, offset: int) -> None:
    path = tmp_path / "client.conf"
    path.write_bytes(data)
    with pytest.raises(QvdUsbError, match=rf"byte {offset}\)") as caught:
        read_text(path)
    assert caught.value.problem is errors.CONFIG_NOT_TEXT


@given(data=st.binary(max_size=100))
def test_read_text_raises_only_our_error(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any.conf"
    path.write_bytes(data)
    try:
        assert read_text(path).encode() == data
    except QvdUsbError as error:
        assert error.problem is errors.CONFIG_NOT_TEXT  # noqa: PT017 - which of the two depends on the data


def test_a_link_stays_and_its_target_is_saved(tmp_path: Path) -> None:
    (tmp_path / "dotfiles").mkdir()
    (tmp_path / "client.conf").symlink_to("dotfiles/client.conf")
    save_atomic(tmp_path / "client.conf", b"new", 0o600)
    assert (tmp_path / "client.conf").is_symlink()
    assert (tmp_path / "dotfiles/client.conf").read_bytes() == b"new"


STEPS = ("open", "write", "fchmod", "fsync", "rename")


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EROFS])
def test_a_step_that_fails_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, code: int
) -> None:
    path = tmp_path / "client.conf"
    path.write_bytes(b"old")

    def failing(*_: object, **__: object) -> int:
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patch:
        patch.setattr(os, step, failing)
        with pytest.raises(QvdUsbError) as caught:
            save_atomic(path, b"new", 0o600)
    assert caught.value.problem is errors.CONFIG_UNWRITABLE
    assert ("disk is full" in str(caught.value)) == (code == errno.ENOSPC)
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["client.conf"]


def test_a_disk_that_fills_up_half_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "client.conf"
    path.write_bytes(b"old")
    write, written = os.write, 0

    def short(descriptor: int, data: bytes) -> int:
        nonlocal written
        if written >= 10:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written += write(descriptor, bytes(data)[:5])
        return 5

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", short)
        assert problem(lambda: save_atomic(path, b"x" * 100, 0o600)) is errors.CONFIG_UNWRITABLE
    assert path.read_bytes() == b"old"


def test_short_writes_are_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, bytes(data)[:3]))
    save_atomic(tmp_path / "client.conf", b"0123456789", 0o600)
    assert (tmp_path / "client.conf").read_bytes() == b"0123456789"


@pytest.mark.parametrize("step", [*STEPS, "after"])
def test_killed_at_a_step_it_is_the_old_or_the_new_file(repository: Path, tmp_path: Path, step: str) -> None:
    path = tmp_path / "client.conf"
    path.write_bytes(b"old" * 1000)
    program = f"""
import os, signal, sys
sys.path.insert(0, {str(repository)!r})
from qvd_usbip.system.files import save_atomic
os.{step} = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)
save_atomic({str(path)!r}, b"new" * 1000, 0o600)
"""
    done = subprocess.run([sys.executable, "-I", "-c", program], check=False, timeout=60)
    assert done.returncode == (0 if step == "after" else -signal.SIGKILL)
    assert path.read_bytes() == (b"new" if step == "after" else b"old") * 1000
    save_atomic(path, b"next", 0o600)
    assert path.read_bytes() == b"next"


def test_what_killed_savers_left_is_swept_up_later(tmp_path: Path) -> None:
    old, living, other = tmp_path / ".client.conf.0a1b.new", tmp_path / ".client.conf.2c3d.new", tmp_path / ".x.new"
    for stray in (old, living, other):
        stray.write_bytes(b"half")
    long_ago = old.stat().st_mtime - 3600
    os.utime(old, (long_ago, long_ago))
    os.utime(other, (long_ago, long_ago))
    save_atomic(tmp_path / "client.conf", b"x", 0o600)
    assert names(tmp_path) == [".client.conf.2c3d.new", ".x.new", "client.conf"]


def test_a_stray_that_cannot_be_removed_does_no_harm(tmp_path: Path) -> None:
    stray = tmp_path / ".client.conf.0a1b.new"
    stray.mkdir()
    os.utime(stray, (0, 0))
    save_atomic(tmp_path / "client.conf", b"x", 0o600)
    assert (tmp_path / "client.conf").read_bytes() == b"x"


@pytest.mark.parametrize(("code", "fails"), [(errno.EINVAL, False), (errno.EIO, True)])
def test_a_folder_that_cannot_be_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, fails: bool
) -> None:
    fsync = os.fsync

    def files_only(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(code, os.strerror(code))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", files_only)
    if fails:
        assert problem(lambda: save_atomic(tmp_path / "client.conf", b"x", 0o600)) is errors.CONFIG_UNWRITABLE
    else:
        save_atomic(tmp_path / "client.conf", b"x", 0o600)
    assert (tmp_path / "client.conf").read_bytes() == b"x"


def test_many_savers_at_once_leave_one_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "client.conf"
    contents = [f"{number}".encode() * 5000 for number in range(8)]
    threads = [threading.Thread(target=save_atomic, args=(path, content, 0o600)) for content in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.read_bytes() in contents
    assert names(tmp_path) == ["client.conf"]
