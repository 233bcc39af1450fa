"""The client's end of a slave channel, as the tests of the server speak."""

import socket

from tests.unit.vma_hooks.fake_broker import ATTACH_ID

KEY = "cGFzc3dvcmQ"
LINE = b"65538 3\n"


class Peer:
    """The client's end of a connection."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        connection.settimeout(10)

    def send(self, data: bytes) -> None:
        self.connection.sendall(data)

    def until(self, end: bytes) -> bytes:
        data = b""
        while not data.endswith(end):
            more = self.connection.recv(1)
            if not more:
                break
            data += more
        return data

    def rest(self) -> bytes:
        data = b""
        try:
            while more := self.connection.recv(4096):
                data += more
        except ConnectionResetError:
            return data
        return data


def upgrade(key: str | None = KEY, attach_id: str = ATTACH_ID, protocol: str = "qvd:usbip/1.0") -> bytes:
    authorization = "" if key is None else f"Authorization: Basic {key}\r\n"
    return (
        f"POST /usbip HTTP/1.1\r\n{authorization}Connection: Upgrade\r\nUpgrade: {protocol}\r\n"
        f"Usbip-Attach-Id: {attach_id}\r\n\r\n"
    ).encode()


def get(path: str, key: str = KEY) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Basic {key}\r\n\r\n".encode()
