"""EFFECT: kernel events said inside containers that the kernel does not tell, through the warm injector."""

import array
import errno
import json
import os
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from qvd_usbip.ids import VmId
from server_agent.actions import Announce
from server_agent.host_nodes import ADD, REMOVE
from server_agent.kernel.inits import Inits
from server_agent.kernel.told import Told

INJECTOR = Path(__file__).with_name("injector.py")
ANSWER_SECONDS = 8.0  # the injector kills what takes longer than its own bound
INTERPRETER = ("-I", "-S", "-B")


@dataclass(slots=True)
class Injector:
    """The process, started with the first request and again when it has died.

    Args:
        command: what to start; its standard input is the socket.
    """

    command: Sequence[str] = (sys.executable, *INTERPRETER, str(INJECTOR))
    _process: "subprocess.Popen[bytes] | None" = None
    _control: socket.socket | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def start(self) -> None:
        """Have it warm.

        Raises:
            OSError: it cannot be started.
        """
        with self._lock:
            self._ensure()

    def stop(self) -> None:
        """End it: closing its socket is enough."""
        with self._lock:
            self._drop()

    def ask(self, init: int, request: dict[str, Any]) -> None:
        """Have one request carried out in the container of this init.

        Raises:
            OSError: it was not, or not all of it.
        """
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with ours, theirs:
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [init, theirs.fileno()]))]
            message = json.dumps(request).encode()
            with self._lock:
                control = self._ensure()
                try:
                    control.sendmsg([message], rights, socket.MSG_NOSIGNAL)
                except (BrokenPipeError, ConnectionResetError):
                    self._drop()
                    self._ensure().sendmsg([message], rights, socket.MSG_NOSIGNAL)
            theirs.close()
            ours.settimeout(ANSWER_SECONDS)
            answer = ours.recv(8)
        if len(answer) != 4:
            raise OSError(errno.EPIPE, "the injector died")
        (number,) = struct.unpack("=i", answer)
        if number:
            raise OSError(number, os.strerror(number))

    def _ensure(self) -> socket.socket:
        if self._control is None:
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            with theirs:
                self._process = subprocess.Popen(self.command, stdin=theirs.fileno())
            ours.settimeout(ANSWER_SECONDS)
            self._control = ours
        return self._control

    def _drop(self) -> None:
        if self._control is not None:
            self._control.close()
            self._control = None
        if self._process is not None:
            try:
                self._process.wait(ANSWER_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Uevents:
    """Says events inside containers, and keeps what each was told."""

    injector: Injector
    inits: Inits
    told: Told

    def say(self, name: VmId, batch: Sequence[Announce]) -> None:
        """Say these events inside a container, in this order; one that has no process any more hears nothing.

        What comes is noted before and what goes is forgotten after: an agent that dies between says it again.

        Raises:
            OSError: not all of it was heard.
        """
        try:
            init = self.inits.pidfd(name)
        except ProcessLookupError:
            self.told.remove(name)
            return
        try:
            for action in batch:
                if action.event == ADD:
                    self.told.note(name, action.thing)
            self.injector.ask(init, request_of(batch))
        finally:
            os.close(init)
        for action in batch:
            if action.event == REMOVE:
                self.told.forget(name, action.thing)

    def forget(self, name: VmId) -> None:
        """The container is gone."""
        self.inits.forget(name)
        self.told.remove(name)


def request_of(batch: Sequence[Announce]) -> dict[str, Any]:
    """What the injector is asked for a batch of events."""
    return {
        "links": [[action.event, action.link] for action in batch if action.link],
        "events": [[action.event, action.thing.devpath, list(action.thing.properties)] for action in batch],
    }
