"""Every program that people call says its version, the one that the package has."""

import argparse
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

import client_gui.cli
import client_gui.ui.main
import server_agent.cli
import vma_hooks.image


@pytest.mark.parametrize(
    ("program", "parser"),
    [
        ("qvd-usb", client_gui.cli.parser),
        ("qvd-usb-picker", client_gui.ui.main.parser),
        ("qvd-usb-agent", server_agent.cli.parser),
        ("qvd-usb-image", vma_hooks.image.parser),
    ],
)
def test_its_version(
    program: str, parser: Callable[[], argparse.ArgumentParser], repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        parser().parse_args(["--version"])
    packaged = tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert (ended.value.code, capsys.readouterr().out) == (0, f"{program} {packaged}\n")
