"""Stored sessions: shown, forgotten, used by name; a file that is none is named and takes no other one along."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from client_gui import sessions
from client_gui.session import Session, parse_address
from qvd_usbip.errors import QvdUsbError
from tests.kit.refusals import assert_refused
from tests.unit.client_gui.command import run, status_of

if TYPE_CHECKING:
    from tests.unit.client_gui.bench import Bench

pytestmark = pytest.mark.usefixtures("at_home")
PRINT = "0123456789abcdef" * 4


def stored(bench: Bench, name: str = "desk1@host", address: str = "host:9020") -> Session:
    session = Session(name=name, address=parse_address(address), key="", encryption="tls", host_fingerprint=PRINT)
    sessions.save(bench.files, session)
    return session


def test_what_is_stored_is_shown_and_read_again(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    session = stored(bench)
    assert sessions.load(bench.files, "desk1@host") == session
    assert sessions.folder_of(bench.files).stat().st_mode & 0o777 == 0o700
    status, out, _ = run(capsys, "sessions")
    assert status == 0
    assert all(word in out for word in ("desk1@host", "host:9020", PRINT))
    _, out, _ = run(capsys, "sessions", "--json")
    assert json.loads(out)["sessions"][0]["host_fingerprint"] == PRINT


def test_where_nothing_is_stored_it_says_how_to_make_one(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys, "sessions")
    assert (status, "qvd-usb pair HOST" in out) == (0, True)


def test_a_file_that_is_no_session_is_named_and_the_others_are_shown(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    stored(bench)
    (sessions.folder_of(bench.files) / "broken.json").write_text("{")
    (sessions.folder_of(bench.files) / "notes.txt").write_text("not asked")
    status, out, err = run(capsys, "sessions")
    assert status == status_of("session-malformed")
    assert "desk1@host" in out
    assert "broken: error: " in err
    assert run(capsys, "forget", "broken")[0] == 0
    assert run(capsys, "sessions")[0] == 0


def test_a_forgotten_session_is_gone_and_cannot_be_forgotten_twice(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    stored(bench)
    status, out, _ = run(capsys, "forget", "desk1@host")
    assert (status, "qvd-usb-agent unpair" in out) == (0, True)
    assert sessions.names(bench.files) == []
    assert run(capsys, "forget", "desk1@host", "--json")[0] == status_of("session-unknown")


@pytest.mark.parametrize("name", ["nobody", "../identity/key", "", ".", "a/b"])
def test_a_name_that_stands_for_nothing_is_refused(bench: Bench, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    stored(bench)
    for words in (("connect", name), ("forget", name)):
        status, out, err = run(capsys, *words)
        assert_refused(status, err, "session-unknown")
        assert (out, sessions.names(bench.files)) == ("", ["desk1@host"])


def test_a_session_cannot_be_both_stored_and_read_from_a_pipe(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "connect", "work", "--session", "-")[0] == status_of("usage")


def test_a_folder_that_is_none_is_no_empty_one(bench: Bench) -> None:
    folder = sessions.folder_of(bench.files)
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.write_text("a file")
    with pytest.raises(QvdUsbError) as caught:
        sessions.names(bench.files)
    assert caught.value.problem.code == "config-unreadable"
