"""EFFECT: whether this machine can run guests on KVM; asked once, with a deadline, in a child process.

Opening /dev/kvm proves nothing, nor does a QEMU that answers: there are machines where the first virtual CPU then never
gets on. So the firmware of an empty machine has to come to its end.
"""

import contextlib
import functools
import os
import selectors
import subprocess
import time

from tests.lab import needs, processes
from tests.lab.errors import LabError

_DEADLINE = 8.0
_CONSOLE = ("-debugcon", "stdio", "-global", "isa-debugcon.iobase=0x402")  # where SeaBIOS speaks
_LAST_WORDS = b"No bootable device"


def _kvm_works() -> bool:
    """Lets the firmware of a KVM machine without disks run to where it gives up looking for one."""
    qemu = needs.system_program("qemu-system-x86_64")
    if not qemu or not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return False
    machine = ["-accel", "kvm", "-machine", "q35", "-cpu", "max", "-smp", "2", "-nodefaults", "-display", "none"]
    process = processes.start([qemu, *machine, *_CONSOLE], output=subprocess.PIPE)
    try:
        return process.stdout is not None and _says(process.stdout.fileno(), _LAST_WORDS, _DEADLINE)
    finally:
        process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):  # one that hangs in the kernel is left to it
            process.wait(2)
        for pipe in (process.stdout, process.stderr):
            if pipe:
                pipe.close()


def _says(descriptor: int, words: bytes, seconds: float) -> bool:
    """Whether `words` come out of `descriptor` before it ends and before the time is up."""
    deadline = time.monotonic() + seconds
    heard = b""
    with selectors.DefaultSelector() as selector:
        selector.register(descriptor, selectors.EVENT_READ)
        while selector.select(max(0, deadline - time.monotonic())):
            more = os.read(descriptor, 65536)
            if not more:
                return False
            heard += more
            if words in heard:
                return True
    return False


@functools.cache
def accelerator() -> str:
    """`kvm` where it works, else `tcg`; QVD_LAB_ACCEL=tcg or =kvm says it without a probe."""
    order = os.environ.get("QVD_LAB_ACCEL", "probe")
    if order in {"kvm", "tcg"}:
        return order
    if order == "probe":
        return "kvm" if _kvm_works() else "tcg"
    raise LabError(f"QVD_LAB_ACCEL={order} is none of kvm, tcg, probe")
