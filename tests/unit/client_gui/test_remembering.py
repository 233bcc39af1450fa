"""The commands about what is remembered of a device: its mode and its nickname."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from client_gui.memory import LONGEST_NICKNAME, parse
from client_gui.state import Asked, DeviceState, Mode
from tests.unit.client_gui.bench import Bench
from tests.unit.client_gui.command import run, status_of

if TYPE_CHECKING:
    from client_gui.memory import Remembered

pytestmark = pytest.mark.usefixtures("at_home")
ENTRY = "0bda:58c2@1234"
TWINS = {"": "0bda:58c2", "1234": ENTRY}


def remembered(bench: Bench) -> dict[str, Remembered]:
    path = Path(bench.files.own_folder) / "devices.json"
    return parse(path.read_text()) if path.exists() else {}


@pytest.mark.parametrize("target", ["1-4", ENTRY, "0bda:58c2"])
def test_mode_is_shown_and_chosen(bench: Bench, capsys: pytest.CaptureFixture[str], target: str) -> None:
    bench.bus.plug()
    assert run(capsys, "mode", target) == (0, "mode: automatic\n", "")
    assert remembered(bench) == {}
    for word in ("ask", "manual", "automatic"):
        assert run(capsys, "mode", target, word) == (0, f"mode: {word}\n", "")
        assert run(capsys, "mode", target)[1] == f"mode: {word}\n"


def test_name_is_shown_given_and_taken_away(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    bench.bus.plug()
    assert run(capsys, "name", "1-4") == (0, "nickname: (none)\n", "")
    assert run(capsys, "name", "1-4", "  the good\tone ") == (0, "nickname: the good one\n", "")
    assert "the good one" in run(capsys, "list")[1]
    assert run(capsys, "name", "1-4", "") == (0, "nickname: (none)\n", "")
    assert remembered(bench) == {}


def test_both_as_json(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    bench.bus.plug()
    about = {"v": 1, "device": ENTRY, "busid": "1-4"}
    assert json.loads(run(capsys, "mode", "1-4", "ask", "--json")[1]) == {**about, "mode": "ask"}
    assert json.loads(run(capsys, "name", "--json", "1-4", "báscula")[1]) == {**about, "nickname": "báscula"}


def test_how_long_its_port_is_followed_is_shown_and_chosen(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    bench.bus.plug()
    assert run(capsys, "follow", "1-4") == (0, "port followed: no\n", "")
    assert run(capsys, "follow", "1-4", "30") == (0, "port followed: for 30 s\n", "")
    assert remembered(bench)[ENTRY].follow == 30
    about = {"v": 1, "device": ENTRY, "busid": "1-4", "follows_port": 30}
    assert json.loads(run(capsys, "follow", "1-4", "--json")[1]) == about
    assert run(capsys, "follow", ENTRY, "0")[1] == "port followed: no\n"
    assert remembered(bench) == {}


@pytest.mark.parametrize("seconds", ["-1", "601", "x", "1.5", "9" * 5000, ""])
def test_a_time_that_is_none_is_wrong_usage(bench: Bench, capsys: pytest.CaptureFixture[str], seconds: str) -> None:
    bench.bus.plug()
    status, _, err = run(capsys, "follow", "1-4", seconds)
    assert status == status_of("usage")
    assert "600" in err
    assert remembered(bench) == {}


def test_one_change_keeps_the_others(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    bench.bus.plug()
    run(capsys, "name", "1-4", "the good one")
    run(capsys, "mode", "1-4", "ask")
    assert (remembered(bench)[ENTRY].nickname, remembered(bench)[ENTRY].mode) == ("the good one", Mode.ASK)


def test_what_is_chosen_holds_in_the_engine_that_shares_at_once(
    bench: Bench, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("client_gui.engine.RESCAN_EVERY", 3600)
    bench.runtime = bench.runtime / "qvd-usbip"  # where a command finds an engine
    bench.bus.plug()
    bench.configure(ENTRY)
    bench.run().set_session(bench.session())
    bench.wait_state(DeviceState.IN_USE)
    assert run(capsys, "name", "1-4", "the good one")[0] == 0
    bench.wait(lambda seen: [row.nickname for row in seen.rows] == ["the good one"], "the nickname")
    assert run(capsys, "mode", "1-4", "ask")[0] == 0
    row = bench.wait_state(DeviceState.CONFIRM)
    assert row.consent is not None
    assert row.consent.asked is Asked.PLUGGED


@pytest.fixture
def shared(bench: Bench) -> Bench:
    """A device is in the remote desktop, where a command finds the engine."""
    bench.runtime = bench.runtime / "qvd-usbip"
    bench.bus.plug()
    bench.configure(ENTRY)
    bench.run().set_session(bench.session())
    bench.wait_state(DeviceState.IN_USE)
    return bench


def replug(bench: Bench, interface: str = "02 02 01") -> None:
    assert bench.engine is not None
    bench.bus.unplug()
    bench.engine.rescan()
    bench.wait_state_absent()
    bench.bus.plug(interface=interface)
    bench.engine.rescan()


def test_a_manual_device_that_was_plugged_in_again_is_shared_by_the_command(
    shared: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    run(capsys, "mode", "1-4", "manual")
    replug(shared)
    shared.wait_state(DeviceState.NOT_SHARED)
    assert run(capsys, "share", "1-4")[0] == 0
    assert shared.wait_state(DeviceState.IN_USE).ticked


def test_a_device_that_is_to_be_asked_about_is_not_shared_by_the_command_without_a_yes(
    shared: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    run(capsys, "mode", "1-4", "ask")
    replug(shared)
    shared.wait_state(DeviceState.CONFIRM)
    assert "qvd-usb share --agree 1-4" in run(capsys, "share", "1-4")[2]
    assert shared.seen[-1].rows[0].state is DeviceState.CONFIRM
    run(capsys, "share", "--agree", "1-4")
    shared.wait_state(DeviceState.IN_USE)


def test_a_device_that_became_another_is_what_it_is_now_when_the_command_ticks_it(
    shared: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    replug(shared, interface="08 06 50")
    assert "--agree" in run(capsys, "share", "1-4")[2], "it is ticked, and was something else then"
    shared.wait_state(DeviceState.CONFIRM)
    run(capsys, "unshare", "1-4")
    shared.wait_state(DeviceState.NOT_SHARED)
    assert "--agree" not in run(capsys, "share", "1-4")[2]
    shared.wait_state(DeviceState.IN_USE)


def test_a_manual_device_needs_a_session_that_runs_and_that_is_said(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    bench.bus.plug()
    run(capsys, "mode", "1-4", "manual")
    assert "once the session runs" in run(capsys, "share", "1-4")[2]


def test_a_device_that_is_not_plugged_in_is_named_as_it_is_remembered(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    bench.configure(ENTRY)
    assert run(capsys, "mode", ENTRY, "ask") == (0, "mode: ask\n", "")
    bench.configure("")
    assert json.loads(run(capsys, "name", ENTRY, "away", "--json")[1]) == {
        "v": 1, "device": ENTRY, "busid": None, "nickname": "away",
    }  # fmt: skip
    bench.bus.plug()
    assert run(capsys, "mode", "1-4")[1] == "mode: ask\n"


@pytest.mark.parametrize(
    ("target", "code"),
    [
        ("1-9", "device-unknown"),
        ("0bda:0000@1", "device-unknown"),
        ("0bda:58c2", "device-unknown"),  # on the list, but it may stand for several
        ("0441:0012", "device-ambiguous"),
        ("moon", "busid-malformed"),
    ],
)
@pytest.mark.parametrize("command", [("mode", "ask"), ("name", "moon")])
def test_a_wrong_name_changes_nothing(
    bench: Bench, capsys: pytest.CaptureFixture[str], target: str, code: str, command: tuple[str, str]
) -> None:
    bench.configure("0bda:58c2")
    for busid in ("1-1", "1-2"):
        bench.bus.plug(busid, "0441:0012", "")
    status, out, err = run(capsys, command[0], target, command[1])
    assert (status, out) == (status_of(code), "")
    assert err.startswith("error: ")
    assert remembered(bench) == {}


@pytest.mark.parametrize(
    "arguments", [("mode",), ("mode", "1-4", "often"), ("name", "1-4", "x" * (LONGEST_NICKNAME + 1)), ("name",)]
)
def test_what_cannot_be_chosen_is_wrong_usage(
    bench: Bench, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    bench.bus.plug()
    assert run(capsys, *arguments)[0] == status_of("usage")
    assert remembered(bench) == {}


@pytest.mark.parametrize("serial", ["", "1234"])
def test_twins_are_told_apart_by_port_and_keep_their_names_when_one_is_unplugged(
    bench: Bench, capsys: pytest.CaptureFixture[str], serial: str
) -> None:
    for busid in ("1-1", "1-2"):
        bench.bus.plug(busid, serial=serial)
    for busid in ("1-1", "1-2"):
        run(capsys, "name", busid, f"at {busid}")
    assert set(remembered(bench)) == {f"{TWINS[serial]}/1-1", f"{TWINS[serial]}/1-2"}
    assert [run(capsys, "name", busid)[1] for busid in ("1-1", "1-2")] == ["nickname: at 1-1\n", "nickname: at 1-2\n"]
    bench.bus.unplug("1-2")
    assert run(capsys, "name", "1-1", "the last one")[1] == "nickname: the last one\n"


def test_a_file_that_is_not_ours_is_told_and_left_alone(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    bench.bus.plug()
    path = Path(bench.files.own_folder) / "devices.json"
    path.parent.mkdir(parents=True)
    path.write_text("mine")
    for arguments in (("mode", "1-4"), ("name", "1-4", "x")):
        assert run(capsys, *arguments)[0] == status_of("settings-malformed")
    assert path.read_text() == "mine"


def test_a_nickname_does_not_write_on_the_terminal(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    bench.bus.plug()
    _, out, _ = run(capsys, "name", "1-4", "\x1b[2J\u202eevil")
    assert all(char.isprintable() or char == "\n" for char in out)
