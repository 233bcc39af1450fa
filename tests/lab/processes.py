"""EFFECT: processes that end with the one that started them, whatever ends it.

A child asks the kernel for SIGKILL when its parent dies (prctl PR_SET_PDEATHSIG). A set-user-id program such as sudo
loses that wish, so what runs behind sudo is ended by the end of its standard input (`stopped_with_stdin`).
Source: prctl(2).
"""

import contextlib
import ctypes
import os
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_LIBC = ctypes.CDLL(None, use_errno=True)
_SCHED_SETATTR = 314  # on x86-64; Debian 12's C library has no function for it
_TURN = 20_000_000  # ns
#: struct sched_attr: size, policy, flags, nice, priority, runtime (what Linux 6.12 and later take for the length of a
#: turn), deadline, period.
_LONG_TURNS = struct.pack("=IIQiIQQQ", 48, os.SCHED_BATCH, 0, 0, 0, _TURN, 0, 0)


def _start_up(parent: int, *, long_turns: bool) -> Callable[[], None]:
    def ask() -> None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if long_turns:  # where the kernel refuses, it is slower
            _LIBC.syscall(_SCHED_SETATTR, 0, _LONG_TURNS, 0)
        if os.getppid() != parent:  # it died before we could ask
            os._exit(1)

    return ask


def start(
    command: Sequence[str],
    *,
    stdin: int = subprocess.DEVNULL,
    output: IO[bytes] | int | None = None,
    errors: IO[bytes] | int | None = None,
    env: Mapping[str, str] | None = None,
    long_turns: bool = False,
) -> subprocess.Popen[bytes]:
    """Starts `command` in a session of its own; it is killed when this process ends.

    Call it on the main thread: the kernel's promise is bound to the thread that forked.

    `long_turns` lets it have the processor for 20 ms at a time, and does not let it interrupt others when it wakes up.
    Emulated processors that share real ones by the usual turns of 3 ms take nearly twice the time for the same work.
    Source: sched_setattr(2), sched(7).
    """
    return subprocess.Popen(
        command,
        stdin=stdin,
        stdout=output,
        stderr=output if errors is None else errors,
        env=env,
        start_new_session=True,
        preexec_fn=_start_up(os.getpid(), long_turns=long_turns),  # noqa: PLW1509 - system calls only, no lock taken
    )


def end(process: subprocess.Popen[bytes], grace: float = 5.0) -> None:
    """Ends a process that `start` made: asks, then kills after `grace` seconds."""
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(grace)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def adopt_orphans() -> None:
    """Makes this process the parent of every orphan below it, so that `kill_children` finds them all."""
    _LIBC.prctl(_PR_SET_CHILD_SUBREAPER, 1)


def _children() -> list[int]:
    found = []
    for path in Path("/proc/self/task").glob("*/children"):
        found += [int(pid) for pid in path.read_text(encoding="ascii").split()]
    return found


def kill_children(limit: float = 10.0) -> None:
    """Kills everything below this process; needs `adopt_orphans` before, for grandchildren."""
    deadline = time.monotonic() + limit
    while (children := _children()) and time.monotonic() < deadline:
        for pid in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(-1, os.WNOHANG)
        time.sleep(0.01)


@contextlib.contextmanager
def stopped_with_stdin() -> Iterator[None]:
    """Within, the end of standard input ends this process, and before it everything below it."""
    adopt_orphans()
    told = threading.Event()

    def watch() -> None:
        with contextlib.suppress(OSError):
            while os.read(0, 4096):
                watcher.join()
        told.set()
        kill_children()
        os._exit(130)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        if told.is_set():  # the work failed because its children were killed: not all of them may be gone yet
            watcher.join()


def signals_raise_exit() -> None:
    """SIGTERM and SIGHUP end this process as Ctrl-C does, so that every `finally` runs."""

    def leave(number: int, _frame: object) -> None:
        sys.exit(128 + number)

    signal.signal(signal.SIGTERM, leave)
    signal.signal(signal.SIGHUP, leave)
