"""EFFECT: how much was encrypted with one key: AES-GCM bears so much and no more, and USB/IP lets no key be changed.

RFC 8446, 5.5 allows 2^24.5 records of full size under one key, which is 2^34.5 blocks of 16 bytes (2^38.5 bytes).
USB/IP makes many small records, so records are not the measure; each has 22 bytes around its data, more than a block,
so the bytes on the wire count every block and every record at once. The kernel counts them in any case, also where
no process of ours sees them.
Source: RFC 8446, 5.2 and 5.5; include/uapi/linux/tcp.h, struct tcp_info.
"""

from __future__ import annotations

import socket
import struct

MOST_BYTES = 1 << 38
"""In one direction, 256 GiB: at 100 MB/s it takes 45 minutes."""

_COUNTERS = struct.Struct("=QQ")
_AT = 120  # tcpi_bytes_acked and tcpi_bytes_received


def is_used_up(connection: socket.socket) -> bool:
    """Whether the keys of a TCP connection have encrypted what they may; one that is no TCP has none of ours."""
    if connection.family not in {socket.AF_INET, socket.AF_INET6}:
        return False
    counted = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _AT + _COUNTERS.size)
    acknowledged, received = _COUNTERS.unpack_from(counted, _AT)
    return bool(max(acknowledged, received) >= MOST_BYTES)
