"""The engine on a bench: what is ticked and plugged in is lent to the session, and comes back, whatever happens."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from pathlib import Path

import pytest

from client_gui.desk import CHECK_EVERY
from client_gui.engine import Engine
from client_gui.presence import Presence, read_status
from client_gui.state import DeviceState
from client_gui.troubles import Fault
from qvd_usbip.ack import AckState
from qvd_usbip.errors import QvdUsbError
from tests.unit.client_gui.bench import Bench
from tests.unit.client_gui.slave_peer import KEY, SlavePeer

ENTRY = "0bda:58c2@1234"


def share(bench: Bench) -> None:
    """A ticked device is plugged in and a session is there."""
    bench.bus.plug()
    bench.configure(ENTRY)
    bench.run().set_session(bench.session())


def look(bench: Bench) -> None:
    """What a USB event says."""
    assert bench.engine is not None
    bench.engine.rescan()


def test_a_ticked_device_goes_all_the_way_and_says_each_step(bench: Bench) -> None:
    share(bench)
    row = bench.wait_state(DeviceState.IN_USE)
    assert [step.name for step in row.steps] == ["released", "exported", "attached", "ready"]
    assert bench.peer.lines.get(timeout=30.0) == b"65541 3\n"
    assert bench.peer.lines.empty()
    assert bench.helper.diary()[0] == 'asked 1-4 {"pid": "58c2", "serial": "1234", "vid": "0bda"}'


def test_a_device_nobody_ticked_is_left_alone(bench: Bench) -> None:
    bench.bus.plug("1-5", serial="other")
    share(bench)
    bench.wait_state(DeviceState.IN_USE)
    assert bench.wait_state(DeviceState.NOT_SHARED, "1-5").ticked is False
    assert len([line for line in bench.helper.diary() if line.startswith("asked")]) == 1


def test_ticking_shares_and_unticking_returns_and_both_stand_in_the_file(bench: Bench) -> None:
    bench.bus.plug()
    engine = bench.run()
    engine.set_session(bench.session())
    bench.wait_state(DeviceState.NOT_SHARED)
    engine.toggle(ENTRY, True)
    bench.wait_state(DeviceState.IN_USE)
    assert f"client.usb.share_list={ENTRY}\n" in Path(bench.files.user).read_text()
    engine.toggle(ENTRY, False)
    bench.helper.wait_for("asked to return")
    bench.wait_state(DeviceState.NOT_SHARED)
    assert ENTRY not in Path(bench.files.user).read_text()
    assert Path(bench.files.user).read_text().startswith("# mine\n")


def test_a_tick_written_by_another_program_acts_on_the_running_engine(bench: Bench) -> None:
    bench.bus.plug()
    bench.run().set_session(bench.session())
    bench.wait_state(DeviceState.NOT_SHARED)
    bench.configure(ENTRY)
    bench.wait_state(DeviceState.IN_USE)


def test_what_was_put_right_on_this_computer_counts_as_soon_as_its_user_asks(bench: Bench) -> None:
    missing = [Fault(code="helper-missing")]
    bench.bus.plug()
    bench.configure(ENTRY)
    engine = bench.run(lambda _: next(iter(missing), None))
    engine.set_session(bench.session())
    bench.wait(lambda seen: [each.code for each in seen.problems] == ["helper-missing"], "missing")
    missing.clear()
    engine.rescan()
    bench.wait(lambda seen: not seen.problems, "nothing missing", CHECK_EVERY / 2)
    bench.wait_state(DeviceState.IN_USE)


def test_the_states_follow_what_the_other_end_says(bench: Bench) -> None:
    bench.peer.state = AckState.ATTACHED
    share(bench)
    bench.wait_state(DeviceState.ATTACHED)
    bench.peer.say(AckState.AUTHORISED)
    time.sleep(0.1)
    assert DeviceState.IN_USE not in bench.states()
    bench.peer.say(AckState.READY)
    bench.wait_state(DeviceState.IN_USE)


def test_an_old_peer_leaves_it_at_attached(bench: Bench) -> None:
    bench.peer.manner = "old"
    share(bench)
    row = bench.wait_state(DeviceState.ATTACHED)
    assert [step.name for step in row.steps] == ["released", "exported"]


def test_a_device_refused_by_the_server_comes_home_with_the_reason(bench: Bench) -> None:
    bench.peer.state, bench.peer.problem = AckState.REFUSED, "device-refused"
    share(bench)
    row = bench.wait_state(DeviceState.FAILED)
    assert (row.problem, row.retry_in) == ("device-refused", None)
    bench.helper.wait_for("returned")


def test_a_problem_code_nobody_knows_is_no_crash(bench: Bench) -> None:
    bench.peer.state, bench.peer.problem = AckState.FAILED, "moon-in-the-wrong-phase"
    share(bench)
    assert bench.wait_state(DeviceState.FAILED).problem_text


def test_a_pulled_device_is_given_up_and_shared_again_when_it_is_back(bench: Bench) -> None:
    share(bench)
    bench.wait_state(DeviceState.IN_USE)
    bench.bus.unplug()
    look(bench)
    bench.wait(lambda seen: [row.state for row in seen.rows] == [DeviceState.ABSENT], "absent")
    bench.helper.wait_for("returned")
    bench.bus.plug("1-2")
    look(bench)
    bench.wait_state(DeviceState.IN_USE, "1-2")


def test_a_device_pulled_and_plugged_at_once_is_lent_anew(bench: Bench) -> None:
    share(bench)
    bench.wait_state(DeviceState.IN_USE)
    bench.bus.unplug()
    bench.bus.plug()
    look(bench)
    bench.helper.wait_for("exported", 2)
    bench.wait_state(DeviceState.IN_USE)


def test_a_peer_that_drops_the_connection_is_tried_again(bench: Bench) -> None:
    share(bench)
    bench.wait_state(DeviceState.IN_USE)
    bench.peer.drop()
    row = bench.wait_state(DeviceState.FAILED)
    assert row.problem == "peer-gone"
    assert row.retry_in is not None
    bench.helper.wait_for("returned")
    bench.wait_state(DeviceState.IN_USE)


def test_retry_does_not_wait(bench: Bench) -> None:
    bench.peer.manner = "403"
    share(bench)
    assert bench.wait_state(DeviceState.FAILED).problem == "slave-refused-key"
    bench.peer.manner = "good"
    assert bench.engine is not None
    bench.engine.retry(ENTRY)
    bench.wait_state(DeviceState.IN_USE)


def test_the_end_of_the_session_brings_every_device_home(bench: Bench) -> None:
    bench.bus.plug("1-5", serial="other")
    share(bench)
    bench.configure(f"{ENTRY}, 0bda:58c2@other")
    bench.wait_state(DeviceState.IN_USE)
    bench.wait_state(DeviceState.IN_USE, "1-5")
    assert bench.engine is not None
    bench.engine.set_session(None)
    bench.wait_state(DeviceState.WAITING)
    bench.wait_state(DeviceState.WAITING, "1-5")
    assert bench.helper.diary().count("asked to return") == 2


def test_another_session_gets_the_devices_after_the_first(bench: Bench) -> None:
    share(bench)
    bench.wait_state(DeviceState.IN_USE)
    assert bench.engine is not None
    bench.engine.set_session(bench.session(name="Other"))
    bench.helper.wait_for("exported", 2)
    seen = bench.wait(lambda seen: seen.session is not None and seen.session.name == "Other", "the other session")
    assert "not encrypted" in seen.session.text if seen.session else False
    bench.wait_state(DeviceState.IN_USE)


def test_stop_returns_the_devices_before_it_ends(bench: Bench) -> None:
    share(bench)
    bench.wait_state(DeviceState.IN_USE)
    assert bench.engine is not None
    began = time.monotonic()
    bench.engine.stop()
    assert "asked to return" in bench.helper.diary()
    assert time.monotonic() - began < 10
    assert not bench.engine.is_alive()
    bench.engine.stop()


def test_twins_are_shared_one_by_one(bench: Bench) -> None:
    for busid in ("1-1", "1-2"):
        bench.bus.plug(busid, "0441:0012", "")
    engine = bench.run()
    engine.set_session(bench.session())
    bench.wait_state(DeviceState.NOT_SHARED, "1-2")
    engine.toggle("0441:0012/1-2", True)
    bench.wait_state(DeviceState.IN_USE, "1-2")
    assert bench.wait_state(DeviceState.NOT_SHARED, "1-1").twin


def test_a_device_keeps_its_key_when_a_twin_with_its_serial_number_comes(bench: Bench) -> None:
    """What a person points at, or a command is run for, is the same device as before."""
    share(bench)
    key = bench.wait_state(DeviceState.IN_USE).key
    bench.bus.plug("1-2")
    look(bench)
    bench.wait_state(DeviceState.IN_USE, "1-2")
    assert bench.wait_state(DeviceState.IN_USE, "1-4").key == key
    assert bench.engine is not None
    bench.engine.toggle(key, False)
    bench.wait_state(DeviceState.NOT_SHARED, "1-4")
    bench.wait_state(DeviceState.IN_USE, "1-2")


def test_a_keyboard_is_locked_and_cannot_be_ticked(bench: Bench) -> None:
    bench.bus.plug(interface="03 01 01")
    engine = bench.run()
    engine.set_session(bench.session())
    bench.wait_state(DeviceState.LOCKED)
    engine.toggle(ENTRY, True)
    bench.wait(lambda seen: any(problem.code == "device-locked" for problem in seen.problems), "told that it is locked")
    assert bench.helper.diary() == []


def test_the_list_cannot_be_written_and_that_is_said(bench: Bench) -> None:
    bench.bus.plug()
    engine = bench.run()
    bench.wait_state(DeviceState.NOT_SHARED)
    Path(bench.files.user).unlink()
    Path(bench.files.user).mkdir()
    engine.toggle(ENTRY, True)
    seen = bench.wait(lambda seen: bool(seen.problems), "a problem")
    assert {problem.code for problem in seen.problems} == {"config-is-folder"}
    assert all(problem.remedy for problem in seen.problems)
    Path(bench.files.user).rmdir()
    bench.configure()
    engine.rescan()
    bench.wait(lambda seen: not seen.problems, "looked at again")


@pytest.mark.parametrize("broken", [b"\xff\xfe", rb"0bda:58c2@\uDC80"])
def test_a_file_that_breaks_meanwhile_takes_no_device_away(bench: Bench, broken: bytes) -> None:
    share(bench)
    bench.wait_state(DeviceState.IN_USE)
    Path(bench.files.user).write_bytes(b"client.usb.share_list=%s\n" % broken)
    bench.wait(lambda seen: [problem.code for problem in seen.problems] == ["config-not-text"], "told of the file")
    bench.wait_state(DeviceState.IN_USE)
    bench.configure(ENTRY)
    bench.wait(lambda seen: not seen.problems, "the file is good again")


def test_sharing_switched_off_shares_nothing_and_says_how_to_switch_it_on(bench: Bench) -> None:
    bench.bus.plug()
    bench.configure(ENTRY, client__usb__enable="0")
    bench.run().set_session(bench.session())
    row = bench.wait_state(DeviceState.BLOCKED)
    assert row.problem == "sharing-disabled"
    assert "client.usb.enable=1" in row.remedy


def test_plaintext_to_another_computer_is_refused(bench: Bench) -> None:
    bench.bus.plug()
    bench.configure(ENTRY)
    engine = bench.run()
    engine.set_session(bench.session("192.0.2.1:11100"))
    assert bench.wait_state(DeviceState.BLOCKED).problem == "plaintext-refused"
    assert bench.helper.diary() == []
    session = engine.snapshot().session
    assert session is not None
    assert session.problem == "plaintext-refused", "nobody connects to it, so it is not called connecting"
    assert "is not encrypted and not on this computer" in session.text


def test_a_session_over_a_unix_socket(bench: Bench) -> None:
    bench.peer.close()
    bench.peer = SlavePeer(bench.folder / "slave.sock")
    share(bench)
    bench.wait_state(DeviceState.IN_USE)


def test_a_second_engine_of_the_same_user_is_told_so(bench: Bench) -> None:
    share(bench)
    bench.wait_state(DeviceState.IN_USE)
    with pytest.raises(QvdUsbError) as caught:
        Engine(bench.files, runtime=bench.runtime, listen=False).set_session(bench.session())
    assert caught.value.problem.code == "session-exists"


def test_status_is_there_while_the_engine_runs_and_holds_no_key(bench: Bench) -> None:
    share(bench)
    bench.wait_state(DeviceState.IN_USE)
    status_file = bench.runtime / "status.json"
    deadline = time.monotonic() + 10
    while not (status_file.exists() and '"in-use"' in status_file.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    text = status_file.read_text()
    assert (bench.runtime / "status.json").stat().st_mode & 0o777 == 0o600
    assert KEY not in text
    status = read_status(bench.runtime)
    assert status is not None
    assert json.loads(text)["devices"][0]["state"] in {"in-use", "attached"}
    assert bench.engine is not None
    bench.engine.stop()
    assert read_status(bench.runtime) is None


def test_a_status_left_by_a_dead_engine_is_not_believed(bench: Bench) -> None:
    bench.runtime.mkdir(mode=0o700)
    (bench.runtime / "engine.lock").write_text("1\n")
    (bench.runtime / "status.json").write_text('{"devices": []}')
    assert read_status(bench.runtime) is None


def test_another_program_may_share_once_the_session_is_over(bench: Bench) -> None:
    share(bench)
    bench.wait_state(DeviceState.IN_USE)
    assert bench.engine is not None
    bench.engine.set_session(None)
    deadline = time.monotonic() + 5
    claimed = None
    while claimed is None and time.monotonic() < deadline:
        with contextlib.suppress(QvdUsbError):
            claimed = Presence.claim(bench.runtime)
        time.sleep(0.01)
    assert claimed is not None
    assert "asked to return" in bench.helper.diary()
    with pytest.raises(QvdUsbError):
        bench.engine.set_session(bench.session())
    claimed.release()
    bench.engine.set_session(bench.session())
    bench.wait_state(DeviceState.IN_USE)


def test_a_lent_device_keeps_its_kind_while_the_kernel_hides_its_interfaces(bench: Bench) -> None:
    share(bench)
    before = bench.wait_state(DeviceState.IN_USE)
    bench.bus.bind("1-4", "usbip-host")
    assert bench.engine is not None
    bench.engine.rescan()
    bench.wait(lambda seen: any(row.driver == "usbip-host" for row in seen.rows), "seen on the other driver")
    assert bench.wait_state(DeviceState.IN_USE).kind is before.kind


def test_a_device_lent_by_another_program_is_not_touched(bench: Bench) -> None:
    bench.bus.plug()
    bench.bus.bind("1-4", "usbip-host")
    bench.configure(ENTRY)
    bench.run().set_session(bench.session())
    assert bench.wait_state(DeviceState.BLOCKED).problem == "already-in-use"
    bench.helper.wait_for("recovers")
    assert bench.helper.diary() == ["recovers"]


def test_a_device_that_a_killed_helper_left_and_nobody_wants_is_given_back(bench: Bench) -> None:
    share(bench)
    bench.wait_state(DeviceState.IN_USE)
    bench.helper.behave("crash-return")
    bench.configure("")
    bench.helper.wait_for("recovers")
    assert bench.wait_state(DeviceState.FAILED).problem == "helper-died"


def test_a_mistake_of_ours_is_told_and_lets_the_devices_go(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    share(bench)
    bench.wait_state(DeviceState.IN_USE)
    monkeypatch.setattr(threading, "excepthook", lambda _: None)
    assert bench.engine is not None
    monkeypatch.setattr("client_gui.desk.Desk.refresh", lambda _: 1 / 0)
    bench.engine.rescan()
    bench.wait(lambda seen: [problem.code for problem in seen.problems] == ["internal"], "told")
    bench.helper.wait_for("left alone")
    bench.engine.stop()
