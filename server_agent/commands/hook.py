"""EFFECT: `qvd-usb-agent hook`, which LXC calls at each start and stop of a container."""

from __future__ import annotations

import os
import sys
import syslog

from qvd_usbip.errors import AGENT_UNREACHABLE, QvdUsbError, report
from server_agent import asking
from server_agent.commands.order import reservation, without_usb
from server_agent.hook_call import POST_STOP, START_HOST, parse_hook, require_own_lines

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse


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
    call = parse_hook(os.environ, options.words)
    require_own_lines(call, options.lines_of)
    if call.moment == POST_STOP:
        try:
            asking.ask({"op": "release", "container": str(call.name)})
        except QvdUsbError as error:
            if error.problem is not AGENT_UNREACHABLE:
                raise
            print(f"{report(error)}\n  The agent releases '{call.name}' when it starts.", file=sys.stderr)
            _tell(error)
        return 0
    if call.moment == START_HOST:
        asking.ask({"op": "confirm", "container": str(call.name)})
        return 0
    answer = asking.ask_for(reservation(call.name, options), "hub")
    lack = without_usb(answer, call.name)
    if lack is not None:
        print(report(lack), file=sys.stderr)
        _tell(lack)
    return 0


def _tell(error: QvdUsbError) -> None:
    syslog.openlog("qvd-usb-agent")
    syslog.syslog(syslog.LOG_ERR, f"{error} {error.remedy()}")
