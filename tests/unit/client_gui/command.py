"""The command `qvd-usb` on a bench: within the test's process, and as a process of its own."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from client_gui import cli
from qvd_usbip.errors import PROBLEMS

if TYPE_CHECKING:
    from pathlib import Path
    from typing import IO

    import pytest

    from tests.unit.client_gui.bench import Bench


def status_of(code: str) -> int:
    return PROBLEMS[code].exit_status


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    status = cli.main(arguments)
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def program(
    bench: Bench, repository: Path, *arguments: str, output: IO[bytes] | int = subprocess.PIPE, through: str = ""
) -> subprocess.Popen[bytes]:
    """The command as a process of its own, on the bench, without the checks that need a kernel.

    `through` is what a shell does with it: "$@" stands for the command.
    """
    code = (
        f"import sys; sys.path.insert(0, {str(repository)!r})\n"
        "from pathlib import Path\n"
        "from client_gui import cli, connect\n"
        "from client_gui.settings import Files\n"
        f"files = Files(system=Path({str(bench.files.system)!r}), user=Path({str(bench.files.user)!r}))\n"
        "Files.of_user = classmethod(lambda _: files)\n"
        "connect.check = lambda _: None\n"
        "sys.exit(cli.main(sys.argv[1:]))\n"
    )
    return subprocess.Popen(
        [*(("/bin/sh", "-c", through, "sh") if through else ()), sys.executable, "-c", code, *arguments],
        stdin=subprocess.PIPE, stdout=output, stderr=subprocess.PIPE,
    )  # fmt: skip
