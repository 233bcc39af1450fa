"""`qvd-usb connect`: a session over a pipe, from its description to the devices' way home."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from typing import TYPE_CHECKING

import pytest

from client_gui import cli, connect, requirements
from client_gui.presence import Presence, read_status
from client_gui.reported import rows_of_status
from client_gui.state import DeviceState, Row, Snapshot, Trouble
from qvd_usbip.ack import AckState
from qvd_usbip.ids import BusId, VidPid
from qvd_usbip.kinds import Kind
from tests.unit.client_gui.bench import Bench
from tests.unit.client_gui.command import program, run, status_of
from tests.unit.client_gui.slave_peer import KEY

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("at_home")
ENTRY = "0bda:58c2@1234"


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


def test_what_ended_the_session_counts_and_not_what_a_device_met_before() -> None:
    row = Row(
        key="k", busid=BusId.parse("1-4"), vidpid=VidPid(1, 2), serial="", product="", vendor="", kind=Kind.CAMERA,
        speed=None, driver="", ticked=True, state=DeviceState.FAILED, problem="peer-gone",
    )  # fmt: skip
    report = connect.Report(as_json=True)
    report.show(Snapshot(rows=(row,)))
    assert (report.exit_status, report.hopeless) == (status_of("peer-gone"), False)
    report.show(Snapshot(rows=(row,), problems=(Trouble(code="not-paired", text="It is not.", remedy="Pair."),)))
    assert (report.exit_status, report.hopeless) == (status_of("not-paired"), True)


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
