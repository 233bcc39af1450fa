"""EFFECT: an old client: its share list, its request, and the helper by its command line."""

import os
import re
import socket
from collections.abc import Callable

ENTRY = re.compile(r"([0-9a-f]{4}:[0-9a-f]{4})(?:@(.+))?")


def read_share_list(text: str) -> list[tuple[str, str]]:
    """`vid:pid[@serial]`, separated by commas, as it takes the list apart: identity and serial ("" for any)."""
    found = (ENTRY.fullmatch(item.strip()) for item in text.split(","))
    return [(match[1], match[2] or "") for match in found if match]


def write_share_list(devices: list[tuple[str, str]]) -> str:
    """The list as it writes it."""
    return ", ".join(f"{vidpid}@{serial}" if serial else vidpid for vidpid, serial in devices)


def request(key: str) -> bytes:
    """The upgrade, without Host and without a header that a later client may add."""
    return (
        f"POST /usbip HTTP/1.1\r\nAuthorization: Basic {key}\r\nConnection: Upgrade\r\nUpgrade: qvd:usbip/1.0\r\n\r\n"
    ).encode()


class OldClient:
    """Shares one device with a session.

    Args:
        helper: runs the helper with these words, and with this descriptor open in it (-1 for none); its exit status.
    """

    def __init__(self, helper: Callable[[list[str], int], int]) -> None:
        self._helper = helper

    def share(self, busid: str, address: str, key: str) -> str:
        """Bind, upgrade, connect; returns "" when all went well, else what did not."""
        if self._helper(["bind", busid], -1) != 0:
            return "bind failed"
        host, _, port = address.partition(":")
        with socket.create_connection((host, int(port)), timeout=10) as connection:
            connection.sendall(request(key))
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                byte = connection.recv(1)
                if not byte:
                    return "the other end closed"
                head += byte
            if not head.startswith(b"HTTP/1.1 101 "):
                return head.split(b"\r\n", 1)[0].decode()
            connection.settimeout(None)
            if self._helper(["connect", busid, "3"], os.dup(connection.fileno())) != 0:
                return "connect failed"
        return ""

    def take_back(self, busid: str) -> bool:
        """Give the device back; whether it went."""
        return self._helper(["unbind", busid], -1) == 0
