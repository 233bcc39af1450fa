"""Runs in a guest: executes commands that come over virtio-serial ports, for the laboratory outside.

A message is a 4 byte big-endian length and a JSON object. Request: {"id", "op", "cmd", "timeout", "stdin"?}, where "op"
is "ping", "run" or "vitals"; the answer has the same id, "rc" and "out" (base64 of output and errors). Requests run
side by side.

`vitals` answers what the guest's health is judged by. It is asked after each scenario, and starting a dmesg here and a
systemctl in each container costs seconds of an emulated processor: this process asks by itself, having all it needs.
"""

import base64
import contextlib
import ctypes
import fcntl
import json
import os
import signal
import struct
import subprocess
import termios
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

from jeepney import DBusAddress, HeaderFields, Message, Parser, new_method_call
from jeepney.io.blocking import prep_socket
from jeepney.wrappers import unwrap_msg

PORTS = ("/dev/virtio-ports/lab.agent", "/dev/virtio-ports/lab.people")
LIMIT = 8 << 20  # more output than this is cut at its beginning
ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LANG": "C.UTF-8",
    "TERM": "dumb",
}
CORES = Path("/var/lib/lab/cores")
UNITS = "qvd-*"
SYSTEMD = "org.freedesktop.systemd1"
PATIENCE = (10.0, 20.0, 60.0)  # seconds to wait for systemd, on so many lines one after the other
_READ_ALL, _SIZE_BUFFER = 3, 10
CLONE_NEWNS, CLONE_NEWUSER, CLONE_NEWPID = 0x00020000, 0x10000000, 0x20000000


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


def kernel_log() -> str:
    """What `dmesg` prints (syslog(2))."""
    libc = ctypes.CDLL(None, use_errno=True)
    buffer = ctypes.create_string_buffer(libc.klogctl(_SIZE_BUFFER, None, 0))
    length = libc.klogctl(_READ_ALL, buffer, len(buffer))
    if length < 0:
        raise OSError(ctypes.get_errno(), "klogctl")
    return buffer.raw[:length].decode(errors="replace")


def inits() -> Iterator[tuple[str, str]]:
    """The first process of each container that runs: its number here, and its cgroup."""
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            status = (folder / "status").read_text()
            numbers = status.partition("\nNSpid:")[2].partition("\n")[0].split()
            if len(numbers) > 1 and numbers[-1] == "1" and "\nState:\tZ" not in status:
                yield folder.name, (folder / "cgroup").read_text().rpartition(":")[2].strip()


class Systemd:
    """The private line to the systemd that runs where this process is: D-Bus without a bus."""

    def __init__(self, patience: float) -> None:
        self._socket = prep_socket("/run/systemd/private", timeout=patience)
        self._socket.settimeout(patience)
        while self._unread():  # it would wait for more after words that came together with the last one of the greeting
            time.sleep(0.001)
        self._parser = Parser()
        self._serial = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def _unread(self) -> bool:
        """Whether something is on its way that systemd has not read yet (SIOCOUTQ)."""
        return fcntl.ioctl(self._socket, termios.TIOCOUTQ, bytes(4)) != bytes(4)

    def ask(self, message: Message) -> Any:
        """What the method that `message` calls returns first."""
        self._serial += 1
        self._socket.sendall(message.serialise(serial=self._serial))
        while True:
            while (answer := self._parser.get_next_message()) is None:
                data = self._socket.recv(65536)
                if not data:
                    raise OSError("systemd left the line")
                self._parser.add_data(data)
            if answer.header.fields.get(HeaderFields.reply_serial) == self._serial:
                return unwrap_msg(answer)[0]

    def units(self) -> str:
        """The state of our units, in the words of `systemctl show`."""
        blocks = []
        manager = DBusAddress("/org/freedesktop/systemd1", SYSTEMD, f"{SYSTEMD}.Manager")
        found = self.ask(new_method_call(manager, "ListUnitsByPatterns", "asas", ([], [UNITS])))
        for name, _, _, active, _, _, path, *_ in found:
            block = [f"Id={name}", f"ActiveState={active}"]
            if name.endswith(".service"):
                properties = DBusAddress(path, SYSTEMD, "org.freedesktop.DBus.Properties")
                for key in ("NRestarts", "Result"):
                    value = self.ask(new_method_call(properties, "Get", "ss", (f"{SYSTEMD}.Service", key)))[1]
                    block.append(f"{key}={value}")
            blocks.append("\n".join(block))
        return "\n\n".join(blocks)


def units() -> str:
    """The state of our units here; none where systemd does not run yet, or no more.

    A line stayed silent once though systemd answered others; why is not known: another one is tried.
    """
    for patience in PATIENCE:
        try:
            with Systemd(patience) as systemd:
                return systemd.units()
        except TimeoutError:
            if patience == PATIENCE[-1]:
                raise
        except (FileNotFoundError, ConnectionRefusedError):
            break
    return ""


def _enter(init: str) -> None:
    """Makes the next child of this process one of that container's; systemd answers only whom it sees, and its root."""
    mine, theirs = (Path(f"/proc/{process}/ns/user").readlink() for process in ("self", init))
    spaces = CLONE_NEWPID | CLONE_NEWNS | (CLONE_NEWUSER if mine != theirs else 0)
    if ctypes.CDLL(None, use_errno=True).setns(os.pidfd_open(int(init)), spaces):
        raise OSError(ctypes.get_errno(), "setns")
    os.setgroups([])
    os.setresgid(0, 0, 0)
    os.setresuid(0, 0, 0)


def units_within(init: str) -> str:
    """The same for the container of that process: asked by a process in there, which costs less than a program."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        try:
            _enter(init)
            grandchild = os.fork()
            if not grandchild:
                os.write(writer, units().encode())
                os._exit(0)
            os._exit(bool(os.waitpid(grandchild, 0)[1]))
        except BaseException as error:  # noqa: BLE001 - whatever it was, nothing of the agent may go on in here
            os.write(writer, repr(error).encode())
            os._exit(1)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        said = pipe.read()
    if not os.waitpid(child, 0)[1]:
        return said
    if init not in dict(inits()):  # the container ended meanwhile
        return ""
    raise OSError(f"the container of process {init} does not say how its units are: {said}")


def vitals() -> dict[str, Any]:
    """Kernel log, core dumps, and our units of this guest and of its containers."""
    within = {f"container {cgroup}": units_within(init) for init, cgroup in inits()}
    return {
        "log": kernel_log(),
        "cores": [each.name for each in CORES.iterdir()],
        "units": {os.uname().nodename: units(), **within},
    }


OPERATIONS: dict[str, Callable[[dict[str, Any]], tuple[int, bytes]]] = {
    "ping": lambda _: (0, b""),
    "run": execute,
    "vitals": lambda _: (0, json.dumps(vitals()).encode()),
}


def serve(port: Port, request: dict[str, Any]) -> None:
    """Answers one request."""
    try:
        status, out = OPERATIONS[request["op"]](request)
    except Exception as error:  # noqa: BLE001 - whatever it was, the caller must get an answer
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
