"""EFFECT: the command `qvd-usb-agent`."""

import argparse
import importlib
import json
import os
import sys
import syslog
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

from qvd_usbip.errors import AGENT_UNREACHABLE, INTERNAL, NO_FREE_HUB, USAGE, QvdUsbError, report
from qvd_usbip.finding import as_lines, exit_status_of
from qvd_usbip.ids import BusId, VmId
from qvd_usbip.system.files import save_atomic
from server_agent import check, container_config, control, display, lxc, settings
from server_agent.check_container import check_container
from server_agent.kernel.rights import default_backend
from server_agent.state import Backend

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
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit status is the problem's own."""
    try:
        options = parser().parse_args(argv)
        return int(options.command(options))
    except QvdUsbError as error:
        print(report(error), file=sys.stderr)
        return error.problem.exit_status
    except OSError as error:
        problem = QvdUsbError(INTERNAL, reason=f"{error.filename or ''} {error.strerror or error}".strip())
        print(report(problem), file=sys.stderr)
        return problem.problem.exit_status
    except KeyboardInterrupt:
        return 130


def run(options: argparse.Namespace) -> int:
    """Be the agent."""
    main_module = importlib.import_module("server_agent.main")  # the other commands need none of what it loads
    return int(main_module.run(verbose=options.verbose))


def check_host(options: argparse.Namespace) -> int:
    """Say what this host, or a container's configuration, has and lacks; the first failed line is the exit status."""
    lines = check_container(VmId.parse(options.container)) if options.container else check.check_host()
    if options.json:
        _print_json({"v": 1, "checks": [line.as_json() for line in lines]})
    else:
        print("\n".join(as_lines(lines)))
    return exit_status_of(lines)


def status(options: argparse.Namespace) -> int:
    """Containers, their devices and rights."""
    answer = _asked({"op": "status"}, "containers", "revoking", "quarantine", "unrecorded")
    if options.json:
        _print_json(answer)
        return 0
    for container in answer["containers"]:
        print(f"{container['name']}  {_place(container) or 'no hub: starts without USB'}  {container['phase']}")
        for device in container["devices"]:
            print(f"  {device['busid'] or '-':8} {device['stage']:12} {device['port']}")
            for right, hold in device["rights"].items():
                print(f"    {right:12} {hold:9} /dev/{device['nodes'].get(right, '?')}")
    if not answer["containers"]:
        print("no container has USB")
    for pending in answer["revoking"]:
        print(f"being revoked: {pending}")
    for held in answer["quarantine"]:
        print(f"not lent: {held['lease']}: {held['reason']}")
    if answer["unrecorded"]:
        print(f"the ledger is not written: {answer['unrecorded']}; no container can start until it is")
    return 0


def _place(container: Mapping[str, Any]) -> str:
    """Where a container's devices go: its hub, with its ports if it has not all of them."""
    return f"{container['hub'] or ''}{' ports ' + container['ports'] if container['ports'] else ''}"


def hubs(options: argparse.Namespace) -> int:
    """Hubs and who has them."""
    answer = _asked({"op": "hubs"}, "hubs")
    if options.json:
        _print_json(answer)
        return 0
    for hub in answer["hubs"]:
        who = ", ".join(
            f"{each['name']} (ports {each['ports']})" if each["ports"] else each["name"] for each in hub["containers"]
        )
        held = f"not lent: {hub['quarantine']}" if hub["quarantine"] else ""
        who = "; ".join(filter(None, (who, held))) or "free"
        ports = f"  ports used: {', '.join(hub['ports_used'])}" if hub["ports_used"] else ""
        print(f"{hub['hub']:12} buses {hub['buses'][0]},{hub['buses'][1]}  {who}{ports}")
    if not answer["hubs"]:
        print("no hub can be lent; see: qvd-usb-agent check")
    return 0


def watch(options: argparse.Namespace) -> int:
    """What happens, as it happens, until interrupted."""
    for row in control.watch():
        print(json.dumps(row, sort_keys=True) if options.json else display.format_row(row), flush=True)
    return 0


def explain(options: argparse.Namespace) -> int:
    """Why a container or a device is as it is."""
    answer = _asked({"op": "explain", "subject": options.subject}, "lines")
    if options.json:
        _print_json(answer)
    else:
        print("\n".join(answer["lines"]))
    return 0


def lxc_config(options: argparse.Namespace) -> int:
    """Print the lines to append to a container's configuration."""
    terms = container_config.with_ids(
        lxc.ContainerTerms(
            name=VmId.parse(options.container), devicefs=settings.load().devicefs, broker_gid=options.broker_gid,
            backend=Backend(options.backend or default_backend()), root_uid=options.root_uid,
            own_attach=options.own_attach,
        ),
        userns=options.userns,
    )  # fmt: skip
    if terms.own_attach and terms.root_uid:
        raise QvdUsbError(USAGE, reason="--own-attach: in a user namespace its root may not write attach at all")
    lines = lxc.config_lines(terms)
    if terms.own_attach:
        print(" ".join(lxc.OWN_ATTACH_COSTS), file=sys.stderr)
    if options.write:
        save_atomic(lxc.include_file(terms.name), "".join(f"{line}\n" for line in lines).encode(), 0o644)
        lines = [lxc.include_line(terms.name)]
    if options.json:
        _print_json({"v": 1, "container": str(terms.name), "lines": [line for line in lines if line[0] != "#"]})
    else:
        print("\n".join(lines))
    return 0


def hook(options: argparse.Namespace) -> int:
    """LXC calls this before a container starts, on its way, and after it stopped; other than 0 refuses the start.

    LXC shows what a hook writes at its debug level only, so the journal gets it too.
    """
    try:
        return _hook(options)
    except QvdUsbError as error:
        _tell(error)
        raise


def _hook(options: argparse.Namespace) -> int:
    call = lxc.parse_hook(os.environ, options.words)
    lxc.require_own_lines(call, options.lines_of)
    if call.moment == lxc.POST_STOP:
        try:
            control.ask({"op": "release", "container": str(call.name)})
        except QvdUsbError as error:
            if error.problem is not AGENT_UNREACHABLE:
                raise
            print(f"{report(error)}\n  The agent releases '{call.name}' when it starts.", file=sys.stderr)
            _tell(error)
        return 0
    if call.moment == lxc.START_HOST:
        control.ask({"op": "confirm", "container": str(call.name)})
        return 0
    answer = _asked(_reservation(call.name, options), "hub")
    if not answer["hub"]:
        problem = QvdUsbError(NO_FREE_HUB, container=call.name)
        print(report(problem), file=sys.stderr)
        _tell(problem)
    return 0


def _reservation(name: VmId, options: argparse.Namespace) -> dict[str, object]:
    backend = options.backend or Backend.MAP
    request = {"op": "reserve", "container": str(name), "broker_gid": options.broker_gid, "backend": backend}
    return {**request, "root_uid": options.root_uid} if options.root_uid else request


def _tell(error: QvdUsbError) -> None:
    syslog.openlog("qvd-usb-agent")
    syslog.syslog(syslog.LOG_ERR, f"{error} {error.remedy()}")


def reserve(options: argparse.Namespace) -> int:
    """Do by hand what the pre-start hook does."""
    name = VmId.parse(options.container)
    answer = _asked(_reservation(name, options), "hub")
    if not answer["hub"]:
        raise QvdUsbError(NO_FREE_HUB, container=name)
    _say(options, answer, f"{name} has {answer['hub']}")
    return 0


def release(options: argparse.Namespace) -> int:
    """Do by hand what the post-stop hook does."""
    name = VmId.parse(options.container)
    answer = control.ask({"op": "release", "container": str(name)})
    _say(options, answer, f"{name} is released")
    return 0


def revoke(options: argparse.Namespace) -> int:
    """Take a device from a container, at once."""
    name, busid = VmId.parse(options.container), BusId.parse(options.busid)
    answer = control.ask({"op": "revoke", "container": str(name), "busid": str(busid)})
    _say(options, answer, f"{busid} is taken from {name}: detached, its rights are gone")
    return 0


def config_get(options: argparse.Namespace) -> int:
    """Print a key's value, or all of them."""
    values = settings.values()
    wanted = {key: value for key, value in values.items() if options.key in {None, key}}
    if options.json:
        _print_json(wanted)
    else:
        for key, value in sorted(wanted.items()):
            print(value if options.key else f"{key}={value}")
    return 0


def config_set(options: argparse.Namespace) -> int:
    """Set a key in /etc/qvd/node.conf."""
    key, value = settings.parse_assignment(options.words)
    settings.save(key, value)
    _say(options, {key: value}, f"{key}={value} in {settings.NODE_CONF}")
    return 0


def _asked(request: Mapping[str, object], *fields: str) -> dict[str, Any]:
    answer = control.ask(request)
    for name in fields:
        if name not in answer:
            raise QvdUsbError(AGENT_UNREACHABLE, reason=f"its answer lacks '{name}'")
    return answer


def _say(options: argparse.Namespace, answer: Mapping[str, Any], sentence: str) -> None:
    if options.json:
        _print_json(answer)
    else:
        print(sentence)


def _print_json(value: object) -> None:
    print(json.dumps(value, indent=1, sort_keys=True))


class Parser(argparse.ArgumentParser):
    """Reports wrong usage like every other problem."""

    def error(self, message: str) -> NoReturn:
        """Raises instead of ending with a status that means nothing here."""
        raise QvdUsbError(USAGE, reason=f"{self.prog}: {message}")


def parser() -> argparse.ArgumentParser:
    """What the command takes, and what it says of it: --help and the manual page are made of it."""
    made = Parser(
        prog="qvd-usb-agent",
        description="Lends virtual USB hubs to containers and gives each the right to exactly its own devices.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = made.add_subparsers(required=True, metavar="COMMAND")

    def verb(
        name: str, command: Callable[[argparse.Namespace], int], text: str, example: str
    ) -> argparse.ArgumentParser:
        added = verbs.add_parser(name, help=text, description=text, epilog=f"example: qvd-usb-agent {example}")
        added.set_defaults(command=command)
        added.add_argument("--json", action="store_true", help="print JSON")
        return added

    verb("run", run, "be the agent (systemd starts it)", "run").add_argument(
        "--verbose", action="store_true", help="log every event"
    )
    added = verb(
        "check", check_host, "say what this host, or a container's configuration, has and lacks", "check desk1"
    )
    added.add_argument("container", nargs="?", default="", help="look at this container's configuration")
    verb("status", status, "containers, their devices and rights", "status --json")
    verb("hubs", hubs, "hubs and who has them", "hubs")
    verb("watch", watch, "show what happens as it happens: leases, grants, refusals, detaches", "watch --json")
    added = verb("explain", explain, "why a container or a device is as it is, and which rule decided", "explain desk1")
    added.add_argument("subject", metavar="NAME|BUSID", help="a container, or a device as this host sees it")
    for name, command, text in (
        ("lxc-config", lxc_config, "print the lines to append to a container's configuration"),
        ("reserve", reserve, "lease a hub to a container, as the pre-start hook does"),
        ("release", release, "take a container's hub back, as the post-stop hook does"),
    ):
        added = verb(name, command, text, f"{name} desk1")
        added.add_argument("container", help="the container's name")
        if command is not release:
            _add_terms(added)
        if command is lxc_config:
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
    added = verb("hook", hook, text, "hook desk1 lxc pre-start")
    added.add_argument("words", nargs="*", help="NAME lxc pre-start|start-host|post-stop, as LXC passes them")
    added.add_argument(
        "--container", dest="lines_of", default="", metavar="NAME", help="the container that the lines were written for"
    )
    _add_terms(added)
    added = verb("revoke", revoke, "take a device from a container at once", "revoke desk1 7-1")
    added.add_argument("container", help="the container's name")
    added.add_argument("busid", help="the device as this host sees it, from: qvd-usb-agent status")
    _add_config(verbs.add_parser("config", help="read and set keys of /etc/qvd/node.conf"))
    return made


def _add_config(config: argparse.ArgumentParser) -> None:
    parts = config.add_subparsers(required=True, metavar="get|set|list")
    example = "example: qvd-usb-agent config get vm.lxc.use_vhci_hubs"
    get = parts.add_parser("get", help="print a key's value, or all", epilog=example)
    get.add_argument("key", nargs="?", help="which one")
    get.set_defaults(command=config_get)
    listed = parts.add_parser("list", help="print all keys", epilog="example: qvd-usb-agent config list --json")
    listed.set_defaults(command=config_get, key=None)
    example = "example: qvd-usb-agent config set vm.lxc.use_vhci_hubs 1"
    put = parts.add_parser("set", help="set a key", epilog=example)
    put.add_argument("words", nargs="+", metavar="key=KEY,value=VALUE", help="as QVD has it, or: KEY VALUE")
    put.set_defaults(command=config_set)
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
