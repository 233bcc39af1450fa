"""EFFECT: what systemd hears of the agent: ready, stopping, and that the loop is alive.

Source: sd_notify(3), sd_watchdog_enabled(3).
"""

import asyncio
import os
import socket
from collections.abc import Mapping

READY, STOPPING, ALIVE = "READY=1", "STOPPING=1", "WATCHDOG=1"
TIMES = 3  # keepalives within the time that systemd grants


def notify(word: str) -> None:
    """Tell systemd, if it started us."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as connection:
        connection.connect("\0" + address[1:] if address.startswith("@") else address)
        connection.sendall(word.encode())


def keepalive_seconds(environment: Mapping[str, str], pid: int) -> float | None:
    """How often this process has to say that it is alive; None when nobody wants to know."""
    granted = environment.get("WATCHDOG_USEC", "")
    if environment.get("WATCHDOG_PID", str(pid)) != str(pid) or not (granted.isascii() and granted.isdecimal()):
        return None
    return int(granted[:18]) / 1e6 / TIMES or None


async def keep_alive(seconds: float) -> None:
    """Say so for ever, from the loop that decides: what does not get round to this is stuck."""
    while True:
        notify(ALIVE)
        await asyncio.sleep(seconds)
