"""EFFECT: the command `qvd-usb-agent`.

LXC waits for some of its commands, and people for the others: what a command does is read only when it is called.
"""

from __future__ import annotations

import argparse
import importlib

from qvd_usbip.system.command_line import Parser, status_of
from server_agent.backend import Backend

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

NO_GID = (1 << 32) - 1
EXAMPLES = """examples:
  qvd-usb-agent check                                   what this host has and lacks
  qvd-usb-agent check desk1                             which lines the container's configuration lacks
  qvd-usb-agent config set key=vm.lxc.use_vhci_hubs,value=1
  qvd-usb-agent lxc-config --backend lxc desk1
  qvd-usb-agent lxc-config desk1 --write >> /var/lib/lxc/desk1/config
  qvd-usb-agent watch --json
  qvd-usb-agent explain desk1
  qvd-usb-agent status --json
  qvd-usb-agent revoke desk1 7-1
  qvd-usb-agent pair desk1                              let one client reach desk1 through the endpoint
  qvd-usb-agent unpair ann@laptop                       take its access away, at once
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit status is the problem's own."""
    return status_of(lambda: _run(argv))


def _run(argv: Sequence[str] | None) -> int:
    options = parser().parse_args(argv)
    place, _, function = str(options.command).rpartition(":")
    return int(getattr(importlib.import_module(f"server_agent.commands.{place}"), function)(options))


def parser() -> argparse.ArgumentParser:
    """What the command takes, and what it says of it: --help and the manual page are made of it."""
    made = Parser(
        prog="qvd-usb-agent",
        description="Lends virtual USB hubs to containers and gives each the right to exactly its own devices.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.tell_version()
    verbs = made.add_subparsers(required=True, metavar="COMMAND")

    def verb(name: str, command: str, text: str, example: str) -> argparse.ArgumentParser:
        added = verbs.add_parser(name, help=text, description=text, epilog=f"example: qvd-usb-agent {example}")
        added.set_defaults(command=command)
        added.add_argument("--json", action="store_true", help="print JSON")
        return added

    verb("run", "run:run", "be the agent (systemd starts it)", "run").add_argument(
        "--verbose", action="store_true", help="log every event"
    )
    verb("endpoint", "endpoint:endpoint", "listen for paired clients on the network (systemd starts it)", "endpoint")
    added = verb(
        "check", "check:check_host", "say what this host, or a container's configuration, has and lacks", "check desk1"
    )
    added.add_argument("container", nargs="?", default="", help="look at this container's configuration")
    verb("status", "look:status", "containers, their devices and rights", "status --json")
    verb("hubs", "look:hubs", "hubs and who has them", "hubs")
    verb("watch", "look:watch", "show what happens as it happens: leases, grants, refusals, detaches", "watch --json")
    added = verb(
        "explain", "look:explain", "why a container or a device is as it is, and which rule decided", "explain desk1"
    )
    added.add_argument("subject", metavar="NAME|BUSID", help="a container, or a device as this host sees it")
    for name, command, text in (
        ("lxc-config", "lxc_config:lxc_config", "print the lines to append to a container's configuration"),
        ("reserve", "order:reserve", "lease a hub to a container, as the pre-start hook does"),
        ("release", "order:release", "take a container's hub back, as the post-stop hook does"),
    ):
        added = verb(name, command, text, f"{name} desk1")
        added.add_argument("container", help="the container's name")
        if name != "release":
            _add_terms(added)
        if name == "lxc-config":
            added.add_argument("--userns", action="store_true", help="fail if it has no lxc.idmap")
            added.add_argument(
                "--own-attach", action="store_true",
                help="for an image that writes its hub's attach itself, past the agent; says what that costs",
            )  # fmt: skip
            added.add_argument(
                "--write", action="store_true",
                help="write the lines to a file, and print the one line that includes it",
            )  # fmt: skip
    text = "called by LXC before a container starts and after it stopped"
    added = verb("hook", "hook:hook", text, "hook desk1 lxc pre-start")
    added.add_argument("words", nargs="*", help="NAME lxc pre-start|start-host|post-stop, as LXC passes them")
    added.add_argument(
        "--container", dest="lines_of", default="", metavar="NAME", help="the container that the lines were written for"
    )
    _add_terms(added)
    added = verb("revoke", "order:revoke", "take a device from a container at once", "revoke desk1 7-1")
    added.add_argument("container", help="the container's name")
    added.add_argument("busid", help="the device as this host sees it, from: qvd-usb-agent status")
    _add_pairing(verb)
    _add_config(verbs.add_parser("config", help="read and set keys of /etc/qvd/node.conf"))
    return made


def _add_pairing(verb: Callable[[str, str, str, str], argparse.ArgumentParser]) -> None:
    text = "let one client reach a container, once both sides were seen to show the same code"
    added = verb("pair", "pairing:pair", text, "pair desk1")
    added.add_argument("container", help="the container's name")
    added.add_argument(
        "--code", metavar="NNNNNN",
        help="what the client shows: confirms the pairing that another call of this command is waiting with",
    )  # fmt: skip
    verb("clients", "pairing:clients", "the clients that are paired, and their containers", "clients --json")
    added = verb(
        "unpair", "pairing:unpair", "take a client's access away, and its devices, at once", "unpair ann@laptop"
    )
    added.add_argument("name", help="the client, from: qvd-usb-agent clients")


def _add_config(config: argparse.ArgumentParser) -> None:
    parts = config.add_subparsers(required=True, metavar="get|set|list")
    example = "example: qvd-usb-agent config get vm.lxc.use_vhci_hubs"
    get = parts.add_parser("get", help="print a key's value, or all", epilog=example)
    get.add_argument("key", nargs="?", help="which one")
    get.set_defaults(command="config:config_get")
    listed = parts.add_parser("list", help="print all keys", epilog="example: qvd-usb-agent config list --json")
    listed.set_defaults(command="config:config_get", key=None)
    example = "example: qvd-usb-agent config set vm.lxc.use_vhci_hubs 1"
    put = parts.add_parser("set", help="set a key", epilog=example)
    put.add_argument("words", nargs="+", metavar="key=KEY,value=VALUE", help="as QVD has it, or: KEY VALUE")
    put.set_defaults(command="config:config_set")
    for added in (get, listed, put):
        added.add_argument("--json", action="store_true", help="print JSON")


def _add_terms(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--backend", choices=sorted(map(str, Backend)),
        help="how device rights are set: by the agent's device map, by LXC, or by the files of cgroup v1"
        " (default: lxc-config takes what this host has, map on cgroup v2; the others take map)",
    )  # fmt: skip
    parser.add_argument(
        "--root-uid", type=_id, default=0, metavar="UID",
        help="the container's root, as the host counts it, if it is in a user namespace: then the host makes its nodes"
        " (lxc-config finds it in the container's configuration)",
    )  # fmt: skip
    parser.add_argument(
        "--broker-gid", type=_id, default=0, metavar="GID",
        help="group, as the host counts it, that may hand devices over (default: root of the container only)",
    )  # fmt: skip


def _id(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or int(text[:11]) >= NO_GID:
        raise argparse.ArgumentTypeError(f"'{text}' is the number of nobody")
    return int(text)
