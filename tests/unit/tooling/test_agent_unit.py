"""The agent's unit: how exposed systemd says it is, and that each exposure that is left has its reason in it."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from server_agent.endpoint import SOCKET

REPOSITORY = Path(__file__).resolve().parents[3]
UNIT = REPOSITORY / "resources/systemd/qvd-usb-agent.service"
LIMIT = 5.0


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root that has only this unit."""
    root = tmp_path_factory.mktemp("root")
    units = root / "usr/lib/systemd/system"
    units.mkdir(parents=True)
    (units / UNIT.name).write_bytes(UNIT.read_bytes())
    return root


def security(root: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = ["systemd-analyze", "security", "--offline=true", f"--root={root}", "--no-pager", *options, UNIT.name]
    return subprocess.run(command, check=False, capture_output=True, text=True)


def settings() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in UNIT.read_text().splitlines():
        key, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found.setdefault(key, []).append(value)
    return found


def test_the_exposure_is_below_the_limit(root: Path) -> None:
    done = security(root, f"--threshold={LIMIT * 10:.0f}")
    assert done.returncode == 0, done.stdout.splitlines()[-1]
    assert "Overall exposure level" in done.stdout


def test_each_exposure_that_is_left_has_its_reason(root: Path) -> None:
    rows: list[dict[str, Any]] = json.loads(security(root, "--json=short").stdout)
    comments = "\n".join(line for line in UNIT.read_text().splitlines() if line.startswith("#"))
    left = [row["name"] for row in rows if row["set"] is False]
    assert len(left) > 5
    for name in left:
        word = name
        for key in ("CapabilityBoundingSet=~", "RestrictAddressFamilies=~"):
            word = word.removeprefix(key)
        assert word in comments, f"{name} is left open without a reason"


def test_the_module_is_loaded_before_the_agent_starts() -> None:
    for key in ("Wants", "After"):
        assert "modprobe@vhci_hcd.service" in " ".join(settings()[key]).split()


def test_systemd_watches_it() -> None:
    assert settings()["Type"] == ["notify"]
    assert settings()["WatchdogSec"]


def test_the_endpoint_is_started_only_where_the_agent_listens_for_it_and_after_it_does() -> None:
    endpoint = (UNIT.parent / "qvd-usb-endpoint.service").read_text().splitlines()
    assert f"ConditionPathExists={SOCKET}" in endpoint
    assert UNIT.name in " ".join(line for line in endpoint if line.startswith("After="))
