"""One device's share never gets stuck, never leaves a device out, and tells the truth about where it is."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from client_gui import steps
from client_gui.state import DeviceState
from client_gui.steps import Act, Event, Happened, Machine, Phase, Reach, decide, retry_delay, shown, standing
from client_gui.troubles import Fault

FAULTY = {
    Happened.HELPER_REFUSED,
    Happened.HELPER_GONE,
    Happened.CHANNEL_LOST,
    Happened.DROPPED,
    Happened.ACK_REFUSED,
    Happened.ACK_GONE,
    Happened.ACK_LOST,
}
HOLDING = {Phase.RELEASING, Phase.CONNECTING, Phase.EXPORTING, Phase.SHARED, Phase.RETURNING}

codes = st.sampled_from(["peer-gone", "slave-refused-key", "storage-in-use", "bind-failed", "slave-unreachable"])
events = st.sampled_from(list(Happened)).flatmap(
    lambda kind: codes.map(lambda code: Event(kind=kind, fault=Fault(code=code) if kind in FAULTY else None))
)
histories = st.lists(st.tuples(events, st.floats(min_value=0, max_value=100)), max_size=40)


def event(kind: Happened, code: str = "") -> Event:
    return Event(kind=kind, fault=Fault(code=code) if code else None)


def play(*happened: Event | Happened, machine: Machine | None = None, now: float = 100.0) -> tuple[Machine, list[Act]]:
    """Feeds events a millisecond apart; returns the machine and the acts of the last event."""
    machine = machine or Machine()
    acts: tuple[Act, ...] = ()
    for count, one in enumerate(happened):
        full = event(one) if isinstance(one, Happened) else one
        machine, acts = decide(machine, full, now + count / 1000)
    return machine, list(acts)


GOOD = (
    Happened.WANTED,
    Happened.BOUND,
    Happened.CHANNEL_UP,
    Happened.EXPORTED,
    Happened.ACK_ATTACHED,
    Happened.ACK_READY,
)


def test_the_way_of_a_device_that_is_shared() -> None:
    machine = Machine()
    seen = []
    for count, kind in enumerate(GOOD):
        machine, acts = decide(machine, event(kind), 5.0 + count)
        seen.append((shown(machine), acts))
    assert seen == [
        (DeviceState.RELEASING, (Act.START_HELPER,)),
        (DeviceState.CONNECTING, (Act.OPEN_CHANNEL,)),
        (DeviceState.CONNECTING, (Act.HAND_OVER,)),
        (DeviceState.CONNECTING, (Act.ASK_ACK,)),
        (DeviceState.ATTACHED, ()),
        (DeviceState.IN_USE, ()),
    ]
    assert [(step.name, step.milliseconds) for step in machine.steps] == [
        ("released", 1000),
        ("exported", 3000),
        ("attached", 4000),
        ("ready", 5000),
    ]
    assert machine.limit is None


def test_an_old_peer_stays_attached_and_is_never_called_in_use() -> None:
    machine, _ = play(*GOOD[:4], Happened.ACK_ABSENT)
    assert shown(machine) is DeviceState.ATTACHED
    assert machine.limit is None
    assert [step.name for step in machine.steps] == ["released", "exported"]


def test_ready_is_not_taken_back_by_a_late_attached() -> None:
    machine, _ = play(*GOOD, Happened.ACK_ATTACHED)
    assert shown(machine) is DeviceState.IN_USE


@pytest.mark.parametrize("length", range(1, len(GOOD) + 1))
def test_unticking_returns_the_device_from_every_step(length: int) -> None:
    machine, acts = play(*GOOD[:length], Happened.UNWANTED)
    assert machine.phase is Phase.RETURNING
    assert acts == [Act.RETURN]
    machine, acts = play(Happened.RETURNED, machine=machine)
    assert machine.phase is Phase.IDLE
    assert acts == [Act.CLOSE]
    assert shown(machine) is DeviceState.NOT_SHARED


@pytest.mark.parametrize("length", range(1, len(GOOD) + 1))
def test_a_helper_that_dies_at_any_step_is_followed_by_another_try(length: int) -> None:
    machine, acts = play(*GOOD[:length], event(Happened.HELPER_GONE, "helper-died"))
    assert (machine.phase, acts) == (Phase.RESTING, [Act.CLOSE])
    assert shown(machine) is DeviceState.FAILED
    assert machine.limit is not None
    machine, acts = play(Happened.TIME_UP, machine=machine, now=machine.limit)
    assert (machine.phase, acts) == (Phase.RELEASING, [Act.START_HELPER])


@pytest.mark.parametrize(
    ("length", "code"), [(1, "helper-silent"), (2, "slave-silent"), (3, "helper-silent"), (4, "device-timeout")]
)
def test_silence_at_any_step_ends_in_a_named_failure(length: int, code: str) -> None:
    machine, acts = play(*GOOD[:length], Happened.TIME_UP)
    assert (machine.phase, acts) == (Phase.RETURNING, [Act.RETURN])
    machine, _ = play(Happened.RETURNED, machine=machine)
    assert machine.phase is Phase.RESTING
    assert machine.fault is not None
    assert machine.fault.code == code


def test_a_lost_acknowledgement_names_the_reason_when_time_is_up() -> None:
    machine, _ = play(*GOOD[:4], event(Happened.ACK_LOST, "slave-unreachable"), Happened.TIME_UP)
    assert machine.fault == Fault(code="slave-unreachable")


def test_a_lost_acknowledgement_changes_nothing_once_the_device_is_attached() -> None:
    before, _ = play(*GOOD)
    machine, acts = play(event(Happened.ACK_LOST, "slave-unreachable"), machine=before)
    assert machine == before
    assert acts == []


def test_a_peer_that_goes_brings_the_device_home_and_is_tried_again() -> None:
    machine, acts = play(*GOOD, event(Happened.DROPPED, "peer-gone"))
    assert (machine.phase, acts) == (Phase.RETURNING, [Act.RETURN])
    machine, acts = play(Happened.RETURNED, machine=machine)
    assert (machine.phase, acts) == (Phase.RESTING, [Act.CLOSE])
    assert machine.fault == Fault(code="peer-gone")


def test_a_refused_key_is_not_tried_again_by_itself() -> None:
    machine, _ = play(*GOOD[:2], event(Happened.CHANNEL_LOST, "slave-refused-key"), Happened.RETURNED)
    assert machine.phase is Phase.STOPPED
    assert machine.limit is None
    machine, acts = play(Happened.RETRY, machine=machine)
    assert acts == [Act.START_HELPER]


def test_what_is_not_tried_again_says_how_often_it_was() -> None:
    took = GOOD[1]
    machine, _ = play(*GOOD[:2], event(Happened.CHANNEL_LOST, "slave-silent"), Happened.RETURNED)
    told = standing(machine, 100.0)
    assert told is not None
    assert (told.retry_in is None, told.tries) == (False, 0)
    refused = event(Happened.CHANNEL_LOST, "slave-refused-key")
    machine, _ = play(Happened.TIME_UP, took, refused, Happened.RETURNED, machine=machine)
    told = standing(machine, 100.0)
    assert told is not None
    assert (told.retry_in, told.tries) == (None, 2)


def test_what_this_computer_refuses_is_called_blocked() -> None:
    machine, _ = play(Happened.WANTED, event(Happened.HELPER_REFUSED, "storage-in-use"), Happened.HELPER_GONE)
    assert shown(machine) is DeviceState.BLOCKED
    assert machine.limit is not None  # it may be unmounted at any time


def test_a_helper_that_does_not_return_the_device_is_let_go_of_and_named() -> None:
    machine, acts = play(*GOOD, Happened.UNWANTED, Happened.TIME_UP)
    assert acts == [Act.CLOSE]
    assert shown(machine) is DeviceState.FAILED
    assert machine.limit is not None
    machine, acts = play(Happened.TIME_UP, machine=machine)
    assert (machine.phase, acts) == (Phase.IDLE, [])


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (Happened.HELPER_REFUSED, "return-failed"),
        (Happened.HELPER_GONE, "return-failed"),
        (Happened.HELPER_GONE, "helper-died"),
    ],
)
def test_a_device_that_did_not_come_home_is_not_called_home(kind: Happened, code: str) -> None:
    machine, acts = play(*GOOD, Happened.UNWANTED, event(kind, code))
    assert acts == [Act.CLOSE]
    assert shown(machine) is DeviceState.FAILED
    assert machine.fault == Fault(code=code)
    told = standing(machine, 100.0)
    assert told is not None
    assert told.retry_in is None, "nobody wants it shared, so nothing is tried again"
    machine, acts = play(Happened.TIME_UP, machine=machine)
    assert (machine.phase, acts) == (Phase.IDLE, [])


def test_a_device_that_did_not_come_home_counts_more_than_why_it_was_to() -> None:
    machine, _ = play(*GOOD, event(Happened.DROPPED, "peer-gone"), event(Happened.HELPER_REFUSED, "return-failed"))
    assert machine.fault == Fault(code="return-failed")
    machine, acts = play(Happened.TIME_UP, machine=machine)
    assert acts == [Act.START_HELPER]


def test_ticked_again_while_returning_it_is_shared_again_after() -> None:
    machine, acts = play(*GOOD, Happened.UNWANTED, Happened.WANTED)
    assert (machine.phase, acts) == (Phase.RETURNING, [])
    machine, acts = play(Happened.RETURNED, machine=machine)
    assert acts == [Act.CLOSE, Act.START_HELPER]
    assert machine.steps == ()


def test_retries_come_later_and_later_and_a_long_share_starts_anew() -> None:
    machine, _ = play(Happened.WANTED)
    delays = []
    for _ in range(12):
        machine, _ = play(event(Happened.HELPER_GONE, "helper-died"), machine=machine, now=0.0)
        assert machine.limit is not None
        delays.append(machine.limit)
        machine, _ = play(Happened.TIME_UP, machine=machine, now=0.0)
    assert delays[0] < 2
    assert max(delays) <= steps.LAST_RETRY * 1.25
    assert min(delays[7:]) >= steps.LAST_RETRY * 0.75
    machine, _ = play(Happened.BOUND, Happened.CHANNEL_UP, Happened.EXPORTED, machine=machine, now=0.0)
    machine, _ = play(event(Happened.DROPPED, "peer-gone"), machine=machine, now=steps.STABLE_AFTER + 1)
    assert machine.failures == 1


def test_two_devices_do_not_retry_in_step() -> None:
    assert retry_delay(3, 0.1) != retry_delay(3, 0.7)


@given(st.integers(min_value=0, max_value=10_000), st.floats(min_value=0, max_value=1, exclude_max=True))
def test_a_retry_is_never_at_once_and_never_far(failures: int, salt: float) -> None:
    assert 0.7 <= retry_delay(failures, salt) <= steps.LAST_RETRY * 1.25


@settings(max_examples=500)
@given(histories)
def test_no_history_ends_in_a_state_that_waits_for_nothing(history: list[tuple[Event, float]]) -> None:
    machine, now = Machine(), 0.0
    holding = False
    for happened, pause in history:
        now += pause
        before = machine
        machine, acts = decide(machine, happened, now)
        for act in acts:
            if act is Act.START_HELPER:
                assert not holding, "a second helper for the same device"
                holding = True
            if act is Act.CLOSE:
                holding = False
        assert holding == (machine.phase in HOLDING), "a helper without a phase, or a phase without its helper"
        waits = machine.limit is not None
        confirmed = machine.phase is Phase.SHARED and machine.reach is not Reach.NOTHING
        assert waits or confirmed or machine.phase in {Phase.IDLE, Phase.STOPPED}
        assert machine.limit is None or machine.limit > now or machine.limit == before.limit
        assert machine.phase is not Phase.IDLE or not machine.wanted
        if machine.phase in {Phase.RESTING, Phase.STOPPED}:
            assert machine.fault is not None
        times = [step.milliseconds for step in machine.steps]
        assert times == sorted(times)
        assert [step.name for step in machine.steps] == [
            name
            for name in ("released", "exported", "attached", "ready")
            if name in {step.name for step in machine.steps}
        ]


@given(histories)
def test_whatever_happened_unticking_and_patience_bring_the_device_home(history: list[tuple[Event, float]]) -> None:
    machine, now = Machine(), 0.0
    for happened, pause in history:
        now += pause
        machine, _ = decide(machine, happened, now)
    machine, _ = decide(machine, event(Happened.UNWANTED), now)
    for _ in range(3):
        if machine.limit is not None:
            machine, _ = decide(machine, event(Happened.TIME_UP), machine.limit)
    assert machine.phase is Phase.IDLE
