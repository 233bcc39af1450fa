"""The agent on its bench, a user's home, and the two commands as people and programs use them."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import pytest

from client_gui import cli as client_cli
from qvd_usbip.system.identity import Identity, load_or_make
from server_agent import asking
from server_agent import cli as agent_cli
from tests.unit.server_agent.conftest import Bench, run

__all__ = ["Command", "Home", "home", "host_identity", "run"]


@dataclass(slots=True)
class Command:
    """A command that runs in a thread, with a standard input and output of its own."""

    words: tuple[str, ...]
    status: int | None = None
    lines: list[dict[str, Any]] = field(default_factory=list)
    _thread: threading.Thread | None = None
    _input: IO[str] | None = None

    async def event(self, name: str) -> dict[str, Any]:
        """Waits for a line with this event."""
        for _ in range(2000):
            found = next((line for line in self.lines if line["event"] == name), None)
            if found is not None:
                return found
            assert self.status is None, f"{self.words} ended with {self.status}"
            await asyncio.sleep(0.01)
        raise AssertionError(f"{self.words}: no {name} within 20 s")

    def say(self, line: str) -> None:
        assert self._input is not None
        self._input.write(line + "\n")
        self._input.flush()

    def hang_up(self) -> None:
        assert self._input is not None
        self._input.close()

    async def end(self) -> int:
        """Waits for its exit status."""
        for _ in range(3000):
            if self.status is not None:
                return self.status
            await asyncio.sleep(0.01)
        raise AssertionError(f"{self.words} did not end within 30 s")


class _OfThread:
    """Stands for sys.stdin and sys.stdout: each thread has its own."""

    def __init__(self, usual: IO[str]) -> None:
        self._usual = usual
        self.own: dict[int, IO[str]] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self.own.get(threading.get_ident(), self._usual), name)


@dataclass(slots=True)
class Home:
    """Runs both programs' commands; `folder` is the user's home."""

    folder: Path
    monkeypatch: pytest.MonkeyPatch
    stdin: _OfThread | None = None
    stdout: _OfThread | None = None

    def client(self, *words: str) -> Command:
        return self._start(client_cli.main, (*words, "--json"))

    def agent(self, *words: str) -> Command:
        return self._start(agent_cli.main, (*words, "--json"))

    def _streams(self) -> tuple[_OfThread, _OfThread]:
        """Set while the test runs: pytest puts its own in their place before."""
        if self.stdin is None or self.stdout is None:
            self.stdin, self.stdout = _OfThread(sys.stdin), _OfThread(sys.stdout)
            self.monkeypatch.setattr(sys, "stdin", self.stdin)
            self.monkeypatch.setattr(sys, "stdout", self.stdout)
        return self.stdin, self.stdout

    def _start(self, main: Any, words: tuple[str, ...]) -> Command:
        stdin, stdout = self._streams()
        command = Command(words)
        to_read, to_write = os.pipe()
        command._input = os.fdopen(to_write, "w")
        output, theirs = os.pipe()

        def work() -> None:
            me = threading.get_ident()
            with os.fdopen(to_read) as own_stdin, os.fdopen(theirs, "w") as own_stdout:
                stdin.own[me], stdout.own[me] = own_stdin, own_stdout
                status = main(list(words))
                del stdin.own[me], stdout.own[me]
            reading.join()
            if command._input is not None:
                command._input.close()
            command.status = status

        def read() -> None:
            with os.fdopen(output) as lines:
                for line in lines:
                    command.lines.append(json.loads(line))

        reading = threading.Thread(target=read, daemon=True)
        reading.start()
        command._thread = threading.Thread(target=work, daemon=True)
        command._thread.start()
        return command


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setattr(asking.ask, "__defaults__", (tmp_path / "control.sock", 30.0))
    return Home(folder, monkeypatch)


@pytest.fixture
def host_identity(tmp_path: Path) -> Identity:
    return load_or_make(tmp_path / "endpoint", "host")


def serving(bench: Bench, identity: Identity) -> Bench:
    """The bench, with an endpoint that shows this certificate."""

    async def nothing() -> None:
        return

    bench.pairing.serve(identity.der, nothing)
    return bench
