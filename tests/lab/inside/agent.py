#!/usr/bin/python3
"""Runs in a guest: executes commands that come over virtio-serial ports, for the laboratory outside.

A message is a 4 byte big-endian length and a JSON object. Request: {"id", "op": "ping"|"run", "cmd", "timeout", "stdin"?};
the answer has the same id, "rc" and "out" (base64 of standard output and error). Requests run side by side.
"""

import base64
import contextlib
import json
import os
import select
import signal
import struct
import subprocess
import threading
import time

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

    def __init__(self, path):
        self.descriptor = os.open(path, os.O_RDWR)
        self.lock = threading.Lock()

    def read(self, count):
        """Exactly `count` bytes, or None when the other side left in between."""
        data = b""
        while len(data) < count:
            try:
                piece = os.read(self.descriptor, count - len(data))
            except OSError:
                piece = b""
            if not piece:
                time.sleep(0.02)
                if data:
                    return None
            data += piece
        return data

    def write(self, message):
        data = json.dumps(message).encode()
        data = struct.pack(">I", len(data)) + data
        with self.lock:
            while data:
                try:
                    data = data[os.write(self.descriptor, data):]
                except BlockingIOError:
                    select.select([], [self.descriptor], [])
                except OSError:  # nobody is there to read it
                    return


def execute(request):
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
    try:
        out = process.communicate(feed, timeout=request["timeout"])[0]
        return process.returncode, out
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    try:
        return 124, process.communicate(timeout=5)[0]
    except subprocess.TimeoutExpired:
        return 124, b"(its processes cannot be killed: uninterruptible sleep)"


def serve(port, request):
    try:
        status, out = (0, b"") if request["op"] == "ping" else execute(request)
    except Exception as error:  # whatever it is, the caller must get an answer
        status, out = 126, repr(error).encode()
    port.write({"id": request["id"], "rc": status, "out": base64.b64encode(out[-LIMIT:]).decode()})


def listen(path):
    while not os.path.exists(path):
        time.sleep(0.05)
    port = Port(path)
    while True:
        head = port.read(4)
        body = head and port.read(struct.unpack(">I", head)[0])
        if body:
            threading.Thread(target=serve, args=(port, json.loads(body)), daemon=True).start()


for each in PORTS[1:]:
    threading.Thread(target=listen, args=(each,), daemon=True).start()
listen(PORTS[0])
