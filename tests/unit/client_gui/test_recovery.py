"""What a killed helper left is given back once for each reason; where that fails it is said."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from client_gui.recovery import Recovery
from qvd_usbip.errors import RETURN_FAILED

if TYPE_CHECKING:
    from pathlib import Path


def recovered(folder: Path, body: str) -> Recovery:
    """A recovery whose helper does this, asked for and over."""
    helper = folder / "helper"
    helper.write_text(f'#!/bin/sh\necho "$1" >>{folder}/diary\n{body}\n')
    helper.chmod(0o755)
    recovery = Recovery()
    recovery.begin(str(helper), "start")
    end = time.monotonic() + 20
    while not recovery.ended():
        assert time.monotonic() < end
        time.sleep(0.01)
    return recovery


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (f"exit {RETURN_FAILED.exit_status}", ["problem=return-failed"]),
        ("exit 3", ["problem=helper-died"]),
        ("kill -9 $$", ["problem=helper-died"]),
        ("exit 0", []),
    ],
)
def test_a_device_that_could_not_be_given_back_is_named_in_the_log_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, body: str, said: list[str]
) -> None:
    recovery = recovered(tmp_path, body)
    recovery.begin(str(tmp_path / "helper"), "start")
    assert recovery.ended()
    assert (tmp_path / "diary").read_text() == "recover\n"
    assert [record.getMessage().partition(": ")[2].split()[0] for record in caplog.records] == said


def test_a_helper_that_hangs_is_not_waited_for_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The computer could not sleep, nor another program share."""
    monkeypatch.setattr("client_gui.recovery.LIMIT", 0.3)
    recovery = recovered(tmp_path, "exec sleep 30")
    assert "still at work" in caplog.text
    recovery.begin(str(tmp_path / "helper"), "another reason")
    assert recovery.ended(), "one at a time, the late one too"
    assert (tmp_path / "diary").read_text() == "recover\n"
    (late,) = recovery._late
    late.kill()
    late.wait()
    assert recovery.ended()
    recovery.begin(str(tmp_path / "helper"), "another reason")
    assert not recovery.ended()
    assert recovery._process is not None
    recovery._process.kill()
    recovery._process.wait()


def test_a_helper_that_cannot_be_started_is_said_too(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    recovery = Recovery()
    recovery.begin(str(tmp_path / "none"), "start")
    assert recovery.ended()
    assert "No such file" in caplog.text
