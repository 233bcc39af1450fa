"""The agent's end of the broker, as a thread that answers what a test tells it to."""

import socket
import threading
from collections.abc import Callable
from pathlib import Path

from qvd_usbip import broker
from qvd_usbip.ack import Ack, AckState

ATTACH_ID = "0b0e3b7c-3f0e-4a53-9a39-6a8e1d0f7c11"


class FakeBroker:
    """Listens at `path`; keeps requests and the connections that came with them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.requests: list[broker.Request] = []
        self.connections: list[socket.socket] = []
        self.state = AckState.ATTACHED
        self.nodes: tuple[str, ...] = ()
        self.problem = ""
        self.mute = False
        self.reply: Callable[[broker.Request], bytes] = self._answer
        self.changed = threading.Condition()
        self.busy = self.busiest = 0
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._listener.bind(str(path))
        self._listener.listen()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def set(self, state: AckState, *nodes: str) -> None:
        with self.changed:
            self.state, self.nodes = state, nodes
            self.changed.notify_all()

    def close(self) -> None:
        """Crash: the listener goes, its socket stays in the folder."""
        if self._listener.fileno() < 0:
            return
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()
        for connection in self.connections:
            connection.close()

    def seen(self, kind: type[broker.Request]) -> list[broker.Request]:
        return [request for request in self.requests if isinstance(request, kind)]

    def _serve(self) -> None:
        while True:
            try:
                channel, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._talk, args=(channel,), daemon=True).start()

    def _talk(self, channel: socket.socket) -> None:
        with self.changed:
            self.busy += 1
            self.busiest = max(self.busy, self.busiest)
        with channel:
            try:
                answer = self._hear(channel)
            finally:  # before it is sent: whoever has its answer may come with the next question at once
                with self.changed:
                    self.busy -= 1
            if answer:
                channel.send(answer)

    def _hear(self, channel: socket.socket) -> bytes:
        data, descriptors, _flags, _address = socket.recv_fds(channel, broker.MAX_MESSAGE, 2)
        if not data:
            return b""
        request = broker.decode_request(data)
        self._keep([socket.socket(fileno=each) for each in descriptors])
        self.requests.append(request)
        return b"" if self.mute else self.reply(request)

    def _keep(self, passed: list[socket.socket]) -> None:
        """A connection that is not attached is closed, as the agent does."""
        if not self.problem and not self.mute and self.reply == self._answer:
            self.connections += passed
        else:
            for connection in passed:
                connection.close()

    def _answer(self, request: broker.Request) -> bytes:
        if self.problem:
            return broker.encode_answer(broker.Answer(ok=False, problem=self.problem))
        if isinstance(request, broker.Ready):
            self.set(AckState.READY, *self.nodes)
        if not isinstance(request, broker.Status | broker.Ready):
            return broker.encode_answer(broker.Answer(ok=True))
        with self.changed:
            if isinstance(request, broker.Status):
                self.changed.wait_for(lambda: self.state != request.seen, request.wait)
            ack = Ack(state=self.state, at={self.state: 7})
            return broker.encode_answer(broker.Answer(ok=True, ack=ack, nodes=self.nodes))
