"""The engine's loop calls back for sockets, timers and other threads, and lets go cleanly."""

from __future__ import annotations

import functools
import selectors
import socket
import threading
import time

import pytest

from client_gui.loop import Loop


@pytest.fixture
def loop() -> Loop:
    return Loop()


def test_timers_fire_in_their_order_and_not_before(loop: Loop) -> None:
    fired: list[tuple[str, float]] = []
    began = time.monotonic()
    loop.call_later(0.06, lambda: fired.append(("late", time.monotonic() - began)))
    loop.call_later(0.02, lambda: fired.append(("early", time.monotonic() - began)))
    while len(fired) < 2:
        loop.turn(1.0)
    loop.close()
    assert [name for name, _ in fired] == ["early", "late"]
    assert fired[0][1] >= 0.02
    assert fired[1][1] >= 0.06


def test_a_cancelled_timer_does_not_fire(loop: Loop) -> None:
    fired: list[int] = []
    timer = loop.call_later(0.0, lambda: fired.append(1))
    timer.cancel()
    timer.cancel()
    loop.turn(0.02)
    loop.close()
    assert fired == []


def test_mail_from_another_thread_wakes_the_loop(loop: Loop) -> None:
    heard: list[str] = []
    sender = threading.Thread(target=lambda: loop.post(lambda: heard.append(threading.current_thread().name)))
    sender.start()
    began = time.monotonic()
    while not heard:
        loop.turn(5.0)
    sender.join()
    loop.close()
    assert heard == [threading.current_thread().name]
    assert time.monotonic() - began < 2.0


def test_mail_that_posts_mail_does_not_keep_the_loop_from_its_sockets(loop: Loop) -> None:
    count = 0

    def again() -> None:
        nonlocal count
        count += 1
        loop.post(again)

    loop.post(again)
    for _ in range(5):
        loop.turn(0.1)
    loop.close()
    assert count == 5


def test_a_socket_is_called_back_for_until_it_is_let_go(loop: Loop) -> None:
    ours, theirs = socket.socketpair()
    seen: list[bytes] = []
    loop.watch(ours.fileno(), selectors.EVENT_READ, lambda: seen.append(ours.recv(10)))
    theirs.send(b"one")
    loop.turn(1.0)
    loop.unwatch(ours.fileno())
    loop.unwatch(ours.fileno())
    theirs.send(b"two")
    loop.turn(0.0)
    loop.close()
    ours.close()
    theirs.close()
    assert seen == [b"one"]


def test_a_socket_let_go_by_another_callback_of_the_same_turn_is_not_called(loop: Loop) -> None:
    pairs = [socket.socketpair() for _ in range(2)]
    called: list[int] = []

    def only_once(place: int) -> None:
        called.append(place)
        for ours, _ in pairs:
            loop.unwatch(ours.fileno())

    for place, (ours, theirs) in enumerate(pairs):
        loop.watch(ours.fileno(), selectors.EVENT_READ, functools.partial(only_once, place))
        theirs.send(b"x")
    loop.turn(1.0)
    loop.close()
    for pair in pairs:
        for one in pair:
            one.close()
    assert len(called) == 1


def test_a_closed_loop_takes_no_mail(loop: Loop) -> None:
    loop.close()
    assert not loop.post(lambda: None)
