"""What several of the client's tests start from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from client_gui import connect, presence
from client_gui.settings import Files
from tests.unit.client_gui.bench import Bench

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.close()


@pytest.fixture
def at_home(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command finds the bench where a user's own files would be, and nothing missing on this computer."""
    monkeypatch.setattr(Files, "of_user", classmethod(lambda _: bench.files))
    monkeypatch.setattr(connect, "check", lambda _: None)
    bench.runtime.mkdir(mode=0o700)
    monkeypatch.setattr(presence, "RUN", str(bench.folder / "run-user"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(bench.runtime))
