"""A session that was there and is not any more: what is said of it, how soon, and that it comes back by itself."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest

from client_gui import reach
from client_gui.state import DeviceState, SessionView, Snapshot
from tests.unit.client_gui.bench import Bench
from tests.unit.client_gui.command import program, run
from tests.unit.client_gui.slave_peer import KEY

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ENTRY = "0bda:58c2@1234"


def shows(test: Callable[[SessionView], bool]) -> Callable[[Snapshot], bool]:
    return lambda seen: seen.session is not None and test(seen.session)


def share(bench: Bench) -> None:
    """A device is in use, and the way was measured: the session is not asked again for a while."""
    bench.bus.plug()
    bench.configure(ENTRY)
    bench.run().set_session(bench.session())
    bench.wait_state(DeviceState.IN_USE)
    deadline = time.monotonic() + 20
    while bench.peer.requests.count("PingRequest") < reach.ROUND_TRIPS:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def lose(bench: Bench) -> None:
    bench.peer.manner = "close"
    bench.peer.drop()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reach, "AGAIN_AT_FIRST", 0.01)
    monkeypatch.setattr(reach, "AGAIN_WHEN_BAD", 2.0)


@pytest.mark.usefixtures("quick")
def test_a_lost_session_counts_down_and_comes_back(bench: Bench) -> None:
    share(bench)
    time.sleep(reach.AGAIN_WHEN_BAD)  # until its last good answer is old enough to be doubted
    lose(bench)
    bench.wait(
        shows(lambda view: view.lost and view.retry_in == 2.0), "lost, and not only at the next regular question"
    )
    bench.wait(shows(lambda view: view.lost and view.retry_in == 1.0), "counted down")
    bench.wait(shows(lambda view: view.lost and view.retry_in == 2.0), "tried in vain, and counts anew")
    bench.peer.manner = "good"
    bench.wait(shows(lambda view: view.connected and not view.lost and view.retry_in is None), "back by itself")
    bench.wait_state(DeviceState.IN_USE)


def test_a_device_that_comes_through_brings_the_session_back_before_it_is_asked_the_next_time(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reach, "AGAIN_AT_FIRST", 0.01)
    share(bench)
    monkeypatch.setattr(reach, "AGAIN_WHEN_BAD", 0.0)
    monkeypatch.setattr(reach, "AGAIN_WHEN_GOOD", 3600.0)
    lose(bench)
    bench.wait(shows(lambda view: view.lost), "lost")
    monkeypatch.setattr(reach, "AGAIN_WHEN_BAD", 3600.0)
    bench.wait(shows(lambda view: view.lost and (view.retry_in or 0.0) > 60.0), "asked in an hour again")
    bench.peer.manner = "good"
    bench.wait_state(DeviceState.IN_USE)
    bench.wait(lambda seen: not seen.problems, "and nothing is wrong any more")


@pytest.mark.usefixtures("quick")
def test_it_is_counted_without_any_device_and_not_while_it_is_tried(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("client_gui.engine.RESCAN_EVERY", 3600)
    monkeypatch.setattr(reach, "AGAIN_WHEN_GOOD", 0.1)
    bench.run().set_session(bench.session())
    bench.wait(shows(lambda view: view.connected), "connected")
    bench.peer.manner = "close"
    bench.wait(shows(lambda view: view.lost and view.retry_in == 2.0), "lost")
    bench.peer.manner = "silent"
    bench.wait(shows(lambda view: view.lost and view.retry_in == 1.0), "counted down")
    bench.wait(shows(lambda view: view.lost and view.retry_in is None), "being tried")


@pytest.mark.parametrize("manner", ["close", "403", "503"])
def test_a_session_that_was_never_there_is_not_lost(bench: Bench, manner: str) -> None:
    bench.peer.manner = manner
    bench.run().set_session(bench.session())
    bench.wait(shows(lambda view: "connecting" not in view.text), "said why")
    assert not any(seen.session.lost for seen in bench.seen if seen.session is not None)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("manner", ["403", "503"])
def test_a_session_that_refuses_is_not_lost(bench: Bench, manner: str) -> None:
    """Its key changed, or it is full: it is there, and says so itself."""
    share(bench)
    time.sleep(reach.AGAIN_WHEN_BAD)
    bench.peer.manner = manner
    bench.peer.drop()
    bench.wait(shows(lambda view: not view.connected and "connecting" not in view.text), "said why")
    assert not any(seen.session.lost for seen in bench.seen if seen.session is not None)


@pytest.mark.usefixtures("at_home", "quick")
def test_the_command_tells_it_too(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    bench.runtime = bench.runtime / "qvd-usbip"
    share(bench)
    time.sleep(reach.AGAIN_WHEN_BAD)
    lose(bench)
    bench.wait(shows(lambda view: view.retry_in is not None), "lost")
    deadline = time.monotonic() + 20
    while "session lost, trying again in " not in (said := run(capsys, "status")[1]):
        assert time.monotonic() < deadline, said
        time.sleep(0.05)


def test_connect_says_it_once_however_long_it_counts(bench: Bench, repository: Path) -> None:
    session = {"v": 1, "name": "Work", "address": bench.peer.address, "key": KEY, "encryption": "none"}
    connected = program(bench, repository, "connect", "--session", "-", "--json")
    assert connected.stdin is not None
    assert connected.stdout is not None
    connected.stdin.write(json.dumps(session).encode())
    connected.stdin.flush()
    views: list[dict[str, object]] = []
    while not views or not views[-1]["lost"]:
        views.append(json.loads(connected.stdout.readline())["session"])
        if views[-1]["connected"]:
            lose(bench)
    assert views[-1]["retry_in"] == 5.0
    time.sleep(2.5)  # it counts
    connected.stdin.close()
    connected.stdin = None
    out, _ = connected.communicate(timeout=30)
    events = [json.loads(line)["event"] for line in out.splitlines()]
    assert events.count("session") == 0
