"""EFFECT: qvd-usb-picker: reads the command line and opens the window."""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING

from client_gui.autostart import BACKGROUND, Autostart
from qvd_usbip.errors import DISPLAY_MISSING, QT_MISSING, USAGE, QvdUsbError
from qvd_usbip.system.command_line import Parser, status_of

if TYPE_CHECKING:
    from collections.abc import Sequence

EXAMPLES = """examples:
  qvd-usb-picker                      choose devices; those ticked wait for a session
  qvd-usb-picker --session - < PIPE   share them with the session that PIPE describes (one JSON object);
                                      the devices come home when PIPE closes or the window is closed
  qvd-usb-picker --autostart on       from now on it starts with the desktop, in the background
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Opens the picker.

    Returns: 0 when the window was closed and every device is home, or the exit status of what stood in the way.
    """
    return status_of(lambda: _do(parser().parse_args(argv)))


def parser() -> argparse.ArgumentParser:
    """What the command takes, and what it says of it: --help and the manual page are made of it."""
    made = Parser(
        prog="qvd-usb-picker",
        description="A window to choose which USB devices the remote desktop gets.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.tell_version()
    source = made.add_mutually_exclusive_group()
    source.add_argument("--session", metavar="-", choices=["-"], help="read the session from standard input")
    source.add_argument("--session-fd", metavar="N", type=int, help="read the session from file descriptor N")
    source.add_argument(
        BACKGROUND,
        action="store_true",
        help="begin, and stay, as an icon of the desktop; minimised where it shows no icons",
    )
    source.add_argument(
        "--autostart",
        nargs="?",
        const="",
        metavar="on|off",
        choices=["on", "off", ""],
        help="whether this user's desktop starts it in the background: switch it on or off; without a word, tell",
    )
    return made


def _do(options: argparse.Namespace) -> int:
    if options.autostart is None:
        return _run(_descriptor(options), background=options.background)
    autostart = Autostart.of_user(os.environ)
    if options.autostart:
        autostart.switch(on=options.autostart == "on")
    print("on" if autostart.is_on() else "off")
    return 0


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


def _run(descriptor: int | None, *, background: bool) -> int:
    if not any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")):
        raise QvdUsbError(DISPLAY_MISSING)  # Qt would only abort
    try:
        from client_gui.ui.app import run  # noqa: PLC0415  # so that a missing Qt is a sentence, not a traceback
    except ImportError as error:
        raise QvdUsbError(QT_MISSING, reason=str(error)) from None
    return run(descriptor, background=background)


if __name__ == "__main__":
    sys.exit(main())
