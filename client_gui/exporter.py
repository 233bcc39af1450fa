"""EFFECT: runs the setuid helper's `lend` for one device and talks with it over a socket pair.

The helper keeps the device for exactly as long as our end of the pair is open: when this program dies, however that
comes, the device goes back to its driver.
"""

from __future__ import annotations

import errno
import json
import os
import socket
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

from client_gui.troubles import Fault, fault_of
from qvd_usbip.errors import HELPER_DIED, HELPER_MISSING, PROBLEMS, QvdUsbError, printable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from qvd_usbip.usb import UsbDevice

MESSAGE_LIMIT = 1024
"""Longest message either way, in bytes."""

STDERR_LIMIT = 4096
END_LIMIT = 0.2
"""How long the end of a helper that closed its socket is waited for, in seconds."""

_STATES = ("bound", "exported", "returned", "dropped", "refused")
_NOT_STARTABLE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.EACCES, errno.EPERM, errno.ENOEXEC, errno.ELOOP})


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One message of the helper, by its state; `fault` is the reason that it gives."""

    state: str
    devid: int = 0
    speed: int = 0
    fault: Fault | None = None


def format_request(device: UsbDevice, consent: Sequence[str]) -> bytes:
    """Formats the request to lend a device; the helper refuses if another one stands at the port by then."""
    expect = {
        "vid": f"{device.vidpid.vendor:04x}",
        "pid": f"{device.vidpid.product:04x}",
        "serial": device.serial,
    }
    request = {"v": 1, "busid": str(device.busid), "expect": expect, "consent": list(consent)}
    return json.dumps(request, separators=(",", ":")).encode()


def parse_answer(data: bytes) -> Answer | None:
    """Parses a message of the helper; None if it is not one that we know."""
    try:
        message: object = json.loads(data)
    except (ValueError, RecursionError):
        return None
    if not isinstance(message, dict) or message.get("v") != 1 or message.get("state") not in _STATES:
        return None
    state = str(message["state"])
    if state == "refused" or "problem" in message:
        return Answer(state=state, fault=_fault_in(message))
    devid, speed = message.get("devid", 0), message.get("speed", 0)
    if not isinstance(devid, int) or not isinstance(speed, int):
        return None
    return Answer(state=state, devid=devid, speed=speed)


def _fault_in(message: Mapping[str, object]) -> Fault:
    code, text = message.get("problem"), message.get("text")
    known = code if isinstance(code, str) and code in PROBLEMS else "internal"
    return Fault(code=known, text=printable(text[:500]) if isinstance(text, str) else "")


def fault_of_exit(status: int, stderr: str) -> Fault:
    """Decides why the helper ended without an answer, by its exit status and what it said."""
    text = next((line.removeprefix("error: ") for line in stderr.splitlines() if line.strip()), "")
    for code, problem in PROBLEMS.items():
        if problem.exit_status == status:
            return Fault(code=code, text=printable(text[:500]))
    ending = f"signal {-status}" if status < 0 else f"exit status {status}"
    return _died(f"{ending}, {text[:400]}" if text else ending)


class Exporter:
    """One running helper. Its socket is for the engine's selector; nothing here waits longer than END_LIMIT."""

    def __init__(self, process: subprocess.Popen[bytes], channel: socket.socket, errors: int) -> None:
        self._process = process
        self._channel = channel
        self._errors = errors

    @classmethod
    def start(cls, helper: str, device: UsbDevice, consent: Sequence[str]) -> Exporter | Fault:
        """Starts the helper and asks it for the device."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.settimeout(0.0)
        errors = os.memfd_create("helper-errors", os.MFD_CLOEXEC)  # a pipe that nobody reads could stop the helper
        with theirs:
            try:
                process = subprocess.Popen(
                    [helper, "lend"],
                    stdin=theirs.fileno(),
                    stdout=subprocess.DEVNULL,
                    stderr=errors,
                    env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"},
                    cwd="/",
                    start_new_session=True,  # Ctrl-C in the user's terminal is for us: we return the devices in order
                )
            except (OSError, ValueError) as error:
                ours.close()
                os.close(errors)
                return fault_of_start(helper, error)
        exporter = cls(process, ours, errors)
        exporter._send(format_request(device, consent))
        return exporter

    @property
    def channel(self) -> socket.socket:
        """Readable when the helper said something or ended."""
        return self._channel

    def hand_over(self, connection: socket.socket) -> bool:
        """Passes the connected slave channel; False if the helper cannot take it."""
        message = json.dumps({"v": 1, "op": "export"}).encode()
        try:
            socket.send_fds(self._channel, [message], [connection.fileno()])
        except OSError:
            return False  # the helper's end is closed or stuffed: reading from it tells the rest
        return True

    def ask_return(self) -> None:
        """Asks for the device to go home; the answer is `returned`, or the helper's end."""
        self._send(json.dumps({"v": 1, "op": "return"}).encode())

    def _send(self, message: bytes) -> None:
        try:
            self._channel.send(message)
        except OSError:
            return  # as above: its end is seen, or its time limit passes

    def read(self) -> Answer | Fault | None:
        """Reads what the helper said: an answer, None for nothing yet, or the fault that it ended or talks nonsense."""
        try:
            data = self._channel.recv(MESSAGE_LIMIT + 1)
        except BlockingIOError:
            return None
        except OSError:
            data = b""
        if not data:
            return self._fault_of_end()
        answer = parse_answer(data) if len(data) <= MESSAGE_LIMIT else None
        return answer or _died("its answer is not understood")

    def _fault_of_end(self) -> Fault:
        try:
            status = self._process.wait(timeout=END_LIMIT)  # it closed its socket: its exit is a moment away
        except subprocess.TimeoutExpired:
            return _died("it closed its end and stays")
        said = os.pread(self._errors, STDERR_LIMIT, 0)
        return fault_of_exit(status, said.decode(errors="replace"))

    def close(self) -> None:
        """Lets go of the helper: it returns the device if it still has one."""
        self._channel.close()
        os.close(self._errors)

    def ended(self) -> bool:
        """Whether the helper's process is gone (and then no zombie remains of it)."""
        return self._process.poll() is not None


def fault_of_start(helper: str, error: OSError | ValueError) -> Fault:
    """Decides why the helper could not be started."""
    if isinstance(error, OSError) and error.errno not in _NOT_STARTABLE:
        return _died(os.strerror(error.errno or 0))
    return fault_of(QvdUsbError(HELPER_MISSING, path=helper))


def _died(reason: str) -> Fault:
    return fault_of(QvdUsbError(HELPER_DIED, reason=reason))
