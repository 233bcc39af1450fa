"""What the engine asks before it shares, what it remembers of the answer, and what it does at plugging."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from client_gui import memory
from client_gui.state import Asked, DeviceState, Mode, Row, Volume
from client_gui.troubles import Fault
from client_gui.volumes import Filesystem
from qvd_usbip.errors import CONFIG_UNWRITABLE, QvdUsbError
from qvd_usbip.system.files import save_atomic
from tests.unit.client_gui.bench import Bench

if TYPE_CHECKING:
    from client_gui.engine import Engine

ENTRY = "0bda:58c2@1234"
KEYBOARD = "03 01 01"
STICK = "08 06 50"
MOUNTED = Filesystem(
    node="/dev/sdb1", volume=Volume(name="BACKUP", path="/media/user/BACKUP", size=1), places=("/media/user/BACKUP",)
)


def share(bench: Bench, interface: str = "02 02 01") -> Engine:
    """A ticked device is plugged in and a session is there."""
    bench.bus.plug(interface=interface)
    bench.configure(ENTRY)
    engine = bench.run()
    engine.set_session(bench.session())
    return engine


def replug(bench: Bench, **changes: str) -> None:
    """The device goes, the engine sees it, and it (or what it is now) comes back."""
    assert bench.engine is not None
    bench.bus.unplug()
    bench.engine.rescan()
    bench.wait_state_absent()
    bench.bus.plug(**changes)
    bench.engine.rescan()


def asked(row: Row) -> Asked | None:
    return None if row.consent is None else row.consent.asked


def shares(bench: Bench) -> int:
    return bench.helper.diary().count("bound")


def test_a_keyboard_that_somebody_wrote_into_the_list_is_asked_about_once(bench: Bench) -> None:
    engine = share(bench, KEYBOARD)
    assert asked(bench.wait_state(DeviceState.CONFIRM)) is Asked.UNLOCK
    assert shares(bench) == 0
    engine.agree(ENTRY, Asked.UNLOCK)
    bench.wait_state(DeviceState.IN_USE)
    assert bench.helper.consents() == [["keyboard"]]
    replug(bench, interface=KEYBOARD)
    bench.wait_state(DeviceState.IN_USE)
    assert shares(bench) == 2


def test_a_keyboard_that_only_the_helper_recognises_is_asked_about_once(bench: Bench) -> None:
    bench.helper.behave("locked-keyboard", "locked-mouse")
    engine = share(bench, "03 00 00")
    row = bench.wait_state(DeviceState.CONFIRM)
    assert asked(row) is Asked.UNLOCK
    engine.agree(ENTRY, Asked.UNLOCK)
    bench.wait_state(DeviceState.IN_USE)
    assert bench.helper.consents()[-1] == ["keyboard", "mouse"]
    replug(bench, interface="03 00 00")
    bench.wait_state(DeviceState.IN_USE)
    assert bench.helper.diary().count("refused") == 1


def test_unlocking_a_keyboard_ticks_it(bench: Bench) -> None:
    bench.bus.plug(interface=KEYBOARD)
    engine = bench.run()
    engine.set_session(bench.session())
    assert asked(bench.wait_state(DeviceState.LOCKED)) is Asked.UNLOCK
    engine.agree(ENTRY, Asked.UNLOCK)
    bench.wait_state(DeviceState.IN_USE)
    assert ENTRY in Path(bench.files.user).read_text()


def test_a_device_that_came_back_as_something_else_waits_for_a_yes(bench: Bench) -> None:
    engine = share(bench)
    bench.wait_state(DeviceState.IN_USE)
    replug(bench, interface=KEYBOARD)
    row = bench.wait_state(DeviceState.CONFIRM)
    assert asked(row) is Asked.CHANGE
    assert shares(bench) == 1
    engine.agree(ENTRY, Asked.CHANGE)
    bench.wait_state(DeviceState.IN_USE)
    assert bench.helper.consents()[-1] == ["keyboard"]


def test_a_changed_device_that_is_ticked_anew_is_what_it_is_now(bench: Bench) -> None:
    engine = share(bench)
    bench.wait_state(DeviceState.IN_USE)
    replug(bench, interface=STICK)
    bench.wait_state(DeviceState.CONFIRM)
    engine.toggle(ENTRY, False)
    bench.wait_state(DeviceState.NOT_SHARED)
    engine.toggle(ENTRY, True)
    bench.wait_state(DeviceState.IN_USE)


def test_what_many_devices_are_at_their_first_share_is_written_down_at_once(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each write waits for the disk, and the engine with it."""
    written: list[bytes] = []

    def save(path: Path, data: bytes, mode: int) -> None:
        written.append(data)
        save_atomic(path, data, mode)

    monkeypatch.setattr("client_gui.memory.save_atomic", save)
    serials = sorted(f"s{port}" for port in range(1, 25))
    for port, serial in enumerate(serials, 1):
        bench.bus.plug(f"1-{port}", serial=serial)
    bench.configure("0bda:58c2")
    bench.run().set_session(bench.session())
    bench.wait(lambda seen: len(seen.rows) == 24 and all(row.state is DeviceState.IN_USE for row in seen.rows), "used")
    assert [sorted(memory.parse(data.decode())) for data in written] == [
        sorted(f"0bda:58c2@{each}" for each in serials)
    ]
    known = memory.parse(written[0].decode())
    assert all(each.fingerprint for each in known.values())


def test_a_denied_device_is_not_shared_and_the_rule_is_told(bench: Bench) -> None:
    administrators = Path(bench.files.rules[0])
    administrators.parent.mkdir()
    administrators.write_text("deny class=serial # No adapters\n")
    share(bench)
    row = bench.wait_state(DeviceState.BLOCKED)
    assert "No adapters" in row.problem_text
    assert row.rule is not None
    assert (row.rule.file, row.rule.line, row.rule.administrator) == (str(administrators), 1, True)
    administrators.unlink()
    assert bench.engine is not None
    bench.engine.rescan()
    bench.wait_state(DeviceState.IN_USE)


def test_rules_that_cannot_be_read_let_nothing_out(bench: Bench) -> None:
    users = Path(bench.files.rules[1])
    users.parent.mkdir(parents=True)
    users.write_text("allow everything\n")
    share(bench)
    row = bench.wait_state(DeviceState.BLOCKED)
    assert (row.problem, shares(bench)) == ("settings-malformed", 0)
    assert "line 1" in row.problem_text


def test_a_device_to_be_asked_about_is_asked_about_at_each_plugging(bench: Bench) -> None:
    engine = share(bench)
    bench.wait_state(DeviceState.IN_USE)
    engine.set_mode(ENTRY, Mode.ASK)
    replug(bench)
    assert asked(bench.wait_state(DeviceState.CONFIRM)) is Asked.PLUGGED
    engine.agree(ENTRY, Asked.PLUGGED)
    bench.wait_state(DeviceState.IN_USE)


def test_a_device_to_be_asked_about_is_asked_about_in_each_session(bench: Bench) -> None:
    engine = share(bench)
    engine.set_mode(ENTRY, Mode.ASK)
    bench.wait_state(DeviceState.CONFIRM)
    engine.agree(ENTRY, Asked.PLUGGED)
    bench.wait_state(DeviceState.IN_USE)
    engine.set_session(None)
    bench.wait_state(DeviceState.WAITING)
    engine.set_session(bench.session())
    bench.wait_state(DeviceState.CONFIRM)


def test_a_manual_device_stays_here_until_it_is_switched_on_by_hand(bench: Bench) -> None:
    engine = share(bench)
    bench.wait_state(DeviceState.IN_USE)
    engine.set_mode(ENTRY, Mode.MANUAL)
    bench.wait(lambda seen: any(row.mode is Mode.MANUAL for row in seen.rows), "manual")
    replug(bench)
    assert bench.wait_state(DeviceState.NOT_SHARED).ticked is False
    assert ENTRY in Path(bench.files.user).read_text()
    engine.toggle(ENTRY, True)
    assert bench.wait_state(DeviceState.IN_USE).ticked


def test_what_another_program_ticks_is_ticked_by_hand(bench: Bench) -> None:
    bench.bus.plug()
    engine = bench.run()
    engine.set_session(bench.session())
    engine.set_mode(ENTRY, Mode.MANUAL)
    bench.wait_state(DeviceState.NOT_SHARED)
    bench.configure(ENTRY)
    bench.wait_state(DeviceState.IN_USE)


def test_a_nickname_is_shown_and_survives_the_engine(bench: Bench) -> None:
    engine = share(bench)
    engine.rename(ENTRY, "the\x1b one ")
    bench.wait(lambda seen: any(row.nickname == "the\\x1b one" for row in seen.rows), "named")
    bench.bus.unplug()
    engine.rescan()
    bench.wait(lambda seen: any(row.busid is None and row.nickname for row in seen.rows), "named while absent")
    engine.rename(ENTRY, "")
    bench.wait(lambda seen: not any(row.nickname for row in seen.rows), "not named any more")


def test_a_device_that_is_away_keeps_the_name_it_gave_itself_and_what_it_is(bench: Bench) -> None:
    engine = share(bench)
    here = bench.wait_state(DeviceState.IN_USE)
    bench.bus.unplug()
    engine.rescan()
    (away,) = bench.wait(lambda seen: any(row.state is DeviceState.ABSENT for row in seen.rows), "away").rows
    assert (away.product, away.vendor, away.kind) == (here.product, here.vendor, here.kind)
    assert here.product
    assert here.vendor


def test_a_followed_port_shares_what_comes_to_it_for_a_while(bench: Bench) -> None:
    engine = share(bench)
    engine.follow_port(ENTRY, 30)
    bench.wait_state(DeviceState.IN_USE)
    bench.wait(lambda seen: any(row.follows_port == 30 for row in seen.rows), "followed")
    replug(bench, vidpid="0483:df11", serial="boot")
    row = bench.wait_state(DeviceState.IN_USE)
    assert (str(row.vidpid), row.ticked) == ("0483:df11", True)
    assert "0483" not in Path(bench.files.user).read_text()
    replug(bench)
    assert bench.wait_state(DeviceState.IN_USE).identity == ENTRY


def test_what_comes_to_a_followed_port_is_asked_about_like_any_other(bench: Bench) -> None:
    engine = share(bench)
    engine.follow_port(ENTRY, 30)
    bench.wait_state(DeviceState.IN_USE)
    replug(bench, vidpid="0483:df11", serial="boot", interface=KEYBOARD)
    assert asked(bench.wait_state(DeviceState.CONFIRM)) is Asked.UNLOCK
    engine.toggle("0483:df11@boot", False)
    bench.wait_state(DeviceState.LOCKED)
    assert shares(bench) == 1


def test_a_port_is_not_followed_for_ever(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = share(bench)
    engine.follow_port(ENTRY, 30)
    bench.wait_state(DeviceState.IN_USE)
    bench.bus.unplug()
    engine.rescan()
    bench.wait_state_absent()
    monkeypatch.setattr("client_gui.advisor.time.monotonic", lambda now=time.monotonic: now() + 60)
    bench.bus.plug(vidpid="0483:df11", serial="boot")
    engine.rescan()
    assert bench.wait_state(DeviceState.NOT_SHARED).identity == "0483:df11@boot"


def test_a_mounted_stick_is_unmounted_after_a_yes_and_then_shared(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    mounted = [MOUNTED]
    monkeypatch.setattr("client_gui.advisor.filesystems_of", lambda *_: tuple(mounted))
    monkeypatch.setattr("client_gui.desk.unmount", lambda filesystems: mounted.clear())
    engine = share(bench, STICK)
    row = bench.wait_state(DeviceState.CONFIRM)
    assert (asked(row), row.volumes) == (Asked.STORAGE, (MOUNTED.volume,))
    engine.agree(ENTRY, Asked.STORAGE)
    bench.wait_state(DeviceState.IN_USE)
    assert bench.helper.consents() == [["storage"]]
    assert DeviceState.RELEASING in bench.states()


def test_a_stick_that_cannot_be_unmounted_says_who_uses_it_and_asks_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    mounted = [MOUNTED]
    results = [Fault(code="storage-in-use", text="bash (42) still uses BACKUP.", remedy="Close it."), None]

    def unmount(_: object) -> Fault | None:
        if results[0] is None:
            mounted.clear()
        return results.pop(0)

    monkeypatch.setattr("client_gui.advisor.filesystems_of", lambda *_: tuple(mounted))
    monkeypatch.setattr("client_gui.desk.unmount", unmount)
    engine = share(bench, STICK)
    bench.wait_state(DeviceState.CONFIRM)
    engine.agree(ENTRY, Asked.STORAGE)
    bench.wait(lambda seen: any("bash (42)" in row.problem_text for row in seen.rows), "told who")
    assert bench.wait_state(DeviceState.CONFIRM).problem == "storage-in-use"
    engine.agree(ENTRY, Asked.STORAGE)
    assert bench.wait_state(DeviceState.IN_USE).problem == ""


def test_unmounting_alone_shares_nothing(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    mounted = [MOUNTED]
    monkeypatch.setattr("client_gui.advisor.filesystems_of", lambda *_: tuple(mounted))
    monkeypatch.setattr("client_gui.desk.unmount", lambda filesystems: mounted.clear())
    bench.bus.plug(interface=STICK)
    engine = bench.run()
    engine.set_session(bench.session())
    assert asked(bench.wait_state(DeviceState.NOT_SHARED)) is Asked.STORAGE
    engine.unmount(ENTRY)
    bench.wait(lambda seen: not any(row.volumes for row in seen.rows), "unmounted")
    assert bench.wait_state(DeviceState.NOT_SHARED).consent is None
    assert shares(bench) == 0


def test_what_cannot_be_written_down_is_told_and_does_not_stop_the_share(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is written as soon as that can be, and then nothing is said any more."""
    full = [True]

    def save(path: str, data: bytes, mode: int) -> None:
        if full:
            raise QvdUsbError(CONFIG_UNWRITABLE, path=path, reason="the disk is full")
        save_atomic(path, data, mode)

    monkeypatch.setattr("client_gui.memory.save_atomic", save)
    monkeypatch.setattr("client_gui.memory.AGAIN", 0.0)
    engine = share(bench)
    seen = bench.wait(lambda seen: any(row.state is DeviceState.IN_USE for row in seen.rows), "shared all the same")
    assert [problem.code for problem in seen.problems] == ["config-unwritable"]
    engine.rename(ENTRY, "the good one")
    seen = bench.wait(lambda seen: seen.rows[0].nickname == "the good one", "named all the same")
    assert [problem.code for problem in seen.problems] == ["config-unwritable"]
    full.clear()
    bench.wait(lambda seen: not seen.problems, "nothing to be said")
    (known,) = memory.parse(Path(bench.files.own_folder, "devices.json").read_text()).values()
    assert (known.nickname, bool(known.fingerprint)) == ("the good one", True)
