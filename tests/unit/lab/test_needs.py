"""What the lab says where it cannot be built."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.lab import needs
from tests.lab.errors import LabError


@pytest.fixture
def empty_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine whose program folders hold nothing."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(needs, "_SYSTEM_PATH", str(tmp_path))
    return tmp_path


def program(folder: Path, name: str, text: str = "exit 0") -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def test_missing_programs_become_packages(empty_machine: Path) -> None:
    program(empty_machine, "qemu-img")
    assert needs.missing_packages() == ["cpio", "e2fsprogs", "kmod", "mmdebstrap"]


def test_nothing_is_installed_where_nothing_is_missing(empty_machine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in needs.PROGRAMS:
        program(empty_machine, name)
    needs.install_needs()
    assert capsys.readouterr().err == ""


def test_without_apt_it_says_what_is_missing(empty_machine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(LabError, match=r"qemu-utils.*no apt") as failed:
        needs.install_needs()
    assert failed.value.remedy
    assert "installing with apt: cpio" in capsys.readouterr().err


def test_without_network_it_shows_what_apt_said(empty_machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(empty_machine, "apt-get", "echo 'E: Could not resolve the name' >&2; exit 100")
    monkeypatch.setattr(needs, "as_root", lambda command: ["/bin/sh", "-c", 'exec "$@"', "sh", *command[3:]])
    with pytest.raises(LabError, match=r"(?s)apt-get update.*Could not resolve the name"):
        needs.install_needs()


def test_of_two_runs_at_once_one_installs(empty_machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log, brought = empty_machine / "log", " ".join(needs.PROGRAMS)
    program(
        empty_machine,
        "apt-get",
        f"""PATH=/usr/bin:/bin; echo "$1" >>{log}; sleep 0.3
        test "$1" = update || for name in {brought}; do cp {empty_machine}/apt-get {empty_machine}/$name; done""",
    )
    monkeypatch.setattr(needs, "as_root", lambda command: ["/bin/sh", "-c", 'exec "$@"', "sh", *command[3:]])
    with ThreadPoolExecutor() as runs:
        assert list(runs.map(lambda _: needs.install_needs(), range(2))) == [None, None]
    assert log.read_text().split() == ["update", "install"]


def test_an_ordinary_user_needs_sudo(empty_machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(LabError, match="sudo is not installed"):
        needs.as_root(["true"])
    program(empty_machine, "sudo", "exit 1")
    with pytest.raises(LabError, match="asks for a password"):
        needs.as_root(["true"])
    program(empty_machine, "sudo")
    assert needs.as_root(["true"])[1:] == ["-n", "true"]


def test_root_needs_no_sudo(empty_machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert needs.as_root(["true"]) == ["true"]
