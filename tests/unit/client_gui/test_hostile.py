"""Peers and helpers that are silent, die between steps or talk nonsense: a named failure, the device home, a retry."""

from __future__ import annotations

import time

import pytest

from client_gui import lending, steps
from client_gui.state import DeviceState
from tests.unit.client_gui.bench import Bench

ENTRY = "0bda:58c2@1234"
ANSWERS = steps.RELEASE_LIMIT / 4  # seconds, on a machine that does much else


@pytest.fixture
def short_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same limits, counted faster."""
    for name, seconds in {
        "RELEASE_LIMIT": 1.5, "CHANNEL_LIMIT": 1.0, "EXPORT_LIMIT": 1.0, "CONFIRM_LIMIT": 1.5, "RETURN_LIMIT": 1.0,
    }.items():  # fmt: skip
        monkeypatch.setattr(steps, name, seconds)
    monkeypatch.setattr(lending, "ACK_PAUSE", 0.1)
    monkeypatch.setattr(lending, "ACK_WAIT", 1)
    monkeypatch.setattr(lending, "ACK_SLACK", 0.2)


def share(bench: Bench, address: str = "") -> None:
    bench.bus.plug()
    bench.configure(ENTRY)
    bench.run().set_session(bench.session(address))


@pytest.mark.parametrize(
    ("manner", "code"),
    [
        ("close", "peer-gone"),
        ("garbage", "slave-protocol"),
        ("half", "peer-gone"),
        ("endless", "slave-protocol"),
        ("chatty", "slave-protocol"),
        ("200", "slave-protocol"),
        ("400", "slave-protocol"),
        ("401", "slave-key-missing"),
        ("403", "slave-refused-key"),
        ("404", "slave-protocol"),
        ("500", "slave-protocol"),
        ("503", "slave-limit"),
    ],
)
def test_a_peer_that_does_not_take_the_device(bench: Bench, manner: str, code: str) -> None:
    bench.peer.manner = manner
    share(bench)
    row = bench.wait_state(DeviceState.FAILED)
    assert row.problem == code
    assert row.problem_text
    assert row.remedy
    assert (row.retry_in is None) == (code in steps.FINAL)
    bench.helper.wait_for("returned")
    assert "exported" not in bench.helper.diary()


@pytest.mark.usefixtures("short_limits")
def test_a_peer_that_says_nothing(bench: Bench) -> None:
    bench.peer.manner = "silent"
    share(bench)
    row = bench.wait_state(DeviceState.FAILED)
    assert row.problem == "slave-silent"
    assert row.retry_in is not None
    bench.helper.wait_for("returned")


def test_the_wrong_key_is_told_and_never_shown(bench: Bench) -> None:
    bench.bus.plug()
    bench.configure(ENTRY)
    bench.run().set_session(bench.session(key="bm90LXRoZS1rZXk"))
    row = bench.wait_state(DeviceState.FAILED)
    assert row.problem == "slave-refused-key"
    assert "bm90LXRoZS1rZXk" not in repr(bench.seen)
    assert "bm90LXRoZS1rZXk" not in (bench.runtime / "status.json").read_text()


@pytest.mark.parametrize("address", ["127.0.0.1:1", "localhost:1", "unix:/nonexistent/slave.sock", "[::1]:1"])
def test_nobody_listens(bench: Bench, address: str) -> None:
    share(bench, address)
    row = bench.wait_state(DeviceState.FAILED)
    assert row.problem == "slave-unreachable"
    assert row.retry_in is not None


def test_a_name_that_does_not_exist_is_told_and_asked_again(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def ask(host: str, *_: object, **__: object) -> list[object]:
        asked.append(host)
        raise OSError

    monkeypatch.setattr("client_gui.dial.socket.getaddrinfo", ask)
    bench.bus.plug()
    bench.configure(ENTRY, client__usb__allow_plaintext="1")
    bench.run().set_session(bench.session("desktop.invalid:11100"))
    assert bench.wait_state(DeviceState.FAILED).problem == "slave-unreachable"
    deadline = time.monotonic() + 10
    while len(asked) < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    assert asked[:2] == ["desktop.invalid"] * 2


@pytest.mark.usefixtures("short_limits")
@pytest.mark.parametrize(
    ("manner", "code"),
    [("ack-silent", "slave-silent"), ("ack-garbage", "slave-protocol"), ("ack-close", "peer-gone")],
)
def test_a_peer_that_takes_the_device_and_never_says_how_far_it_is(bench: Bench, manner: str, code: str) -> None:
    bench.peer.manner = manner
    share(bench)
    row = bench.wait_state(DeviceState.FAILED)
    assert row.problem in {code, "device-timeout"}
    bench.helper.wait_for("returned")
    assert {DeviceState.ATTACHED, DeviceState.IN_USE}.isdisjoint(bench.states())


@pytest.mark.parametrize(
    ("manner", "code"),
    [
        ("die-bind", "helper-died"),
        ("die-export", "helper-died"),
        ("crash-bind", "helper-died"),
        ("crash-export", "helper-died"),
        ("garbage-bind", "helper-died"),
        ("garbage-export", "helper-died"),
        ("status-bind", "storage-in-use"),
        ("status-export", "storage-in-use"),
        ("refuse-bind", "storage-in-use"),
        ("refuse-export", "storage-in-use"),
    ],
)
def test_a_helper_that_does_not_lend_the_device(bench: Bench, manner: str, code: str) -> None:
    bench.helper.behave(manner)
    share(bench)
    state = DeviceState.BLOCKED if code == "storage-in-use" else DeviceState.FAILED
    row = bench.wait_state(state)
    assert row.problem == code
    assert row.problem_text
    assert row.remedy
    bench.helper.behave()
    assert bench.engine is not None
    bench.engine.retry(ENTRY)
    bench.wait_state(DeviceState.IN_USE)


@pytest.mark.usefixtures("short_limits")
@pytest.mark.parametrize("manner", ["hang-bind", "hang-export"])
def test_a_helper_that_hangs(bench: Bench, manner: str) -> None:
    bench.helper.behave(manner)
    share(bench)
    row = bench.wait_state(DeviceState.FAILED)
    assert row.problem == "helper-silent"
    assert row.retry_in is not None
    bench.helper.behave()
    assert bench.engine is not None
    bench.engine.retry(ENTRY)
    bench.wait_state(DeviceState.IN_USE)


@pytest.mark.usefixtures("short_limits")
@pytest.mark.parametrize("manner", ["hang-return", "die-return", "crash-return", "garbage-return", "keep"])
def test_a_helper_that_does_not_return_the_device_is_not_waited_for_for_ever(bench: Bench, manner: str) -> None:
    bench.helper.behave(manner)
    share(bench)
    bench.wait_state(DeviceState.IN_USE)
    assert bench.engine is not None
    bench.engine.toggle(ENTRY, False)
    bench.wait(
        lambda seen: all(row.state in {DeviceState.NOT_SHARED, DeviceState.FAILED} for row in seen.rows), "an end"
    )


def test_a_helper_that_is_not_there(bench: Bench) -> None:
    bench.helper.path.unlink()
    share(bench)
    row = bench.wait_state(DeviceState.FAILED)
    assert (row.problem, row.retry_in) == ("helper-missing", None)
    assert str(bench.helper.path) in row.problem_text


def test_a_helper_that_may_not_be_run(bench: Bench) -> None:
    bench.helper.path.write_text("not a program")
    share(bench)
    assert bench.wait_state(DeviceState.FAILED).problem == "helper-missing"


def test_the_engine_answers_while_everything_hangs(bench: Bench) -> None:
    bench.helper.behave("hang-bind")
    for port in range(1, 9):
        bench.bus.plug(f"1-{port}", serial=f"s{port}")
    bench.configure("0bda:58c2")
    engine = bench.run()
    engine.set_session(bench.session())
    bench.wait_state(DeviceState.RELEASING, "1-8")
    began = time.monotonic()
    engine.toggle("0bda:58c2@s1", False)
    bench.wait(lambda seen: any(row.serial == "s1" and not row.ticked for row in seen.rows), "unticked")
    assert time.monotonic() - began < ANSWERS


@pytest.mark.usefixtures("short_limits")
def test_the_peer_goes_in_every_step_and_comes_back(bench: Bench) -> None:
    share(bench)
    bench.wait_state(DeviceState.IN_USE)
    for manner in ("close", "half", "silent"):
        bench.peer.manner = manner
        bench.peer.drop()
        bench.wait_state(DeviceState.FAILED)
        bench.peer.manner = "good"
        assert bench.engine is not None
        bench.engine.retry(ENTRY)
        bench.wait_state(DeviceState.IN_USE)
    assert bench.helper.diary().count("bound") == bench.helper.diary().count("returned") + 1
