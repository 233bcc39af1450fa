"""EFFECT: `qvd-usb-agent check`: what this host, or a container's configuration, has and lacks."""

import argparse

from qvd_usbip.finding import as_lines, exit_status_of
from qvd_usbip.ids import VmId
from server_agent import check
from server_agent.check_container import check_container
from server_agent.commands.printed import print_json


def check_host(options: argparse.Namespace) -> int:
    """Say what this host, or a container's configuration, has and lacks; the first failed line is the exit status."""
    lines = check_container(VmId.parse(options.container)) if options.container else check.check_host()
    if options.json:
        print_json({"v": 1, "checks": [line.as_json() for line in lines]})
    else:
        print("\n".join(as_lines(lines)))
    return exit_status_of(lines)
