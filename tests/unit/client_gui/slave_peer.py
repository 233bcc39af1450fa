"""The other end of the slave channel, on loopback or a unix socket, friendly or hostile."""

from __future__ import annotations

import contextlib
import socket
import threading
from queue import SimpleQueue
from typing import TYPE_CHECKING

from qvd_usbip.ack import Ack, AckState
from qvd_usbip.wire import AckRequest, PingRequest, Refusal, Server, UpgradeRequest, head_end

if TYPE_CHECKING:
    from pathlib import Path

KEY = "c2VjcmV0LWtleQ"


class SlavePeer:
    """Accepts connections and answers each by its manner.

    Manners: `good`, `old` (knows no acknowledgement), `silent`, `close`, `garbage`, a status (refuses with it), `half`
    (half an answer, then closes), `endless`, `chatty` (101 and more), `ack-silent`, `ack-garbage`, `ack-close`.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.manner = "good"
        self.state = AckState.READY
        self.problem = ""
        self.lines: SimpleQueue[bytes] = SimpleQueue()  # it may come a little later than the device is ready
        self.requests: list[str] = []
        self._told: dict[str, tuple[AckState, str]] = {}
        self._changed = threading.Condition()
        self._ended = threading.Event()
        self._connections: list[socket.socket] = []
        self._shared: list[socket.socket] = []
        self._listener = socket.socket(socket.AF_INET if path is None else socket.AF_UNIX)
        self._listener.bind(("127.0.0.1", 0) if path is None else str(path))
        self._listener.listen(64)
        self.address = f"unix:{path}" if path else f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._threads: list[threading.Thread] = []
        self._begin(self._accept)

    def _begin(self, target: object, *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def say(self, state: AckState, problem: str = "") -> None:
        """The device is this far now."""
        with self._changed:
            self.state, self.problem = state, problem
            self._changed.notify_all()

    def drop(self) -> None:
        """Closes every connection that carries a device."""
        for connection in self._shared:
            _end(connection)
        self._shared.clear()

    def close(self) -> None:
        """Ends everything, and waits for it."""
        self.manner = "close"
        self._ended.set()
        with self._changed:
            self._changed.notify_all()
        _end(self._listener)
        for connection in self._connections:
            _end(connection)
        for thread in self._threads:
            thread.join(5.0)

    def _accept(self) -> None:
        while True:
            try:
                connection = self._listener.accept()[0]
            except OSError:
                return
            self._connections.append(connection)
            self._begin(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        try:
            if not self._misbehaves(connection):
                self._answer(connection)
        except OSError:
            return

    def _misbehaves(self, connection: socket.socket) -> bool:
        match self.manner:
            case "silent":
                connection.recv(1, socket.MSG_PEEK)
                self._ended.wait(30)
                _end(connection)
            case "close":
                _end(connection)
            case "garbage":
                connection.send(b"\x00\xff" * 100 + b"\r\n\r\n")
            case "half":
                connection.send(b"HTTP/1.1 101 Swi")
                _end(connection)
            case "endless":
                connection.send(b"HTTP/1.1 101 Switching Protocols\r\n" + b"X-A: b\r\n" * 5000)
            case "chatty":
                connection.send(b"HTTP/1.1 101 Switching Protocols\r\n\r\nhello")
            case "200":
                connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            case manner if manner.isdecimal():
                connection.send(b"HTTP/1.1 " + manner.encode() + b" No\r\nContent-Length: 0\r\n\r\n")
            case _:
                return False
        return True

    def _answer(self, connection: socket.socket) -> None:
        server = Server(KEY)
        head = b""
        while head_end(head) is None:
            data = connection.recv(4096)
            if not data:
                return
            head += data
        request = server.feed(head)
        self.requests.append(type(request).__name__)
        match request:
            case UpgradeRequest():
                connection.sendall(server.accept())
                self._shared.append(connection)
                self.lines.put(connection.recv(64))
                return
            case AckRequest():
                connection.sendall(self._acknowledge(server, request))
            case PingRequest():
                connection.sendall(server.answer_ping(request))
            case Refusal():
                connection.sendall(server.refuse(request))
        _end(connection)

    def _acknowledge(self, server: Server, request: AckRequest) -> bytes:
        if self.manner == "old":
            return b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
        if self.manner == "ack-garbage":
            return b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n{nope"
        if self.manner == "ack-close":
            return b""
        with self._changed:
            if self.manner == "ack-silent":
                self._changed.wait(request.wait + 10)
                return b""
            if self._told.get(request.attach_id) == (self.state, self.problem):
                self._changed.wait(request.wait)
            self._told[request.attach_id] = (self.state, self.problem)
            return server.answer_ack(Ack(state=self.state, problem=self.problem, at={self.state: 1}))


def _end(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()
