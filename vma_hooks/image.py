"""EFFECT: the command `qvd-usb-image`, for whoever builds or repairs an image."""

import argparse
import json
from collections.abc import Sequence

from qvd_usbip.finding import as_lines, exit_status_of
from qvd_usbip.system.command_line import Parser, status_of
from vma_hooks.check import examine, image_at

EXAMPLES = """examples:
  qvd-usb-image check                        in a container: what it has and lacks for USB devices
  qvd-usb-image check alice                  and whether alice may open them
  qvd-usb-image check --root /srv/image      an image that does not run: what its files say
  qvd-usb-image check --json | jq '.checks[] | select(.ok | not)'
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: arguments without the program's name; None takes the process's own.

    Returns:
        0 if nothing stands in the way, else the exit status of the first thing that does, or of the problem.
    """
    return status_of(lambda: _check(parser().parse_args(argv)))


def _check(options: argparse.Namespace) -> int:
    lines = examine(image_at(options.root), options.user)
    if options.json:
        print(json.dumps({"v": 1, "checks": [line.as_json() for line in lines]}, indent=1, sort_keys=True))
    else:
        print("\n".join(as_lines(lines)))
    return exit_status_of(lines)


def parser() -> argparse.ArgumentParser:
    """The command line, which the completion is held against too."""
    raw = argparse.RawDescriptionHelpFormatter
    top = Parser(
        prog="qvd-usb-image", description="Looks after the image's side of USB devices.", epilog=EXAMPLES,
        formatter_class=raw,
    )  # fmt: skip
    text = "say what this image has and lacks for USB devices, each lack with its remedy; 0 only if nothing is missing"
    top.tell_version()
    verbs = top.add_subparsers(required=True, metavar="COMMAND")
    check = verbs.add_parser("check", help=text, description=text, epilog=EXAMPLES, formatter_class=raw)
    check.add_argument("user", nargs="?", default="", metavar="USER", help="look whether this user may open devices")
    check.add_argument("--root", default="", metavar="DIR", help="an image in a folder, which does not run")
    check.add_argument("--json", action="store_true", help="print JSON")
    return top
