"""EFFECT: half_client.py ADDRESS PORT KEY UNTIL: a client without a device that goes as far as UNTIL, then is gone.

UNTIL: `connected`, `half-head`, `head` (does not wait for the answer), `answer`, `half-line`, `line`, or `line-reset`,
`silent` (says nothing until the other end hangs up). Prints the first line of the answer it got, if any.
"""

import socket
import struct
import sys
import uuid

sys.path.insert(0, "/usr/lib/qvd-usbip/python")

from qvd_usbip import wire

STEPS = ("connected", "half-head", "head", "answer", "half-line", "line")


def answer_of(connection: socket.socket) -> bytes:
    answer = b""
    while not answer.endswith(b"\r\n\r\n"):
        byte = connection.recv(1)
        if not byte:
            break
        answer += byte
    return answer


def main(address: str, port: str, key: str, until: str) -> None:
    request = wire.UpgradeClient(key, str(uuid.uuid4())).request
    with socket.create_connection((address, int(port)), timeout=30) as connection:
        if until == "silent":
            print(answer_of(connection).decode().partition("\r\n")[0] or "hung up")
            return
        step = STEPS.index(until.removesuffix("-reset"))
        if step == 1:
            connection.sendall(request[: len(request) // 2])
        if step >= 2:
            connection.sendall(request)
        if step >= 3:
            print(answer_of(connection).decode().partition("\r\n")[0])
        if step >= 4:
            connection.sendall(b"65538" if step == 4 else b"65538 3\n")
        if until.endswith("-reset"):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


main(*sys.argv[1:])
