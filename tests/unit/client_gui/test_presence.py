"""One engine per user; its status is believed only while it lives."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from client_gui import presence
from client_gui.presence import Presence, read_status, runtime_folder
from qvd_usbip.errors import QvdUsbError

UID = os.geteuid()


def private(folder: Path) -> Path:
    folder.mkdir(mode=0o700, parents=True)
    return folder


@pytest.fixture(autouse=True)
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the runtime folders of all users are."""
    monkeypatch.setattr(presence, "RUN", str(tmp_path / "run-user"))
    return tmp_path / "run-user"


def test_the_runtime_folder_of_the_user_comes_first_whatever_the_session_says(tmp_path: Path, run: Path) -> None:
    """A session inside another one, or a confined program, is told of another folder than the rest."""
    given = private(tmp_path / "given")
    environment = {"XDG_RUNTIME_DIR": str(given), "HOME": str(tmp_path)}
    assert Path(runtime_folder(environment, UID)) == given / "qvd-usbip"
    assert Path(runtime_folder({"HOME": str(tmp_path)}, UID)) == tmp_path / ".cache/qvd-usbip"
    private(run / str(UID))
    assert Path(runtime_folder(environment, UID)) == run / str(UID) / "qvd-usbip"
    assert Path(runtime_folder({"HOME": str(tmp_path)}, UID)) == run / str(UID) / "qvd-usbip"


def test_programs_with_different_environments_see_the_one_that_shares(tmp_path: Path, run: Path) -> None:
    private(run / str(UID))
    first = Presence.claim(runtime_folder({"XDG_RUNTIME_DIR": str(private(tmp_path / "one"))}, UID))
    with pytest.raises(QvdUsbError) as caught:
        Presence.claim(runtime_folder({"XDG_RUNTIME_DIR": str(private(tmp_path / "two"))}, UID))
    assert caught.value.problem.code == "session-exists"
    first.release()


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o702])
def test_a_folder_that_others_may_write_is_not_used(tmp_path: Path, mode: int) -> None:
    given = private(tmp_path / "given")
    given.chmod(mode)
    environment = {"XDG_RUNTIME_DIR": str(given), "HOME": str(tmp_path)}
    assert Path(runtime_folder(environment, UID)) == tmp_path / ".cache/qvd-usbip"


@pytest.mark.parametrize("value", ["", "relative", "/nonexistent", "/etc/passwd"])
def test_a_value_that_is_no_folder_of_ours_is_not_used(tmp_path: Path, value: str) -> None:
    environment = {"XDG_RUNTIME_DIR": value, "HOME": str(tmp_path)}
    assert Path(runtime_folder(environment, UID)) == tmp_path / ".cache/qvd-usbip"


def test_without_any_folder_that_is_said(tmp_path: Path) -> None:
    with pytest.raises(QvdUsbError) as caught:
        runtime_folder({}, UID)
    assert caught.value.problem.code == "config-unwritable"


def test_a_claim_excludes_others_until_it_is_released(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    first = Presence.claim(folder)
    with pytest.raises(QvdUsbError) as caught:
        Presence.claim(folder)
    assert caught.value.problem.code == "session-exists"
    assert str(os.getpid()) in str(caught.value)
    first.release()
    Presence.claim(folder).release()


def test_the_status_is_readable_while_the_engine_lives_and_is_the_user_s_alone(tmp_path: Path) -> None:
    claimed = Presence.claim(tmp_path / "run")
    assert read_status(tmp_path / "run") is None
    claimed.publish({"v": 1, "devices": []})
    assert read_status(tmp_path / "run") == {"v": 1, "devices": [], "pid": os.getpid()}
    assert (tmp_path / "run/status.json").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "run").stat().st_mode & 0o777 == 0o700
    claimed.release()
    assert read_status(tmp_path / "run") is None
    assert not (tmp_path / "run/status.json").exists()


@pytest.mark.parametrize("text", ["", "{", "[]", "\x00"])
def test_a_status_that_is_not_understood_is_none(tmp_path: Path, text: str) -> None:
    claimed = Presence.claim(tmp_path / "run")
    (tmp_path / "run/status.json").write_text(text)
    assert read_status(tmp_path / "run") is None
    claimed.release()


def test_a_link_in_the_place_of_the_lock_is_not_followed(tmp_path: Path) -> None:
    folder = private(tmp_path / "run")
    (folder / "engine.lock").symlink_to(tmp_path / "victim")
    with pytest.raises(QvdUsbError):
        Presence.claim(folder)
    assert not (tmp_path / "victim").exists()
