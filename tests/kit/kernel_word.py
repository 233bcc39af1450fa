"""EFFECT: words that the kernel passes on to all who listen for its events, as it passes on its own.

To them they are the kernel's: counted, and from the kernel's address. Nothing in sysfs changes by them, and they stay
in the network namespace that they were said in.
Source: uevent_net_rcv_skb, lib/kobject_uevent.c (Linux 4.18).
"""

import socket
import struct
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

NETLINK_KOBJECT_UEVENT = 15
MESSAGE, REQUEST = 16, 1  # any type but netlink's own. Source: include/uapi/linux/netlink.h
HUBS = Path("/sys/devices/platform")


class Channel:
    """The way to the kernel."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_KOBJECT_UEVENT)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self._socket.close()

    def say(self, words: Mapping[str, str]) -> None:
        """An event with these words, ACTION and DEVPATH among them; the kernel adds SEQNUM."""
        self.send(message(words))

    def send(self, ready: bytes) -> None:
        """The same, made by `message` beforehand."""
        self._socket.sendto(ready, (0, 0))


def message(words: Mapping[str, str]) -> bytes:
    """PURE: an event as it is sent to the kernel."""
    said = [f"{words['ACTION']}@{words['DEVPATH']}", *(f"{key}={value}" for key, value in words.items())]
    body = b"".join(word.encode() + b"\0" for word in said)
    return struct.pack("=IHHII", 16 + len(body), MESSAGE, REQUEST, 0, 0) + body


def terminal_of(serial: str) -> Path:
    """The folder of the terminal that a device below a hub of this host has."""
    (device,) = (path.parent for path in HUBS.glob("vhci_hcd.*/usb*/*-*/serial") if path.read_text().strip() == serial)
    (terminal,) = device.glob("*:*/tty/tty*")
    return terminal


def of_terminal(action: str, terminal: Path) -> bytes:
    """What is said when a driver has made it (`add`), or let it go (`remove`)."""
    major, minor = (terminal / "dev").read_text().strip().split(":")
    devpath = str(terminal).removeprefix("/sys")
    words = {"ACTION": action, "DEVPATH": devpath, "SUBSYSTEM": "tty", "MAJOR": major, "MINOR": minor}
    return message({**words, "DEVNAME": terminal.name})
