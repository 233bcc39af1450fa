"""EFFECT: what all commands have in common: wrong usage and every other problem are told alike, with their status."""

from __future__ import annotations

import argparse
import sys

from qvd_usbip import VERSION
from qvd_usbip.errors import INTERNAL, USAGE, QvdUsbError, report

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn


class Parser(argparse.ArgumentParser):
    """Reports wrong usage like every other problem."""

    def error(self, message: str) -> NoReturn:
        """Raises instead of ending with a status that means nothing here."""
        raise QvdUsbError(USAGE, reason=f"{self.prog}: {message}")

    def tell_version(self) -> None:
        """Lets `--version` print the program's name and version."""
        self.add_argument("--version", action="version", version=f"%(prog)s {VERSION}", help="print the version")


def status_of(command: Callable[[], int]) -> int:
    """Runs a command, and tells on standard error what stops it.

    Args:
        command: returns its exit status.

    Returns:
        That status, or the one of the problem; 130 when it was interrupted.
    """
    try:
        return command()
    except QvdUsbError as error:
        problem = error
    except OSError as error:
        problem = QvdUsbError(INTERNAL, reason=f"{error.filename or ''} {error.strerror or error}".strip())
    except KeyboardInterrupt:
        return 130
    print(report(problem), file=sys.stderr)
    return problem.problem.exit_status
