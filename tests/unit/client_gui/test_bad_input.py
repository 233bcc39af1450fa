"""What a user or the machine can get wrong, by the real command: its own exit status, what to do, nothing changed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from client_gui import connect, requirements
from client_gui.troubles import Fault
from tests.kit.refusals import UNUSABLE, assert_refused, identity, make_unusable
from tests.unit.client_gui.bench import Bench
from tests.unit.client_gui.command import run
from tests.unit.client_gui.slave_peer import KEY
from tests.unit.client_gui.test_connect import ENTRY, Pipe, after, session_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.usefixtures("at_home")


def run_with_session(bench: Bench, capsys: pytest.CaptureFixture[str], text: str = "") -> tuple[int, str, str]:
    """`qvd-usb connect` with a session whose pipe stays open."""
    pipe = Pipe(text or session_text(bench))
    try:
        return run(capsys, "connect", "--session-fd", str(pipe.read_end))
    finally:
        pipe.close()
        os.close(pipe.read_end)


def each_command(bench: Bench, capsys: pytest.CaptureFixture[str]) -> Iterator[tuple[int, str]]:
    """Exit status and standard error of every command that reads client.conf."""
    for command in (("list",), ("list", "--json"), ("share", "1-4"), ("unshare", "1-4")):
        status, _, err = run(capsys, *command)
        yield status, err
    status, _, err = run_with_session(bench, capsys)
    yield status, err


# --- client.conf ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "code"), UNUSABLE.items())
@pytest.mark.parametrize("whose", ["user", "system"])
def test_a_client_conf_that_cannot_be_read(
    bench: Bench, capsys: pytest.CaptureFixture[str], whose: str, kind: str, code: str
) -> None:
    bench.bus.plug()
    path, own = Path(getattr(bench.files, whose)), Path(bench.files.user)
    make_unusable(path, kind)
    before = identity(path), identity(own), sorted(own.parent.iterdir())
    for status, err in each_command(bench, capsys):
        assert_refused(status, err, code)
        assert str(path) in err
        assert (identity(path), identity(own), sorted(own.parent.iterdir())) == before
    assert bench.helper.diary() == []


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("client.usb.share_list=0bda:58c2, what", "share-list-malformed"),
        ("client.usb.share_list=0bda:58c2@", "share-list-malformed"),
        ("client.usb.share_list=zzzz:58c2", "share-list-malformed"),
        ("client.usb.share_list=0bda-58c2", "share-list-malformed"),
        ("client.usb.share_ports=usb1", "settings-malformed"),
        ("client.usb.enable=maybe", "settings-malformed"),
        ("client.usb.share_list=${client.usb.share_list}", "settings-malformed"),
    ],
)
def test_a_value_in_client_conf_that_makes_no_sense(
    bench: Bench, capsys: pytest.CaptureFixture[str], line: str, code: str
) -> None:
    bench.bus.plug()
    with Path(bench.files.user).open("a") as file:
        file.write(f"{line}\n")
    before = identity(Path(bench.files.user))
    for status, err in each_command(bench, capsys):
        assert_refused(status, err, code)
    assert identity(Path(bench.files.user)) == before
    assert bench.helper.diary() == []


# --- busid, vid:pid -------------------------------------------------------------------------------------------------

_NAMES = [
    ("1-9", "device-unknown"),
    ("usb1", "busid-malformed"),
    ("1-4.", "busid-malformed"),
    ("../1-4", "busid-malformed"),
    ("\uff11-4", "busid-malformed"),
    ("1-4\x1b[2J", "busid-malformed"),
    ("", "busid-malformed"),
    ("0bda:", "vidpid-malformed"),
    ("0bda:58c22", "vidpid-malformed"),
    ("0bda:58c2,0441:0012", "vidpid-malformed"),
    ("0bda:58c2@", "share-list-malformed"),
]


@pytest.mark.parametrize(("target", "code"), _NAMES)
def test_a_name_that_is_none_or_nobodys(
    bench: Bench, capsys: pytest.CaptureFixture[str], target: str, code: str
) -> None:
    bench.bus.plug()
    before = identity(Path(bench.files.user))
    for command in ("share", "unshare"):
        status, out, err = run(capsys, command, "1-4", target)
        assert_refused(status, err, code)
        assert out == ""
        assert "\x1b" not in err
    assert identity(Path(bench.files.user)) == before


def test_an_id_that_nothing_has_can_be_shared_in_advance_but_not_unshared(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    status, _, err = run(capsys, "unshare", "1111:2222")
    assert_refused(status, err, "device-unknown")
    assert run(capsys, "share", "1111:2222")[0] == 0


# --- session --------------------------------------------------------------------------------------------------------


def _session(**changes: object) -> Callable[[Bench], str]:
    return lambda bench: session_text(bench, **changes)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (lambda _: "{}", "session-malformed"),
        (lambda _: "hello", "session-malformed"),
        (lambda _: '{"v":1}x', "session-malformed"),
        (lambda _: '{"v":1,"v":1}', "session-malformed"),
        (lambda _: "{" + " " * 20_000, "session-malformed"),
        (_session(v=2), "session-malformed"),
        (_session(address="desktop"), "session-malformed"),
        (_session(address="desktop:0"), "session-malformed"),
        (_session(address="unix:relative"), "session-malformed"),
        (_session(address="[10.0.0.1]:5"), "session-malformed"),
        (_session(key=""), "session-malformed"),
        (_session(key="a\nb"), "session-malformed"),
        (_session(encryption="rot13"), "session-malformed"),
        (_session(more=1), "session-malformed"),
        (_session(address="192.0.2.7:11100"), "plaintext-refused"),
        (_session(encryption="tls"), "encryption-unavailable"),
    ],
)
def test_a_session_that_cannot_be_used(
    bench: Bench, capsys: pytest.CaptureFixture[str], text: Callable[[Bench], str], code: str
) -> None:
    bench.bus.plug()
    bench.configure(ENTRY)
    status, _, err = run_with_session(bench, capsys, text(bench))
    assert_refused(status, err, code)
    assert bench.helper.diary() == []


def test_a_session_that_is_no_text_or_does_not_come(capsys: pytest.CaptureFixture[str]) -> None:
    read_end, write_end = os.pipe()
    os.write(write_end, b'{"v":1,"name":"\xff"}')
    status, _, err = run(capsys, "connect", "--session-fd", str(read_end))
    assert_refused(status, err, "session-malformed")
    os.close(write_end)
    read_end, write_end = os.pipe()
    os.close(write_end)
    status, _, err = run(capsys, "connect", "--session-fd", str(read_end))
    assert_refused(status, err, "session-malformed")
    status, _, err = run(capsys, "connect")
    assert_refused(status, err, "no-session")
    status, _, err = run(capsys, "status")
    assert_refused(status, err, "no-session")


@pytest.mark.parametrize(
    ("manner", "address", "code"),
    [
        ("good", "127.0.0.1:1", "slave-unreachable"),
        ("close", "", "peer-gone"),
        ("garbage", "", "slave-protocol"),
        ("503", "", "slave-limit"),
    ],
)
def test_a_session_that_takes_nothing(
    bench: Bench, capsys: pytest.CaptureFixture[str], manner: str, address: str, code: str
) -> None:
    bench.peer.manner = manner
    bench.bus.plug()
    bench.configure(ENTRY)
    pipe = Pipe(session_text(bench, **({"address": address} if address else {})))
    end = after(bench, "failed", pipe.close)
    status, _, err = run(capsys, "connect", "--session-fd", str(pipe.read_end))
    end.join()
    assert_refused(status, err, code)
    assert "exported" not in bench.helper.diary()


@pytest.mark.parametrize(("manner", "code"), [("401", "slave-key-missing"), ("403", "slave-refused-key")])
def test_a_session_whose_key_is_no_good_is_over_at_once(
    bench: Bench, capsys: pytest.CaptureFixture[str], manner: str, code: str
) -> None:
    bench.peer.manner = manner
    bench.bus.plug()
    bench.configure(ENTRY)
    status, out, err = run_with_session(bench, capsys)
    assert_refused(status, err, code)
    assert KEY not in out + err
    assert "exported" not in bench.helper.diary()


# --- this computer --------------------------------------------------------------------------------------------------


def _lost(bench: Bench) -> Fault | None:
    bench.helper.path.unlink()
    return requirements.helper_fault(str(bench.helper.path))


@pytest.mark.parametrize(
    ("look", "code"),
    [
        (lambda bench: requirements.helper_fault(str(bench.helper.path)), "helper-not-setuid"),
        (_lost, "helper-missing"),
        (lambda bench: requirements.kernel_fault(bench.folder), "usbip-host-unavailable"),
    ],
)
def test_what_this_computer_lacks(
    bench: Bench,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    look: Callable[[Bench], Fault | None],
    code: str,
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(connect, "check", lambda _: look(bench))
    bench.bus.plug()
    bench.configure(ENTRY)
    status, _, err = run_with_session(bench, capsys)
    assert_refused(status, err, code)
    assert bench.helper.diary() == []
