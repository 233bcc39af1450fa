"""The user's own commands: run once for each thing that happened, and never waited for."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from client_gui import hooks
from client_gui.hooks import FAIL, RETURN, SHARE, Course, Hooks, environment
from client_gui.loop import Loop
from client_gui.selection import rows_of
from client_gui.settings import KEYS
from client_gui.state import DeviceState
from tests.unit.client_gui.bench import Bench
from tests.unit.client_gui.devices import device, situation

if TYPE_CHECKING:
    from pathlib import Path

(ROW,) = rows_of([device()], situation(device()))


def course(*states: str) -> list[str]:
    """What is told as the device goes through these states; "failed:CODE" for a problem, "" for no device at all."""
    told, seen = Course(), []
    for state in states:
        name, _, problem = state.partition(":")
        rows = [replace(ROW, state=DeviceState(name), problem=problem)] if name else []
        seen += [event for event, _ in told.events(rows)]
    return seen


@pytest.mark.parametrize(
    ("states", "told"),
    [
        (("not-shared", "releasing", "connecting", "attached", "in-use", "attached", "in-use"), [SHARE]),
        (("in-use", "returning", "not-shared"), [SHARE, RETURN]),
        (("in-use", ""), [SHARE]),
        (("in-use", "absent", "in-use"), [SHARE, SHARE]),
        (("in-use", "absent", "not-shared"), [SHARE]),
        (("in-use", "returning", "failed:return-failed", "failed:return-failed"), [SHARE, FAIL]),
        (("in-use", "returning", "failed:helper-died", "not-shared", "not-shared"), [SHARE, FAIL, RETURN]),
        (("in-use", "returning", "failed:return-failed", "releasing", "in-use"), [SHARE, FAIL, SHARE]),
        (("in-use", "returning", "failed:return-failed", "", "not-shared"), [SHARE, FAIL]),
        (("in-use", "returning", "blocked:already-in-use", "waiting"), [SHARE, FAIL, RETURN]),
        (("releasing", "failed:peer-gone", "failed:peer-gone"), [FAIL]),
        (("releasing", "failed:a", "releasing", "failed:a", "releasing", "failed:b"), [FAIL, FAIL]),
        (("in-use", "returning", "failed:a"), [SHARE, RETURN, FAIL]),
        (("releasing", "failed:a", "releasing", "in-use", "returning", "failed:a"), [FAIL, SHARE, RETURN, FAIL]),
        (("blocked:helper-missing", "blocked:helper-missing"), []),
        (("waiting", "locked", "confirm"), []),
    ],
)  # fmt: skip
def test_each_thing_is_told_once(states: tuple[str, ...], told: list[str]) -> None:
    assert course(*states) == told


def test_the_command_learns_about_the_device_and_gets_no_shell(bench: Bench) -> None:
    said = bench.folder / "said"
    script = bench.folder / "tell"
    script.write_text(f'#!/bin/sh\necho "$1 $QVD_USB_EVENT $QVD_USB_BUSID $QVD_USB_DEVICE $QVD_USB_NAME" >>{said}\n')
    script.chmod(0o755)
    bench.bus.plug()
    commands = {"client.usb.on-share": f"{script} '$(id)'", "client.usb.on-return": f"{script} back"}
    bench.configure("0bda:58c2@1234", **commands)
    engine = bench.run()
    engine.set_session(bench.session())
    bench.wait_state(DeviceState.IN_USE)
    engine.set_session(None)
    bench.wait_state(DeviceState.WAITING)
    deadline = time.monotonic() + 20
    while len(said.read_text().splitlines() if said.exists() else ()) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert sorted(said.read_text().splitlines()) == [
        "$(id) share 1-4 0bda:58c2@1234 ACME Adapter 1234",
        "back return 1-4 0bda:58c2@1234 ACME Adapter 1234",
    ]


@pytest.mark.parametrize("command", ["/no/such/program", "'", "\0"])
def test_a_command_that_cannot_be_run_harms_nothing(command: str) -> None:
    loop = Loop()
    Hooks(loop).note([replace(ROW, state=DeviceState.IN_USE)], {SHARE: command})
    loop.close()


def test_a_command_that_does_not_end_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hooks, "HOOK_LIMIT", 0.1)
    monkeypatch.setattr(hooks, "LOOK_EVERY", 0.01)
    loop = Loop()
    running = Hooks(loop)
    running.note([replace(ROW, state=DeviceState.IN_USE)], {SHARE: "sleep 60"})
    assert running._running
    deadline = time.monotonic() + 20
    while running._running:
        assert time.monotonic() < deadline
        loop.turn(0.02)
    loop.close()


@pytest.mark.parametrize(("command", "said"), [("false", ["on-share failed: status=1"]), ("true", [])])
@pytest.mark.parametrize("at_the_end", [False, True])
def test_a_command_that_fails_is_named_in_the_log(
    command: str, said: list[str], at_the_end: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(hooks, "LOOK_EVERY", 0.01)
    loop = Loop()
    running = Hooks(loop)
    running.note([replace(ROW, state=DeviceState.IN_USE)], {SHARE: command})
    deadline = time.monotonic() + 20
    while running._running and not at_the_end:
        assert time.monotonic() < deadline
        loop.turn(0.02)
    running.close()
    loop.close()
    assert [record.getMessage().partition(" pid=")[0] for record in caplog.records] == said


def test_a_storm_of_commands_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hooks, "MOST", 2)
    loop = Loop()
    running = Hooks(loop)
    rows = [replace(ROW, key=str(number), state=DeviceState.IN_USE) for number in range(5)]
    running.note(rows, {SHARE: "sleep 0.05"})
    assert len(running._running) == 2
    running.close()
    loop.close()


def test_the_end_of_the_engine_is_the_end_of_its_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hooks, "END_LIMIT", 0.05)
    loop = Loop()
    running = Hooks(loop)
    running.note([replace(ROW, state=DeviceState.IN_USE)], {SHARE: "sleep 60"})
    ((_, process, _),) = running._running
    running.close()
    assert process.returncode == -9
    loop.close()


def test_what_a_device_calls_itself_reaches_the_command_as_one_line() -> None:
    (row,) = rows_of([device(product="x\n\0y", serial="a\0b")], situation(device()))
    told = environment(SHARE, row)
    assert all("\0" not in value and "\n" not in value for value in told.values())


def test_what_a_command_is_told_is_what_the_settings_page_says() -> None:
    told = KEYS["client.usb.on-fail"].about
    assert set(re.findall(r"QVD_USB_[A-Z]+", told)) == environment(FAIL, ROW).keys()
