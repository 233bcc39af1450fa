"""The command `qvd-usb`: what a person types, what is printed, and the exit status of what went wrong."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest

from client_gui import cli, connect, requirements
from client_gui.presence import Presence, read_status
from client_gui.reported import rows_of_status
from client_gui.settings import Files
from qvd_usbip.ack import AckState
from qvd_usbip.errors import PROBLEMS, USBIP_HOST_UNAVAILABLE
from tests.unit.client_gui.bench import Bench
from tests.unit.client_gui.slave_peer import KEY

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ENTRY = "0bda:58c2@1234"


@pytest.fixture(autouse=True)
def at_home(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command finds the bench where a user's own files would be."""
    monkeypatch.setattr(Files, "of_user", classmethod(lambda _: bench.files))
    monkeypatch.setattr(connect, "check", lambda _: None)
    bench.runtime.mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(bench.runtime))


def status_of(code: str) -> int:
    return PROBLEMS[code].exit_status


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    status = cli.main(arguments)
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_list_shows_each_device(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    bench.bus.plug()
    bench.bus.plug("1-5", serial="", interface="03 01 01")
    bench.configure(ENTRY)
    status, out, err = run(capsys, "list")
    assert (status, err) == (0, "")
    lines = out.splitlines()
    assert lines[0].split() == ["PORT", "DEVICE", "SHARE", "KIND", "STATE", "NAME"]
    assert any(all(word in line for word in ("1-4", ENTRY, "yes", "serial-adapter", "waiting")) for line in lines)
    assert any(all(word in line for word in ("1-5", "no", "keyboard", "locked")) for line in lines)


def test_list_as_json(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    bench.bus.plug()
    status, out, _ = run(capsys, "list", "--json")
    (device,) = json.loads(out)["devices"]
    assert status == 0
    assert (device["busid"], device["vid_pid"], device["serial"], device["ticked"], device["state"]) == (
        "1-4", "0bda:58c2", "1234", False, "not-shared",
    )  # fmt: skip


def test_list_with_nothing_plugged_in(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "list") == (0, "No USB devices are plugged in.\n", "")


def test_list_works_with_a_broken_file_and_says_so(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    bench.files.user.write_bytes(b"\xff")
    status, _, err = run(capsys, "list")
    assert status == status_of("config-not-text")
    assert "UTF-8" in err


def test_list_names_a_device_that_cannot_be_read(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    bench.bus.plug()
    bench.bus.plug("1-5")
    (bench.bus.folder / "1-5" / "devnum").write_text("many\n")
    status, out, err = run(capsys, "list", "--json")
    assert status == status_of("sysfs-unreadable")
    assert [device["busid"] for device in json.loads(out)["devices"]] == ["1-4"]
    assert "1-5" in err


def test_a_hostile_device_does_not_write_on_the_terminal(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    bench.bus.plug(serial="\x1b[2J\u202eevil")
    (bench.bus.folder / "1-4" / "product").write_text("\x07\x1b]0;title\x07\n")
    _, out, err = run(capsys, "list")
    assert all(char.isprintable() or char == "\n" for char in out + err)
    _, out, err = run(capsys, "share", "1-4")
    assert all(char.isprintable() or char == "\n" for char in out + err)


@pytest.mark.parametrize("target", ["1-4", "0bda:58c2@1234", "0BDA:58C2@1234"])
def test_share_and_unshare(bench: Bench, capsys: pytest.CaptureFixture[str], target: str) -> None:
    bench.bus.plug()
    status, out, err = run(capsys, "share", target)
    assert (status, out) == (0, f"share list: {ENTRY}\n")
    assert "stops working on this computer" in err
    assert f"client.usb.share_list={ENTRY}\n" in bench.files.user.read_text()
    status, out, _ = run(capsys, "unshare", target)
    assert (status, out) == (0, "share list: (empty)\n")


def test_a_stick_comes_with_its_caution(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    bench.bus.plug(interface="08 06 50")
    status, _, err = run(capsys, "share", "1-4")
    assert status == 0
    assert "change or delete everything" in err


def test_a_device_that_is_not_plugged_in_is_remembered(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = run(capsys, "share", "0441:0012")
    assert (status, out) == (0, "share list: 0441:0012\n")
    assert "not plugged in" in err
    status, out, _ = run(capsys, "list", "--json")
    assert [(device["state"], device["key"]) for device in json.loads(out)["devices"]] == [("absent", "0441:0012")]
    assert run(capsys, "unshare", "0441:0012")[0] == 0


def test_share_says_when_sharing_is_switched_off(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    bench.bus.plug()
    bench.configure(client__usb__enable="0")
    status, _, err = run(capsys, "share", "1-4")
    assert status == 0
    assert "client.usb.enable=1" in err


@pytest.mark.parametrize(
    ("target", "code"),
    [
        ("1-9", "device-unknown"),
        ("usb1", "busid-malformed"),
        ("1-", "busid-malformed"),
        ("../../etc", "busid-malformed"),
        ("1-4\n", "busid-malformed"),
        ("", "busid-malformed"),
        ("zzzz:1", "vidpid-malformed"),
        ("0bda:58c2:1", "vidpid-malformed"),
        ("0bda:58c2@", "share-list-malformed"),
        ("0bda:58c2,0441:0012", "vidpid-malformed"),
        ("1-7", "device-locked"),
        ("0441:0012", "device-ambiguous"),
    ],
)
def test_a_wrong_name_shares_nothing(bench: Bench, capsys: pytest.CaptureFixture[str], target: str, code: str) -> None:
    bench.bus.plug()
    bench.bus.plug("1-7", serial="keys", interface="03 01 01")
    for busid in ("1-1", "1-2"):
        bench.bus.plug(busid, "0441:0012", "")
    before = bench.files.user.read_text()
    status, out, err = run(capsys, "share", "1-4", target)
    assert (status, out) == (status_of(code), "")
    assert err.startswith("error: ")
    assert err.count("\n") == 2
    assert bench.files.user.read_text() == before


def test_a_wrong_name_unshares_nothing(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    bench.bus.plug()
    assert run(capsys, "unshare", "1-9")[0] == status_of("device-unknown")
    assert run(capsys, "unshare", "1111:2222")[0] == status_of("device-unknown")
    assert run(capsys, "unshare", "1-4")[0] == 0


def test_a_malformed_share_list_is_not_written_over(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    bench.bus.plug()
    bench.configure("0bda:58c2, what")
    before = bench.files.user.read_text()
    for command in ("share", "unshare"):
        status, _, err = run(capsys, command, "1-4")
        assert status == status_of("share-list-malformed")
        assert "'what'" in err
    assert bench.files.user.read_text() == before


@pytest.mark.parametrize(
    "arguments",
    [
        (), ("fly",), ("share",), ("list", "--fast"), ("connect", "--session", "file"), ("connect", "extra"),
        ("connect", "--session-fd", "x"), ("connect", "--session-fd", "-1"),
        ("connect", "--session", "-", "--session-fd", "3"),
    ],
)  # fmt: skip
def test_wrong_usage_has_one_status_and_a_remedy(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    status, _, err = run(capsys, *arguments)
    assert status == status_of("usage")
    assert "--help" in err


@pytest.mark.parametrize("arguments", [("--help",), ("list", "--help"), ("connect", "--help")])
def test_help_has_examples(capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments)
    assert caught.value.code == 0
    assert "example" in capsys.readouterr().out


def test_status_without_a_session(capsys: pytest.CaptureFixture[str]) -> None:
    status, _, err = run(capsys, "status")
    assert status == status_of("no-session")
    assert "--session" in err


def test_connect_without_a_session(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "connect")[0] == status_of("no-session")


# A session over a pipe.


class Pipe:
    """What a QVD client writes into."""

    def __init__(self, text: str) -> None:
        self.read_end, self._write_end = os.pipe()
        os.write(self._write_end, text.encode())

    def close(self) -> None:
        if self._write_end >= 0:
            os.close(self._write_end)
            self._write_end = -1


def after(bench: Bench, state: str, action: Callable[[], None]) -> threading.Thread:
    """Does something as soon as the running engine reports a device in this state."""

    def wait() -> None:
        deadline = time.monotonic() + 30
        while state not in states_reported(bench) and time.monotonic() < deadline:
            time.sleep(0.01)
        action()

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


def states_reported(bench: Bench) -> set[str]:
    status = read_status(bench.runtime / "qvd-usbip")
    return set() if status is None else {str(row.state) for row in rows_of_status(status)}


def session_text(bench: Bench, **changes: object) -> str:
    session = {"v": 1, "name": "Work", "address": bench.peer.address, "key": KEY, "encryption": "none"}
    return json.dumps({**session, **changes})


def test_connect_shares_until_the_pipe_closes(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    bench.bus.plug()
    bench.configure(ENTRY)
    pipe = Pipe(session_text(bench))
    end = after(bench, "in-use", pipe.close)
    status, out, err = run(capsys, "connect", "--session-fd", str(pipe.read_end), "--json")
    end.join()
    lines = [json.loads(line) for line in out.splitlines()]
    states = [line["device"]["state"] for line in lines if line["event"] == "device"]
    assert status == 0
    assert err == ""
    assert states[0] == "releasing"
    assert "in-use" in states
    assert states[-1] in {"waiting", "returning"}
    assert bench.helper.diary()[-1] == "asked to return"
    assert KEY not in out
    assert any(line["event"] == "session" and "not encrypted" in line["session"]["text"] for line in lines)


def test_connect_speaks_to_people_too(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    bench.bus.plug()
    bench.configure(ENTRY)
    pipe = Pipe(session_text(bench))
    end = after(bench, "in-use", pipe.close)
    status, out, _ = run(capsys, "connect", "--session-fd", str(pipe.read_end))
    end.join()
    assert status == 0
    assert "in use remotely" in out
    assert "not encrypted" in out


def test_a_share_typed_in_another_terminal_acts_at_once(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    bench.bus.plug()
    pipe = Pipe(session_text(bench))
    told: list[object] = []

    def other_terminal() -> None:
        deadline = time.monotonic() + 10
        while cli.main(["status", "--json"]) != 0 and time.monotonic() < deadline:
            time.sleep(0.02)
        cli.main(["share", "1-4"])
        bench.helper.wait_for("exported")
        told.append(cli.main(["status"]))
        cli.main(["unshare", "1-4"])
        bench.helper.wait_for("asked to return")
        pipe.close()

    typing = threading.Thread(target=other_terminal)
    typing.start()
    status, _, _ = run(capsys, "connect", "--session-fd", str(pipe.read_end), "--json")
    typing.join()
    assert status == 0
    assert told == [0]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"address": "192.0.2.7:11100"}, "plaintext-refused"),
        ({"encryption": "tls"}, "encryption-unavailable"),
        ({"v": 2}, "session-malformed"),
        ({"key": ""}, "session-malformed"),
        ({"key": "d3Jvbmc"}, "slave-refused-key"),
    ],
)
def test_a_session_that_cannot_work_ends_with_its_reason(
    bench: Bench, capsys: pytest.CaptureFixture[str], changes: dict[str, object], code: str
) -> None:
    bench.bus.plug()
    bench.configure(ENTRY)
    pipe = Pipe(session_text(bench, **changes))
    status, out, err = run(capsys, "connect", "--session-fd", str(pipe.read_end))
    pipe.close()
    assert status == status_of(code)
    assert "error: " in err
    assert KEY not in out + err
    assert "d3Jvbmc" not in out + err


def test_a_peer_that_stays_silent_gives_the_status_at_the_end(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    bench.peer.manner = "503"
    bench.bus.plug()
    bench.configure(ENTRY)
    pipe = Pipe(session_text(bench))
    end = after(bench, "failed", pipe.close)
    status, _, err = run(capsys, "connect", "--session-fd", str(pipe.read_end))
    end.join()
    assert status == status_of("slave-limit")
    assert err.count("error: ") == 1


def test_a_device_refused_by_the_server_gives_its_status(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    bench.peer.state, bench.peer.problem = AckState.REFUSED, "device-refused"
    bench.bus.plug()
    bench.configure(ENTRY)
    pipe = Pipe(session_text(bench))
    end = after(bench, "failed", pipe.close)
    assert run(capsys, "connect", "--session-fd", str(pipe.read_end))[0] == status_of("device-refused")
    end.join()


def test_sharing_switched_off_ends_connect_at_once(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    bench.configure(ENTRY, client__usb__enable="0")
    pipe = Pipe(session_text(bench))
    status, _, err = run(capsys, "connect", "--session-fd", str(pipe.read_end))
    pipe.close()
    assert status == status_of("sharing-disabled")
    assert "client.usb.enable=1" in err


def test_a_helper_or_kernel_that_cannot_lend_ends_connect_at_once(
    bench: Bench, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connect, "check", requirements.helper_fault)
    bench.helper.path.unlink()
    pipe = Pipe(session_text(bench))
    status, _, err = run(capsys, "connect", "--session-fd", str(pipe.read_end))
    pipe.close()
    assert status == status_of("helper-missing")
    assert str(bench.helper.path) in err


def test_a_second_connect_says_that_there_is_one(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    claimed = Presence.claim(bench.runtime / "qvd-usbip")
    pipe = Pipe(session_text(bench))
    status, _, err = run(capsys, "connect", "--session-fd", str(pipe.read_end))
    pipe.close()
    claimed.release()
    assert status == status_of("session-exists")
    assert str(os.getpid()) in err


def test_a_descriptor_that_is_not_open(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "connect", "--session-fd", "987654")[0] == status_of("session-malformed")


def program(bench: Bench, repository: Path, *arguments: str) -> subprocess.Popen[bytes]:
    """The command as a process of its own, on the bench, without the checks that need a kernel."""
    code = (
        f"import sys; sys.path.insert(0, {str(repository)!r})\n"
        "from pathlib import Path\n"
        "from client_gui import cli, connect\n"
        "from client_gui.settings import Files\n"
        f"files = Files(system=Path({str(bench.files.system)!r}), user=Path({str(bench.files.user)!r}))\n"
        "Files.of_user = classmethod(lambda _: files)\n"
        "connect.check = lambda _: None\n"
        "sys.exit(cli.main(sys.argv[1:]))\n"
    )
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, None])
def test_a_signal_or_the_end_of_standard_input_brings_the_devices_home(
    bench: Bench, repository: Path, ending: signal.Signals | None
) -> None:
    bench.bus.plug()
    bench.configure(ENTRY)
    process = program(bench, repository, "connect", "--session", "-", "--json")
    assert process.stdin is not None
    process.stdin.write(session_text(bench).encode())
    process.stdin.flush()
    bench.helper.wait_for("exported")
    if ending is None:
        process.stdin.close()
        process.stdin = None
    else:
        process.send_signal(ending)
    _, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (0, b"")
    assert bench.helper.diary()[-1] == "asked to return"


def test_a_killed_client_gives_its_devices_back(bench: Bench, repository: Path) -> None:
    bench.bus.plug()
    bench.configure(ENTRY)
    process = program(bench, repository, "connect", "--session", "-")
    assert process.stdin is not None
    process.stdin.write(session_text(bench).encode())
    process.stdin.flush()
    bench.helper.wait_for("exported")
    process.kill()
    process.communicate(timeout=20)
    bench.helper.wait_for("left alone")
    assert KEY not in str(process.args)


def test_a_reader_that_stops_reading_does_no_harm(bench: Bench, repository: Path) -> None:
    for port in range(1, 9):
        bench.bus.plug(f"1-{port}", serial=str(port))
    process = program(bench, repository, "list")
    assert process.stdout is not None
    process.stdout.close()
    process.stdout = None
    _, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (0, b"")


def test_what_the_checks_miss_is_a_problem_of_its_own(bench: Bench, tmp_path: Path) -> None:
    fault = requirements.kernel_fault(tmp_path)
    assert fault is not None
    assert fault.code == USBIP_HOST_UNAVAILABLE.code
    (tmp_path / "sys/module/usbip_host").mkdir(parents=True)
    assert requirements.kernel_fault(tmp_path) is None


def test_a_module_that_can_be_loaded_is_enough(tmp_path: Path) -> None:
    modules = tmp_path / "lib/modules" / os.uname().release
    modules.mkdir(parents=True)
    (modules / "modules.dep").write_text("kernel/drivers/usb/usbip/usbip-host.ko.xz: kernel/…\n")
    assert requirements.kernel_fault(tmp_path) is None


def test_a_helper_without_setuid_is_named(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    fault = requirements.helper_fault(str(bench.helper.path))
    assert fault is not None
    assert fault.code == "helper-not-setuid"
    assert "chmod 4755" in fault.remedy
