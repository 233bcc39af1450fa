"""The porter in a process of its own, an agent that takes note, and clients of every kind."""

from __future__ import annotations

import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

from qvd_usbip import broker
from qvd_usbip.ack import Ack, AckState
from qvd_usbip.ids import VmId
from qvd_usbip.system.identity import Identity, load_or_make
from qvd_usbip.system.sockets import recv_fd
from qvd_usbip.system.tls import new_context
from server_agent import introduction, paired

REPOSITORY = Path(__file__).resolve().parents[3]
PATIENCE = 20.0
_PROGRAM = """
import logging, socket, sys
from pathlib import Path
from server_agent.porter import Porter, Trust
logging.basicConfig(level=logging.INFO)
folder = Path(sys.argv[1])
listener = socket.socket(fileno=0)
listener.setblocking(False)
print("ready", flush=True)
Porter(listener, Trust(folder, folder / "clients"), folder / "agent.sock", None).serve()
"""


class House:
    """A host with an endpoint: its folder, its agent's answers, what its agent was asked."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.identity = load_or_make(folder, "host")
        self.introductions: list[introduction.Introduction] = []
        self.requests: list[broker.Request] = []
        self.connections: list[socket.socket] = []
        self.problem = ""
        self.status_problem = ""
        self.came = threading.Condition()
        self._agent = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._agent.bind(str(folder / "agent.sock"))
        self._agent.listen(64)
        threading.Thread(target=self._listen, daemon=True).start()
        listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = int(listener.getsockname()[1])
        with listener:
            self.porter = subprocess.Popen(
                [sys.executable, "-c", _PROGRAM, str(folder)], stdin=listener.fileno(), cwd=REPOSITORY,
                stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            )  # fmt: skip
        assert self.porter.stdout is not None
        with self.porter.stdout as words:  # starting Python may take longer than a client waits, on a busy machine
            assert words.readline() == b"ready\n"

    def _listen(self) -> None:
        while True:
            try:
                connection, _ = self._agent.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            first = True
            while True:
                message, fd = recv_fd(connection, broker.MAX_MESSAGE)
                if not message:
                    return
                with self.came:
                    if first:
                        self.introductions.append(introduction.decode(message))
                    else:
                        self.requests.append(broker.decode_request(message))
                    if fd is not None:
                        self.connections.append(socket.socket(fileno=fd))
                    self.came.notify_all()
                answer = broker.Answer(ok=not self.problem, problem=self.problem)
                if not first and isinstance(self.requests[-1], broker.Status):
                    answer = self._status()
                first = False
                connection.send(broker.encode_answer(answer))

    def _status(self) -> broker.Answer:
        if self.status_problem:
            return broker.Answer(ok=False, problem=self.status_problem)
        return broker.Answer(ok=True, ack=Ack(state=AckState.ATTACHED))

    def device(self) -> socket.socket:
        """The connection of the device that comes next, as the kernel would get it."""
        with self.came:
            assert self.came.wait_for(lambda: self.connections, PATIENCE)
            return self.connections.pop(0)

    def device_after(self, connection: socket.socket, line: bytes) -> socket.socket:
        """Sends the device line as the helper does; what the kernel at the host would get."""
        connection.send(line)
        return self.device()

    def pair(self, identity: Identity, name: str = "client") -> None:
        """Lets a client in."""
        added = datetime(2026, 1, 1, tzinfo=UTC).isoformat()
        paired.add(
            self.folder / "clients",
            paired.Paired(
                name=name, container=VmId.parse("one"), fingerprint=identity.fingerprint, added=added,
                certificate=identity.der,
            ),
        )  # fmt: skip

    def dial(self, identity: Identity | None) -> ssl.SSLSocket:
        """An encrypted connection, by somebody who trusts everybody."""
        context = new_context(server=False)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        if identity is not None:
            context.load_cert_chain(identity.certificate, identity.key)
        plain = socket.create_connection(("127.0.0.1", self.port), PATIENCE)
        return context.wrap_socket(plain)

    def processes(self) -> int:
        """How many connections are seen to."""
        children = Path(f"/proc/{self.porter.pid}/task/{self.porter.pid}/children")
        return len(children.read_text(encoding="ascii").split())

    def until_quiet(self) -> None:
        """Waits until no connection is seen to: what was to be said of them is said."""
        end = time.monotonic() + PATIENCE
        while self.processes():
            assert time.monotonic() < end
            time.sleep(0.02)

    def close(self) -> str:
        """Ends it all; what the porter wrote."""
        self._agent.close()
        if self.porter.returncode is not None:
            return ""
        self.porter.send_signal(signal.SIGTERM)
        for connection in self.connections:
            connection.close()
        _, said = self.porter.communicate(timeout=PATIENCE)
        return said.decode()


def everything(connection: ssl.SSLSocket) -> bytes:
    """What is said until the end."""
    said = b""
    while data := connection.recv(4096):
        said += data
    return said
