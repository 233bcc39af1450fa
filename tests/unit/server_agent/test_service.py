"""systemd hears that the agent is ready, and that its loop lives."""

import asyncio
import os
import socket
import time
from pathlib import Path

import pytest

from server_agent import service


@pytest.mark.parametrize("abstract", [False, True])
def test_systemd_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, abstract: bool) -> None:
    address = f"@qvd-test-{os.getpid()}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(address.replace("@", "\0"))
        monkeypatch.setenv("NOTIFY_SOCKET", address)
        service.notify(service.READY)
        assert heard.recv(100) == b"READY=1"


def test_without_systemd_nobody_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    service.notify(service.READY)


@pytest.mark.parametrize(
    ("environment", "seconds"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "60000000"}, 20.0),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "7"}, 20.0),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "8"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "-1"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_how_often_the_watchdog_wants_to_hear(environment: dict[str, str], seconds: float | None) -> None:
    assert service.keepalive_seconds(environment, 7) == seconds


def drain(heard: socket.socket) -> None:
    with pytest.raises(BlockingIOError):
        list(iter(lambda: heard.recv(100), b""))


def test_a_loop_that_hangs_is_not_heard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def live(heard: socket.socket) -> None:
        alive = asyncio.ensure_future(service.keep_alive(0.01))
        await asyncio.sleep(0.1)
        assert heard.recv(100) == b"WATCHDOG=1"
        drain(heard)
        time.sleep(0.1)  # noqa: ASYNC251 (the loop hangs)
        with pytest.raises(BlockingIOError):
            heard.recv(100)
        alive.cancel()

    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(str(tmp_path / "notify"))
        heard.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        asyncio.run(live(heard))
