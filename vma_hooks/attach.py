"""EFFECT: qvd-vma-slaveserver-usbip: takes the device line from a connection and hands the connection to the agent.

QVD's own slave server runs it with the accepted connection as standard input; ours calls `attach`. From the line's
newline on the connection belongs to the kernel: nothing more is read from it, and nothing is ever written to it here.
"""

import os
import socket
import sys
import time
import uuid
from collections.abc import Sequence

from qvd_usbip import broker
from qvd_usbip.device_line import parse_device_line
from qvd_usbip.errors import SLAVE_PROTOCOL, USAGE, QvdUsbError
from qvd_usbip.system.sockets import read_line, tune
from vma_hooks.broker_client import Agent, BrokerClient
from vma_hooks.mounted_hub import way_to_host
from vma_hooks.words import complain

LINE_SECONDS = 5.0
HELP = """\
usage: qvd-vma-slaveserver-usbip

Reads the line "DEVID SPEED" from the connection on standard input and hands that connection to qvd-usb-agent on the
host, which attaches the device to this container. On a host without it, run by root, it writes the mounted hub's own
attach. QVD's slave server starts it; to try one end by hand:

  socat TCP-LISTEN:11101 EXEC:/usr/lib/qvd/bin/qvd-vma-slaveserver-usbip,nofork
"""


def attach(connection: socket.socket, attach_id: str, agent: Agent, seconds: float = LINE_SECONDS) -> None:
    """Read the device line and let the agent attach the device.

    Args:
        connection: a connected stream socket; whoever called closes it.
        attach_id: a UUID by which to ask about it later.
        agent: the broker.
        seconds: within which the whole line must come.

    Raises:
        QvdUsbError: SLAVE_SILENT, SLAVE_PROTOCOL, PEER_GONE for the line; BROKER_MISSING and the agent's problems.
    """
    line = parse_device_line(read_line(connection, time.monotonic() + seconds))
    if line is None:
        raise QvdUsbError(SLAVE_PROTOCOL, reason="the device line is not complete")
    tune(connection)
    agent.ask(broker.Attach(devid=line.devid, speed=line.speed, attach_id=attach_id), connection)


def standard_input() -> socket.socket:
    """Take the connection that standard input is.

    Raises:
        QvdUsbError: USAGE when it is no connected stream socket.
    """
    try:
        connection = socket.socket(fileno=os.dup(0))
        connection.getpeername()
    except OSError as error:
        raise QvdUsbError(USAGE, reason=f"standard input must be a connection ({error.strerror})") from error
    if connection.type != socket.SOCK_STREAM:
        raise QvdUsbError(USAGE, reason="standard input must be a stream connection")
    return connection


def main(argv: Sequence[str] | None = None) -> int:
    """Attach the device behind standard input.

    Args:
        argv: arguments without the program's name; only --help is known.

    Returns:
        0 when the agent has the connection, else the problem's exit status.
    """
    match list(sys.argv[1:] if argv is None else argv):
        case []:
            return attach_standard_input(way_to_host(BrokerClient()))
        case ["--help" | "-h"]:
            sys.stdout.write(HELP)
            return 0
        case _:
            return complain(QvdUsbError(USAGE, reason="no arguments are taken"))


def attach_standard_input(agent: Agent) -> int:
    """Attach the device behind standard input through this agent; returns the exit status."""
    try:
        with standard_input() as connection:
            attach(connection, str(uuid.uuid4()), agent)
    except QvdUsbError as error:
        return complain(error)
    return 0
