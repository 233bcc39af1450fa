"""Following an attach: when it is ready, and what is told while it is not."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from qvd_usbip import broker
from qvd_usbip.ack import AckState
from qvd_usbip.errors import QvdUsbError
from qvd_usbip.wire import AckRequest
from tests.unit.vma_hooks.fake_broker import ATTACH_ID, FakeBroker
from vma_hooks.broker_client import BrokerClient
from vma_hooks.follow import Follower
from vma_hooks.readiness import find_obstacle

DEV = Path("/dev")  # /dev/null is a node that every account may open


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[FakeBroker]:
    fake = FakeBroker(tmp_path / "broker.sock")
    yield fake
    fake.close()


@pytest.fixture
def follower(agent: FakeBroker) -> Follower:
    return Follower(BrokerClient(agent.path), DEV, 6)


def ask(wait: int = 0) -> AckRequest:
    return AckRequest(attach_id=ATTACH_ID, wait=wait)


def test_a_node_the_user_may_open_makes_the_device_ready(agent: FakeBroker, follower: Follower) -> None:
    agent.set(AckState.AUTHORISED, "null", "zero")
    assert follower.follow(ask()).state is AckState.READY
    assert agent.seen(broker.Ready) == [broker.Ready(attach_id=ATTACH_ID, node="/dev/null")]
    assert agent.requests[-1] == agent.seen(broker.Ready)[0], "its answer says how far the device is"


def test_an_older_agent_that_only_hears_of_ready_is_asked_once_more(agent: FakeBroker, follower: Follower) -> None:
    def older(request: broker.Request) -> bytes:
        answer = agent._answer(request)
        return broker.encode_answer(broker.Answer(ok=True)) if isinstance(request, broker.Ready) else answer

    agent.set(AckState.AUTHORISED, "null")
    agent.reply = older
    assert follower.follow(ask()).state is AckState.READY


def test_a_right_alone_is_no_news_where_more_follows_at_once(agent: FakeBroker, follower: Follower) -> None:
    assert follower.follow(ask()).state is AckState.ATTACHED
    steps = [(0.1, AckState.GRANTED, ()), (0.4, AckState.AUTHORISED, ("null",))]
    timers = [threading.Timer(seconds, agent.set, [state, *nodes]) for seconds, state, nodes in steps]
    for timer in timers:
        timer.start()
    assert follower.follow(ask(wait=20)).state is AckState.READY
    for timer in timers:
        timer.join()


def test_one_node_that_is_missing_keeps_it_from_ready(agent: FakeBroker, follower: Follower) -> None:
    agent.set(AckState.AUTHORISED, "null", "no-such-node")
    assert follower.follow(ask()).state is AckState.AUTHORISED
    assert agent.seen(broker.Ready) == []


def test_it_is_ready_as_soon_as_the_last_node_is_there(agent: FakeBroker, follower: Follower) -> None:
    agent.set(AckState.AUTHORISED, "no-such-node")
    follower.follow(ask())
    timer = threading.Timer(0.3, agent.set, [AckState.AUTHORISED, "null"])
    timer.start()
    began = time.monotonic()
    assert follower.follow(ask(wait=20)).state is AckState.READY
    assert time.monotonic() - began < 5
    timer.join()


def test_the_client_hears_of_authorised_before_a_node_that_does_not_come(agent: FakeBroker, follower: Follower) -> None:
    agent.set(AckState.AUTHORISED, "no-such-node")
    began = time.monotonic()
    first = follower.follow(ask(wait=30))
    assert time.monotonic() - began < 5
    assert (first.state, first.problem) == (AckState.AUTHORISED, "")
    assert follower.follow(ask(wait=1)).problem == "node-unusable"


def test_a_device_without_any_node_is_not_ready(agent: FakeBroker, follower: Follower) -> None:
    agent.set(AckState.AUTHORISED)
    assert follower.follow(ask()).state is AckState.AUTHORISED


def test_after_ready_only_its_end_is_news(agent: FakeBroker, follower: Follower) -> None:
    agent.set(AckState.AUTHORISED, "null")
    follower.follow(ask())
    timer = threading.Timer(0.3, agent.set, [AckState.GONE])
    timer.start()
    assert follower.follow(ask(wait=20)).state is AckState.GONE
    timer.join()


def test_a_wait_that_is_over_repeats_the_old_state(agent: FakeBroker, follower: Follower) -> None:
    assert [follower.follow(ask(wait=1)).state for _ in range(2)] == [AckState.ATTACHED] * 2


def test_twenty_devices_that_wait_leave_room_for_another(agent: FakeBroker, follower: Follower) -> None:
    requests = [AckRequest(attach_id=f"{number:08x}-0000-4000-8000-000000000000", wait=3) for number in range(20)]
    told: list[AckState] = []

    def follow(request: AckRequest) -> None:
        follower.follow(AckRequest(attach_id=request.attach_id, wait=0))
        told.append(follower.follow(request).state)

    threads = [threading.Thread(target=follow, args=(request,)) for request in requests]
    for thread in threads:
        thread.start()
    time.sleep(0.5)
    began = time.monotonic()
    follower.follow(ask())
    assert time.monotonic() - began < 1.5
    agent.set(AckState.GRANTED)
    for thread in threads:
        thread.join()
    assert told == [AckState.GRANTED] * 20
    assert agent.busiest <= 8  # so many the agent takes from one container


def test_old_attaches_are_forgotten(follower: Follower) -> None:
    for number in range(300):
        follower.follow(AckRequest(attach_id=f"{number:08x}-0000-4000-8000-000000000000", wait=0))
    assert len(follower._told) == 256


def test_nodes_that_can_be_opened() -> None:
    assert find_obstacle(("null", "zero"), 6, DEV) is None


def test_what_keeps_a_node_from_being_opened_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert find_obstacle(("none",), 6, tmp_path) == "/dev/none: No such file or directory"
    assert find_obstacle(("file",), 6, tmp_path) == "/dev/file: it is no device node"
    assert find_obstacle(("null", "none"), 6, DEV) == "/dev/none: No such file or directory"


@pytest.mark.parametrize("name", ["../etc/passwd", "/etc/passwd", "a/../../b", ""])
def test_a_name_that_leaves_dev_is_never_opened(tmp_path: Path, name: str) -> None:
    with pytest.raises(QvdUsbError) as refused:
        find_obstacle((name,), 6, tmp_path)
    assert refused.value.problem.code == "node-refused"
