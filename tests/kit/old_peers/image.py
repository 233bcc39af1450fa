"""EFFECT: an old image's slave server: answers the upgrade, then hands the connection to the program that it runs."""

import contextlib
import socket
import threading
from collections.abc import Callable

UPGRADED = b"HTTP/1.1 101 Switching Protocols\r\n\r\n"
REFUSALS = {
    400: b"HTTP/1.1 400 Bad Request\r\n\r\n",
    401: b'HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm="QVD"\r\n\r\n',
    403: b"HTTP/1.1 403 Forbidden\r\n\r\n",
    404: b"HTTP/1.1 404 Not Found\r\n\r\n",
}
HEAD = 8192


def judge(head: str, key: str) -> int:
    """The status that an old server answers a request's head with; it knows one place and one upgrade."""
    first, *lines = head.split("\r\n")
    fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    scheme, _, given = fields.get("authorization", "").partition(" ")
    if not given:
        return 401
    if scheme != "Basic" or given != key:
        return 403
    if first != "POST /usbip HTTP/1.1":
        return 404
    upgrade = fields.get("connection", "").lower() == "upgrade" and fields.get("upgrade") == "qvd:usbip/1.0"
    return 101 if upgrade else 400


class OldImage:
    """Listens on loopback; `program` gets each accepted connection, as the one that QVD's server starts does."""

    def __init__(self, key: str, program: Callable[[socket.socket], None]) -> None:
        self.key = key
        self.answered: list[int] = []
        self._program = program
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def close(self) -> None:
        """Ends, and waits for what it started."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(10)

    def _accept(self) -> None:
        while True:
            try:
                connection = self._listener.accept()[0]
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(connection,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        connection.settimeout(10)
        with connection, contextlib.suppress(OSError):
            head = b""
            while not head.endswith(b"\r\n\r\n") and len(head) < HEAD:
                byte = connection.recv(1)
                if not byte:
                    return
                head += byte
            status = judge(head.decode("latin-1").removesuffix("\r\n\r\n"), self.key)
            self.answered.append(status)
            connection.sendall(UPGRADED if status == 101 else REFUSALS[status])
            if status == 101:
                self._program(connection)


def old_program(attach: Callable[[bytes], int]) -> Callable[[socket.socket], None]:
    """The program of an old image: reads `DEVID SPEED`, and writes the hub's `attach`, first free port first.

    Args:
        attach: the write to the `attach` of the hub that the image sees; OSError where there is none to be written.
    """

    def run(connection: socket.socket) -> None:
        line = b""
        while not line.endswith(b"\n"):
            byte = connection.recv(1)
            if not byte:
                return
            line += byte
        devid, speed = line.split()
        attach(b"0 %d %s %s" % (connection.fileno(), devid, speed))

    return run
