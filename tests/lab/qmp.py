"""EFFECT: QEMU's control socket, as far as the lab needs it. Source: QEMU Machine Protocol Specification."""

import json
import socket
import threading
import time
from pathlib import Path
from typing import Any

from tests.lab.errors import LabError, TimedOut


class Monitor:
    """One connection to a QEMU; `command` is safe to call from several threads."""

    def __init__(self, path: Path, limit: float = 20.0) -> None:
        self._lock = threading.Lock()
        deadline = time.monotonic() + limit
        while True:
            try:
                self._socket = socket.socket(socket.AF_UNIX)
                self._socket.connect(str(path))
                break
            except (FileNotFoundError, ConnectionRefusedError):
                self._socket.close()
                if time.monotonic() > deadline:
                    raise TimedOut(f"QEMU opened no control socket {path} in {limit:.0f} s") from None
                time.sleep(0.05)
        self._stream = self._socket.makefile("rwb")
        self._socket.settimeout(limit)
        self._stream.readline()  # the greeting
        self.command("qmp_capabilities")

    def command(self, name: str, limit: float = 60.0, **arguments: Any) -> Any:
        """Executes a command and returns its `return` value; raises LabError with QEMU's own words."""
        with self._lock:
            self._socket.settimeout(limit)
            message = {"execute": name, "arguments": arguments}
            try:
                self._stream.write(json.dumps(message).encode() + b"\n")
                self._stream.flush()
                while line := self._stream.readline():
                    answer = json.loads(line)
                    if "return" in answer:
                        return answer["return"]
                    if "error" in answer:
                        raise LabError(f"QEMU refused {name}: {answer['error']['desc']}")
            except TimeoutError:
                raise TimedOut(f"QEMU did not answer {name} in {limit:.0f} s") from None
            except OSError as error:
                raise LabError(f"QEMU is gone: {error}") from error
        raise LabError(f"QEMU is gone; it did not answer {name}")

    def human(self, line: str, limit: float = 60.0) -> str:
        """A line of QEMU's human monitor, for what QMP has no command for."""
        return str(self.command("human-monitor-command", limit, **{"command-line": line}))

    def close(self) -> None:
        """Leaves the socket to the next one."""
        self._stream.close()
        self._socket.close()
