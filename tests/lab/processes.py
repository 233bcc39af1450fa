"""EFFECT: processes that end with the one that started them, whatever ends it.

A child asks the kernel for SIGKILL when its parent dies (prctl PR_SET_PDEATHSIG). A set-user-id program such as sudo
loses that wish, so what runs behind sudo is ended by the end of its standard input (`stopped_with_stdin`).
Source: prctl(2).
"""

import contextlib
import ctypes
import os
import signal
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


def _die_with(parent: int) -> Callable[[], None]:
    def ask() -> None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
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
) -> subprocess.Popen[bytes]:
    """Starts `command` in a session of its own; it is killed when this process ends.

    Call it on the main thread: the kernel's promise is bound to the thread that forked.
    """
    return subprocess.Popen(
        command,
        stdin=stdin,
        stdout=output,
        stderr=output if errors is None else errors,
        env=env,
        start_new_session=True,
        preexec_fn=_die_with(os.getpid()),  # noqa: PLW1509 - two system calls, no lock taken
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
