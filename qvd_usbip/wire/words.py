"""PURE: the words of the slave channel that both ends use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qvd_usbip import ack

if TYPE_CHECKING:
    from collections.abc import Iterable

    Headers = Iterable[tuple[bytes, bytes]]

MAX_HEAD = 8192
MAX_WAIT = ack.MAX_WAIT
MAX_PING = 1024
MAX_BODY = max(ack.MAX_BYTES, MAX_PING)
UPGRADE = "qvd:usbip/1.0"
PATH = "/usbip"
ACK_PATH = "/usbip/attach/"
PING_PATH = "/usbip/ping"
PAIR_PATH, PAIR_UPGRADE = "/usbip/pair", "qvd:pair/1.0"
ATTACH_ID = "Usbip-Attach-Id"
PROBLEM = "Usbip-Problem"


def header(headers: Headers, name: str) -> str | None:
    """A header's value, several joined as HTTP has it; None if it is not there."""
    wanted = name.lower().encode("ascii")
    values = [value.decode("latin-1") for key, value in headers if key == wanted]
    return ", ".join(values) if values else None
