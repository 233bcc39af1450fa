"""EFFECT: flood.py: root of a container floods the broker until standard input ends; prints what it got in as JSON.

Garbage, messages that are too long, descriptors where none belong, and connections that say nothing and stay.
"""

import json
import os
import select
import socket
import sys

SOCKET = "/run/qvd-usbip/broker.sock"
KEPT = 200  # connections that are left open
MESSAGES = (
    b"\xff" * 100,
    b"x" * 60_000,
    b"[" * 4000,
    b'{"v": 1, "op": "attach", "devid": 1, "speed": 3, "id": "no"}',
    b'{"v": 1, "op": "ping"}',
)


def knock() -> socket.socket:
    """Who connects waits for no one."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)
    connection.connect(SOCKET)
    return connection


def main() -> None:
    """As much as there is room for, and a little more."""
    done = {"connected": 0, "said": 0, "refused": 0}
    kept: list[socket.socket] = []
    null = os.open("/dev/null", os.O_RDWR)
    while not select.select([sys.stdin], [], [], 0)[0]:
        try:
            kept.append(knock())
            done["connected"] += 1
            socket.send_fds(kept[-1], [MESSAGES[done["connected"] % len(MESSAGES)]], [null] * (done["connected"] % 4))
            done["said"] += 1
        except OSError:  # nobody has room for it
            done["refused"] += 1
        if len(kept) > KEPT:
            kept.pop(0).close()
    print(json.dumps(done))


main()
