"""EFFECT: half_receiver.py ADDRESS PORT KEY UNTIL: a receiver that goes as far as UNTIL with each device, then is gone.

UNTIL: `before-101`, `after-101`, `after-line`; `silent` takes connections and says nothing, `silent-after-line` takes
devices too, and says nothing of them. All but `silent` answer pings; the others say of a device that it is gone.
"""

import socket
import struct
import sys
import threading
import time

sys.path.insert(0, "/usr/lib/qvd-usbip/python")

from qvd_usbip import wire

RESET = struct.pack("ii", 1, 0)


def head_of(connection: socket.socket) -> bytes:
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = connection.recv(1)
        if not byte:
            return b""
        head += byte
    return head


def serve(connection: socket.socket, key: str, until: str) -> None:
    if until == "silent":
        time.sleep(600)
        return
    server = wire.Server(key)
    request = server.feed(head_of(connection))
    match request:
        case wire.PingRequest():
            connection.sendall(server.answer_ping(request))
        case wire.AckRequest() if until == "silent-after-line":
            time.sleep(600)
        case wire.AckRequest():
            connection.sendall(server.answer_ack(wire.Ack(state=wire.AckState.GONE, at={}, problem="peer-gone")))
        case wire.UpgradeRequest() if until != "before-101":
            connection.sendall(server.accept())
            if until.endswith("after-line"):
                while connection.recv(1) not in {b"\n", b""}:
                    pass
            if until == "silent-after-line":
                time.sleep(600)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    connection.close()


def main(address: str, port: str, key: str, until: str) -> None:
    with socket.create_server((address, int(port))) as listening:
        while True:
            connection, _ = listening.accept()
            threading.Thread(target=serve, args=(connection, key, until), daemon=True).start()


main(*sys.argv[1:])
