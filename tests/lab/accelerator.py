"""EFFECT: whether this machine can run guests on KVM; asked once, with a deadline, in a child process.

Opening /dev/kvm proves nothing: there are machines where it exists and QEMU then hangs on it.
"""

import functools
import json
import os
import subprocess

from tests.lab import needs, processes
from tests.lab.errors import LabError

_DEADLINE = 8.0


def _kvm_works() -> bool:
    """Starts an empty KVM machine and asks it for its state."""
    qemu = needs.system_program("qemu-system-x86_64")
    if not qemu or not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return False
    command = [
        qemu,
        "-accel",
        "kvm",
        "-machine",
        "q35",
        "-cpu",
        "host",
        "-nodefaults",
        "-display",
        "none",
        "-qmp",
        "stdio",
    ]
    ask = b'{"execute": "qmp_capabilities"}\n{"execute": "query-status"}\n{"execute": "quit"}\n'
    process = processes.start(command, stdin=subprocess.PIPE, output=subprocess.PIPE)
    try:
        answer, _ = process.communicate(ask, timeout=_DEADLINE)
    except subprocess.TimeoutExpired:
        return False
    finally:
        process.kill()
        if process.stdin and process.stdout:
            process.stdin.close()
            process.stdout.close()
    replies = [json.loads(line) for line in answer.splitlines() if line.startswith(b"{")]
    return any(isinstance(reply.get("return"), dict) and reply["return"].get("running") for reply in replies)


@functools.cache
def accelerator() -> str:
    """`kvm` or `tcg`: the order of QVD_LAB_ACCEL, else `tcg`, or `kvm` with QVD_LAB_ACCEL=probe where it works."""
    order = os.environ.get("QVD_LAB_ACCEL", "tcg")
    if order in {"kvm", "tcg"}:
        return order
    if order == "probe":
        return "kvm" if _kvm_works() else "tcg"
    raise LabError(f"QVD_LAB_ACCEL={order} is none of kvm, tcg, probe")
