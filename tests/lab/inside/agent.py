"""Runs in a guest: executes commands that come over virtio-serial ports, for the laboratory outside.

A message is a 4 byte big-endian length and a JSON object. Request: {"id", "op": "ping"|"run", "cmd", "timeout",
"stdin"?}; the answer has the same id, "rc" and "out" (base64 of output and errors). Requests run side by side.
"""

import base64
import contextlib
import json
import os
import signal
import struct
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

PORTS = ("/dev/virtio-ports/lab.agent", "/dev/virtio-ports/lab.people")
LIMIT = 8 << 20  # more output than this is cut at its beginning
ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LANG": "C.UTF-8",
    "TERM": "dumb",
}


class Port:
    """One virtio-serial port; the other side may leave and come back at any byte."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDWR)
        self._lock = threading.Lock()

    def read(self, count: int) -> bytes:
        """Exactly `count` bytes, or none when the other side left in between."""
        data = bytearray()
        while len(data) < count:
            try:
                piece = os.read(self._descriptor, count - len(data))
            except OSError:
                piece = b""
            if not piece:
                time.sleep(0.02)
                if data:
                    return b""
            data += piece
        return bytes(data)

    def write(self, message: dict[str, Any]) -> None:
        """Sends a message; when nobody is there to read it, it is lost."""
        data = json.dumps(message).encode()
        data = struct.pack(">I", len(data)) + data
        with self._lock, contextlib.suppress(OSError):
            while data:
                data = data[os.write(self._descriptor, data) :]


def execute(request: dict[str, Any]) -> tuple[int, bytes]:
    """The exit status and the output of the command; 124 when it took too long."""
    process = subprocess.Popen(
        ["/bin/bash", "-c", request["cmd"]],
        stdin=subprocess.PIPE if "stdin" in request else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        env=ENVIRONMENT,
        cwd="/root",
    )
    feed = base64.b64decode(request["stdin"]) if "stdin" in request else None
    with contextlib.suppress(subprocess.TimeoutExpired):
        out = process.communicate(feed, timeout=request["timeout"])[0]
        return process.returncode, out
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    with contextlib.suppress(subprocess.TimeoutExpired):
        return 124, process.communicate(timeout=5)[0]
    return 124, b"(its processes cannot be killed, or another one holds its output open)"


def serve(port: Port, request: dict[str, Any]) -> None:
    """Answers one request."""
    try:
        status, out = (0, b"") if request["op"] == "ping" else execute(request)
    except (OSError, ValueError, KeyError) as error:  # the caller must get an answer
        status, out = 126, repr(error).encode()
    port.write({"id": request["id"], "rc": status, "out": base64.b64encode(out[-LIMIT:]).decode()})


def listen(path: Path) -> None:
    """Serves one port for good."""
    while not path.exists():
        time.sleep(0.05)
    port = Port(path)
    while True:
        head = port.read(4)
        body = head and port.read(struct.unpack(">I", head)[0])
        if body:
            threading.Thread(target=serve, args=(port, json.loads(body)), daemon=True).start()


if __name__ == "__main__":
    for each in PORTS[1:]:
        threading.Thread(target=listen, args=(Path(each),), daemon=True).start()
    listen(Path(PORTS[0]))
