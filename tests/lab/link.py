"""EFFECT: the host's end of the commands: one connection to a guest's agent, many requests at a time."""

import base64
import contextlib
import itertools
import json
import os
import socket
import struct
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.lab.errors import LabError, TimedOut


@dataclass(slots=True)
class _Waiting:
    done: threading.Event = field(default_factory=threading.Event)
    answer: dict[str, Any] | None = None


class Link:
    """Requests to one guest. `reset` after the guest's state was replaced: half a message may hang in the line."""

    def __init__(self, name: str, path: Path) -> None:
        self._name = name
        self._path = path
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._waiting: dict[str, _Waiting] = {}
        self._numbers = itertools.count()

    def _connect(self) -> socket.socket:
        if self._socket is None:
            fresh = socket.socket(socket.AF_UNIX)
            try:
                fresh.connect(str(self._path))
            except OSError:
                fresh.close()
                raise
            self._socket = fresh
            threading.Thread(target=self._listen, args=(fresh,), daemon=True).start()
        return self._socket

    def _listen(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection.makefile("rb") as stream:
            while len(head := stream.read(4)) == 4:
                (size,) = struct.unpack(">I", head)
                body = stream.read(size)
                if len(body) < size:
                    break
                answer = json.loads(body)
                waiting = self._waiting.pop(answer["id"], None)  # none: its caller gave up
                if waiting:
                    waiting.answer = answer
                    waiting.done.set()
        with self._lock:
            if self._socket is connection:
                self._drop()

    def _drop(self) -> None:
        if self._socket:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
            self._socket.close()
            self._socket = None
        for waiting in list(self._waiting.values()):
            waiting.done.set()
        self._waiting.clear()

    def reset(self) -> None:
        """Leaves the line; calls that wait end as interrupted, the next call connects anew."""
        with self._lock:
            self._drop()

    def call(self, limit: float, **request: Any) -> dict[str, Any]:
        """One request and its answer; raises TimedOut after `limit` seconds, LabError when the line broke."""
        identity = f"{os.getpid()}.{next(self._numbers)}.{time.monotonic_ns()}"
        data = json.dumps({"id": identity, **request}).encode()
        waiting = self._waiting[identity] = _Waiting()
        try:
            with self._lock:
                self._connect().sendall(struct.pack(">I", len(data)) + data)
        except OSError as error:
            self._waiting.pop(identity, None)
            self.reset()
            raise LabError(f"{self._name}: its agent cannot be reached: {error}") from error
        if not waiting.done.wait(limit):
            self._waiting.pop(identity, None)
            raise TimedOut(f"{self._name} gave no answer in {limit:.0f} s")
        if waiting.answer is None:
            raise LabError(f"{self._name}: the line to its agent broke")
        return waiting.answer

    def run(self, command: str, timeout: float, stdin: bytes | None = None) -> tuple[int, bytes]:
        """Exit status (124: took longer than `timeout` seconds) and output of a bash command run by root."""
        more = {} if stdin is None else {"stdin": base64.b64encode(stdin).decode()}
        answer = self.call(timeout + 30, op="run", cmd=command, timeout=timeout, **more)
        return int(answer["rc"]), base64.b64decode(answer["out"])

    def vitals(self, timeout: float) -> dict[str, Any]:
        """What the agent says of kernel log, core dumps and units; raises LabError when it cannot say it."""
        answer = self.call(timeout, op="vitals")
        said = base64.b64decode(answer["out"])
        if answer["rc"]:
            raise LabError(f"{self._name} cannot say how it is: {said.decode(errors='replace')}")
        found: dict[str, Any] = json.loads(said)
        return found

    def wait_until_it_answers(self, limit: float) -> None:
        """Asks until the agent answers; the guest may be booting."""
        deadline = time.monotonic() + limit
        while True:
            try:
                self.call(3, op="ping")
            except LabError:
                if time.monotonic() > deadline:
                    raise TimedOut(f"{self._name} did not come up in {limit:.0f} s") from None
                self.reset()
                time.sleep(0.2)
            else:
                return
