"""EFFECT: says on standard error which stage runs and how long it took."""

import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

#: Streams that get each line too.
ALSO: list[TextIO] = []

#: Who speaks: where several processes of pytest run a lab each, which of them.
_WHO = " ".join(("lab", *filter(None, [os.environ.get("PYTEST_XDIST_WORKER")])))
_STARTED = time.monotonic()
_LOCK = threading.Lock()


def say(text: str) -> None:
    """One line with the time since the program began."""
    line = f"{_WHO} [{time.monotonic() - _STARTED:6.1f} s] {text}\n"
    with _LOCK:
        for stream in (sys.stderr, *ALSO):
            stream.write(line)
            stream.flush()


@contextmanager
def stage(name: str, every: float = 20.0) -> Iterator[None]:
    """Frames a stage: its beginning, a sign of life every `every` seconds, and how long it took."""
    began = time.monotonic()
    done = threading.Event()

    def remind() -> None:
        while not done.wait(every):
            say(f"{name}: {time.monotonic() - began:.0f} s so far")

    say(f"{name} …")
    reminder = threading.Thread(target=remind, daemon=True)
    reminder.start()
    try:
        yield
    except BaseException as error:
        say(f"{name}: given up after {time.monotonic() - began:.1f} s ({type(error).__name__})")
        raise
    finally:
        done.set()
        reminder.join()
    say(f"{name}: {time.monotonic() - began:.1f} s")
