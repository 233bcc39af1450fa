"""EFFECT: a device given to a host: through an agent's broker, or over the network to a slave server."""

import json
import socket
import time
import uuid
from collections.abc import Iterator
from typing import Any

BROKERS = "/run/qvd-usbip/broker"
FINAL = frozenset({"refused", "failed", "gone"})
ANSWER = 4096
PAUSE = 0.1


class RefusedError(Exception):
    """The agent or the slave server said no; `args[0]` is the Problem code or the HTTP status line."""


class Broker:
    """One container's broker socket, from the host. Each question has a connection of its own."""

    def __init__(self, container: str) -> None:
        self._path = f"{BROKERS}/{container}/broker.sock"

    def attach(self, fd: int, devid: int, speed: int) -> str:
        """Hand a socket over; the id of the attach."""
        attach_id = str(uuid.uuid4())
        self.ask({"op": "attach", "devid": devid, "speed": speed, "id": attach_id}, fd)
        return attach_id

    def detach(self, attach_id: str) -> None:
        """Give a device back; returns when its port is free."""
        self.ask({"op": "detach", "id": attach_id})

    def states(self, attach_id: str, patience: float = 60) -> Iterator[dict[str, Any]]:
        """What the agent says of an attach, at each change; ends with a final state, or raises TimeoutError."""
        seen: dict[str, str] = {}
        end = time.monotonic() + patience
        while time.monotonic() < end:
            answer = self.ask({"op": "status", "id": attach_id, "wait": 5, **seen})
            state = answer["ack"]["state"]
            if seen.get("seen") != state:
                seen = {"seen": state}
                yield {**answer["ack"], "nodes": answer.get("nodes", [])}
                if state in FINAL:
                    return
        raise TimeoutError(f"attach {attach_id}: still {seen.get('seen', 'nothing')}")

    def until(self, attach_id: str, *wanted: str, patience: float = 60) -> dict[str, Any]:
        """Wait for a state, or for the end; what the agent said then."""
        return _first(self.states(attach_id, patience), wanted)

    def ask(self, question: dict[str, Any], fd: int | None = None) -> dict[str, Any]:
        """One message and its answer. Raises: RefusedError."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
            connection.settimeout(60)
            connection.connect(self._path)
            socket.send_fds(connection, [json.dumps({"v": 1, **question}).encode()], [fd] if fd is not None else [])
            answer: dict[str, Any] = json.loads(connection.recv(ANSWER))
        if not answer["ok"]:
            raise RefusedError(answer["problem"])
        return answer


class SlaveServer:
    """A slave server in a container, from wherever a client may be."""

    def __init__(self, address: str, key: str) -> None:
        host, _, port = address.rpartition(":")
        self._address, self._key = (host, int(port)), key

    def attach(self, devid: int, speed: int) -> tuple[socket.socket, str]:
        """Connect, upgrade, and declare a device; the socket, on which it is to be served, and the id.

        Raises: RefusedError.
        """
        attach_id = str(uuid.uuid4())
        connection = socket.create_connection(self._address, 30)
        connection.sendall(
            f"POST /usbip HTTP/1.1\r\nHost: desktop\r\nAuthorization: Basic {self._key}\r\nConnection: Upgrade\r\n"
            f"Upgrade: qvd:usbip/1.0\r\nUsbip-Attach-Id: {attach_id}\r\n\r\n".encode()
        )
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            got = connection.recv(1)
            if not got:
                raise RefusedError("closed")
            head += got
        if b" 101 " not in head.partition(b"\r\n")[0]:
            connection.close()
            raise RefusedError(head.partition(b"\r\n")[0].decode(errors="replace"))
        connection.sendall(f"{devid} {speed}\n".encode())
        connection.settimeout(None)
        return connection, attach_id

    def ack(self, attach_id: str, wait: int = 5) -> dict[str, Any]:
        """What the slave server says of an attach by now; an empty dict while it says nothing."""
        with socket.create_connection(self._address, 30) as connection:
            connection.settimeout(wait + 30)
            connection.sendall(
                f"GET /usbip/attach/{attach_id}?wait={wait} HTTP/1.1\r\nHost: desktop\r\n"
                f"Authorization: Basic {self._key}\r\nConnection: close\r\n\r\n".encode()
            )
            answer = b""
            while got := connection.recv(ANSWER):
                answer += got
        head, _, body = answer.partition(b"\r\n\r\n")
        if b" 200 " not in head.partition(b"\r\n")[0]:
            return {}
        found: dict[str, Any] = json.loads(body)
        return found

    def states(self, attach_id: str, patience: float = 60) -> Iterator[dict[str, Any]]:
        """What the slave server says of an attach, at each change; ends with a final state, or raises TimeoutError."""
        end = time.monotonic() + patience
        seen = ""
        while time.monotonic() < end:
            said = self.ack(attach_id)
            if said.get("state", seen) != seen:
                seen = said["state"]
                yield said
                if seen in FINAL:
                    return
            time.sleep(PAUSE)
        raise TimeoutError(f"attach {attach_id}: still {seen or 'nothing'}")

    def until(self, attach_id: str, *wanted: str, patience: float = 60) -> dict[str, Any]:
        """Wait for a state, or for the end; what the slave server said then."""
        return _first(self.states(attach_id, patience), wanted)


def _first(states: Iterator[dict[str, Any]], wanted: tuple[str, ...]) -> dict[str, Any]:
    for said in states:
        if said["state"] in wanted or said["state"] in FINAL:
            return said
    raise TimeoutError(f"never {wanted}")
