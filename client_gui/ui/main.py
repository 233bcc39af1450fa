"""EFFECT: qvd-usb-picker: reads the command line and opens the window."""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING

from qvd_usbip.errors import DISPLAY_MISSING, QT_MISSING, USAGE, QvdUsbError
from qvd_usbip.system.command_line import Parser, status_of

if TYPE_CHECKING:
    from collections.abc import Sequence

EXAMPLES = """examples:
  qvd-usb-picker                      choose devices; those ticked wait for a session
  qvd-usb-picker --session - < PIPE   share them with the session that PIPE describes (one JSON object);
                                      the devices come home when PIPE closes or the window is closed
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Opens the picker.

    Returns: 0 when the window was closed and every device is home, or the exit status of what stood in the way.
    """
    return status_of(lambda: _run(_descriptor(parser().parse_args(argv))))


def parser() -> argparse.ArgumentParser:
    """What the command takes, and what it says of it: --help and the manual page are made of it."""
    made = Parser(
        prog="qvd-usb-picker",
        description="A window to choose which USB devices the remote desktop gets.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    source = made.add_mutually_exclusive_group()
    source.add_argument("--session", metavar="-", choices=["-"], help="read the session from standard input")
    source.add_argument("--session-fd", metavar="N", type=int, help="read the session from file descriptor N")
    return made


def _descriptor(options: argparse.Namespace) -> int | None:
    """Returns the open descriptor that the session comes from, if one was named."""
    number = 0 if options.session else options.session_fd
    if number is None:
        return None
    try:
        os.fstat(number)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", "there is no such number")
        raise QvdUsbError(USAGE, reason=f"file descriptor {number} cannot be read: {reason}") from None
    return int(number)


def _run(descriptor: int | None) -> int:
    if not any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")):
        raise QvdUsbError(DISPLAY_MISSING)  # Qt would only abort
    try:
        from client_gui.ui.app import run  # noqa: PLC0415  # so that a missing Qt is a sentence, not a traceback
    except ImportError as error:
        raise QvdUsbError(QT_MISSING, reason=str(error)) from None
    return run(descriptor)


if __name__ == "__main__":
    sys.exit(main())
