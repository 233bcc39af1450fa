"""PURE: the slave channel, both ends, without input or output: bytes in, events out, bytes to send.

On h11. Each connection carries one request. What the server says about an upgrade it says before the device line;
after that line the connection belongs to the two kernels, so neither end ever takes or sends a byte beyond it.
Source: QVD's slave channel (POST /usbip with Upgrade: qvd:usbip/1.0); RFC 9112.
"""

from qvd_usbip.ack import Ack, AckState
from qvd_usbip.boundaries import head_end, line_end
from qvd_usbip.device_line import MAX_DEVICE_LINE, DeviceLine, format_device_line, parse_device_line
from qvd_usbip.wire.client import (
    AckClient,
    AckUnsupported,
    PairClient,
    PingClient,
    Pong,
    Refused,
    UpgradeClient,
    Upgraded,
)
from qvd_usbip.wire.server import AckRequest, PairRequest, PingRequest, Refusal, Request, Server, UpgradeRequest
from qvd_usbip.wire.words import MAX_HEAD, MAX_WAIT

__all__ = [
    "MAX_DEVICE_LINE",
    "MAX_HEAD",
    "MAX_WAIT",
    "Ack",
    "AckClient",
    "AckRequest",
    "AckState",
    "AckUnsupported",
    "DeviceLine",
    "PairClient",
    "PairRequest",
    "PingClient",
    "PingRequest",
    "Pong",
    "Refusal",
    "Refused",
    "Request",
    "Server",
    "UpgradeClient",
    "UpgradeRequest",
    "Upgraded",
    "format_device_line",
    "head_end",
    "line_end",
    "parse_device_line",
]
