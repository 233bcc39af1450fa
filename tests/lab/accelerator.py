"""EFFECT: whether this machine can run guests on KVM; asked with a deadline, in a child process.

Opening /dev/kvm proves nothing, nor does a QEMU that answers, nor firmware that comes to its end: there are machines
whose first virtual CPU never gets on, and others that know only the instructions of small systems. So the kernel of
the guests themselves has to get to its user space; and a guest that KVM stops later ends its use.
"""

import contextlib
import functools
import os
import selectors
import subprocess
import time
from pathlib import Path

from tests.lab import emulator, processes
from tests.lab.cache import cache_root
from tests.lab.errors import LabError

_DEADLINE = 15.0
_BOOT = "console=ttyS0 quiet mitigations=off panic=-1 rdinit=/bin/busybox"
#: What the kernel says when the first program has run, and ended.
_LAST_WORDS = b"Attempted to kill init"
_BROKEN = b"KVM internal error"


def _kvm_works(kernel: Path, initrd: Path) -> bool:
    """Lets the guests' kernel start on a KVM machine without disks, as far as its first program."""
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return False
    machine = ["-accel", "kvm", "-machine", "q35", "-cpu", "max", "-smp", "2", "-m", "512", "-no-reboot", "-nodefaults"]
    boot = ["-kernel", str(kernel), "-initrd", str(initrd), "-append", _BOOT, "-display", "none", "-serial", "stdio"]
    process = processes.start([emulator.program(), *machine, *boot], output=subprocess.PIPE, errors=subprocess.STDOUT)
    try:
        return process.stdout is not None and _says(process.stdout.fileno(), _LAST_WORDS, _BROKEN, _DEADLINE)
    finally:
        process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):  # one that hangs in the kernel is left to it
            process.wait(2)
        if process.stdout:
            process.stdout.close()


def _says(descriptor: int, words: bytes, never: bytes, seconds: float) -> bool:
    """Whether `words` come out of `descriptor` before `never` does, before it ends and before the time is up."""
    deadline = time.monotonic() + seconds
    heard = b""
    with selectors.DefaultSelector() as selector:
        selector.register(descriptor, selectors.EVENT_READ)
        while selector.select(max(0, deadline - time.monotonic())):
            more = os.read(descriptor, 65536)
            heard += more
            if words in heard:
                return True
            if not more or never in heard:
                return False
    return False


def _given_up() -> Path:
    """The note that KVM stopped a guest since this machine booted."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return cache_root() / f"no-kvm-{boot}"


@functools.cache
def _probed(image: Path) -> str:
    return "kvm" if not _given_up().exists() and _kvm_works(image / "vmlinuz", image / "initrd") else "tcg"


def _order() -> str:
    order = os.environ.get("QVD_LAB_ACCEL", "probe")
    if order not in {"kvm", "tcg", "probe"}:
        raise LabError(f"QVD_LAB_ACCEL={order} is none of kvm, tcg, probe")
    return order


def accelerator(image: Path) -> str:
    """`kvm` where the kernel in the folder `image` runs on it, else `tcg`.

    QVD_LAB_ACCEL=tcg or =kvm says it without a probe.
    """
    order = _order()
    return _probed(image) if order == "probe" else order


def give_up_kvm(image: Path) -> bool:
    """From now on guests of this folder run without KVM. False where they do already, or KVM was ordered."""
    if _order() != "probe" or _probed(image) == "tcg":
        return False
    _given_up().touch()
    _probed.cache_clear()
    return True
