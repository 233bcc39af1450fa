"""PURE: what a person can ask of the engine about one device: as a value, and as JSON from another program."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from client_gui.state import Asked, Mode
from qvd_usbip.errors import SESSION_MALFORMED, QvdUsbError

if TYPE_CHECKING:
    from collections.abc import Mapping

OPERATIONS = ("toggle", "retry", "agree", "unmount", "rename", "set-mode", "follow-port", "rescan")
LONGEST = 4096
"""Longest order, in bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One wish: `op` of OPERATIONS, the device's row `key`, and what the operation takes."""

    op: str
    key: str = ""
    on: bool = False
    asked: Asked = Asked.PLUGGED
    mode: Mode = Mode.AUTOMATIC
    nickname: str = ""
    seconds: int = 0


def format_order(order: Order) -> dict[str, object]:
    """The JSON form of an order: `{"v":1,"op":…,"key":…,…}`."""
    return {
        "v": 1,
        "op": order.op,
        "key": order.key,
        "on": order.on,
        "asked": str(order.asked),
        "mode": str(order.mode),
        "nickname": order.nickname,
        "seconds": order.seconds,
    }


def parse_line(line: bytes) -> Order:
    """Reads an order as another program sends it.

    Raises:
        QvdUsbError: session-malformed, for what is no order.
    """
    try:
        message: object = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise _malformed("it is no JSON") from error
    return parse_order(message if isinstance(message, dict) else {})


def parse_order(message: Mapping[str, object]) -> Order:
    """Reads an order; what it does not say is as `Order` has it.

    Raises:
        QvdUsbError: session-malformed, for what is no order.
    """
    op, key, on = message.get("op"), message.get("key", ""), message.get("on", False)
    nickname, seconds = message.get("nickname", ""), message.get("seconds", 0)
    try:
        asked, mode = Asked(str(message.get("asked", Asked.PLUGGED))), Mode(str(message.get("mode", Mode.AUTOMATIC)))
    except ValueError as error:
        raise _malformed(str(error)) from error
    if message.get("v") != 1 or op not in OPERATIONS or not isinstance(op, str):
        raise _malformed(f"there is no order '{op}'")
    if not isinstance(key, str) or not isinstance(nickname, str) or not isinstance(on, bool):
        raise _malformed("a key or a name is no text")
    if not isinstance(seconds, int):
        raise _malformed("seconds are no number")
    return Order(op=op, key=key, on=on, asked=asked, mode=mode, nickname=nickname, seconds=seconds)


def _malformed(reason: str) -> QvdUsbError:
    return QvdUsbError(SESSION_MALFORMED, reason=reason)
