"""EFFECT: half_client.py ADDRESS PORT KEY UNTIL…: clients without a device: each goes as far as its UNTIL and is gone.

UNTIL: `connected`, `half-head`, `head` (does not wait for the answer), `answer`, `half-line`, `line`, or `line-reset`,
`silent` (says nothing until the other end hangs up, and waits for that while the others come and go). Prints a line of
JSON for each: its UNTIL, and the first line of the answer it got, if any.
"""

import json
import socket
import struct
import sys
import uuid
from concurrent.futures import ThreadPoolExecutor

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


def client(address: str, port: str, key: str, until: str) -> str:
    request = wire.UpgradeClient(key, str(uuid.uuid4())).request
    said = ""
    with socket.create_connection((address, int(port)), timeout=30) as connection:
        if until == "silent":
            return answer_of(connection).decode().partition("\r\n")[0] or "hung up"
        step = STEPS.index(until.removesuffix("-reset"))
        if step == 1:
            connection.sendall(request[: len(request) // 2])
        if step >= 2:
            connection.sendall(request)
        if step >= 3:
            said = answer_of(connection).decode().partition("\r\n")[0]
        if step >= 4:
            connection.sendall(b"65538" if step == 4 else b"65538 3\n")
        if until.endswith("-reset"):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return said


def main(address: str, port: str, key: str, *steps: str) -> None:
    with ThreadPoolExecutor(len(steps)) as pool:
        silent = {until: pool.submit(client, address, port, key, until) for until in steps if until == "silent"}
        for until in steps:
            said = silent[until].result() if until in silent else client(address, port, key, until)
            print(json.dumps([until, said]))


main(*sys.argv[1:])
