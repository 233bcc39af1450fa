"""The lab from the command line: `python3 -m tests.lab --help`."""

import argparse
import json
import re
import shlex
import sys
from pathlib import Path

from tests.lab import evidence, keeper, levels, processes, terminal
from tests.lab.errors import LabError
from tests.lab.link import Link
from tests.lab.recipe import CONTAINERS, ROLES, SUITES, suite_named

_EXAMPLES = """examples:
  python3 -m tests.lab up                      both guests, the product installed, the containers running
  python3 -m tests.lab up --level base         both guests as Debian made them
  python3 -m tests.lab prepare                 only build and store what `up` starts from
  python3 -m tests.lab run client lsusb
  python3 -m tests.lab run one ls -l /dev/bus/usb       a command in the container "one"
  python3 -m tests.lab shell server            a console; Ctrl-] leaves it
  python3 -m tests.lab screenshot client picker.png
  python3 -m tests.lab down
  python3 -m tests.lab --name mine up          a second one, beside the first
"""


def _name(text: str) -> str:
    """A short word: it becomes part of a socket's path."""
    if not re.fullmatch("[a-z0-9]{1,16}", text):
        raise argparse.ArgumentTypeError("1 to 16 lower case letters and digits")
    return text


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python3 -m tests.lab",
        description="Two Debian guests under QEMU, with two containers in one of them.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--name", type=_name, default="default", help="which kept lab (default)")
    verbs = parser.add_subparsers(dest="verb", required=True)
    whole = "build and store what the lab starts from"
    for name, text in (("prepare", whole), ("up", "start the lab and leave it running"), ("keep", argparse.SUPPRESS)):
        verb = verbs.add_parser(name, help=text)
        verb.add_argument("--suite", choices=sorted(SUITES), default="trixie")
        verb.add_argument("--level", choices=["base", "product"], default="product")
        if name == "keep":
            verb.add_argument("--ready", type=int, required=True)
    verb = verbs.add_parser("run", help="run a command in a guest or a container, as root")
    verb.add_argument("--timeout", type=float, default=600, help="seconds (600)")
    verb.add_argument("where", choices=[*ROLES, *CONTAINERS])
    verb.add_argument("command", nargs=argparse.REMAINDER, help="a word: a bash command line; several: as they are")
    verb = verbs.add_parser("shell", help="a guest's console on this terminal")
    verb.add_argument("where", choices=list(ROLES))
    verb = verbs.add_parser("screenshot", help="the picture of a guest's X display")
    verb.add_argument("where", choices=list(ROLES))
    verb.add_argument("file", type=Path)
    verb.add_argument("--display", default=":1")
    verbs.add_parser("status", help="what is up, as JSON; exit status 1: nothing")
    verbs.add_parser("down", help="end the lab that is up")
    return parser


def _link(name: str, where: str) -> Link:
    return Link(where, keeper.in_use(name) / f"{where}.people")


def _run(name: str, where: str, command: list[str], timeout: float) -> int:
    line = command[0] if len(command) == 1 else shlex.join(command)
    if where in CONTAINERS:
        line = shlex.join(["lxc-attach", "-n", where, "--", "bash", "-c", line])
    status, out = _link(name, "server" if where in CONTAINERS else where).run(line, timeout)
    sys.stdout.buffer.write(out)
    return status


def _do(arguments: argparse.Namespace) -> int:
    match arguments.verb:
        case "prepare":
            levels.ensure(suite_named(arguments.suite), arguments.level, "")
        case "up":
            keeper.up(arguments.name, arguments.suite, arguments.level)
        case "keep":
            keeper.keep(arguments.name, arguments.suite, arguments.level, arguments.ready)
        case "down":
            keeper.down(arguments.name)
        case "run":
            return _run(arguments.name, arguments.where, arguments.command, arguments.timeout)
        case "shell":
            terminal.attach(keeper.in_use(arguments.name) / f"{arguments.where}.console")
        case "screenshot":
            evidence.take_picture(_link(arguments.name, arguments.where), arguments.display, arguments.file)
        case "status":
            facts = keeper.status(arguments.name)
            sys.stdout.write(json.dumps(facts or {}) + "\n")
            return 0 if facts else 1
    return 0


def main(argv: list[str] | None = None) -> int:
    """Runs one command; 0, the guest command's own status, or 1 with a sentence on standard error."""
    arguments = _parser().parse_args(argv)
    processes.signals_raise_exit()
    try:
        return _do(arguments)
    except LabError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("interrupted; nothing is left running\n")
        return 130


if __name__ == "__main__":
    sys.exit(main())
