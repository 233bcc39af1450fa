"""EFFECT: qvd-usb-slaveserver: the image's end of the slave channel, from standard input or for a systemd socket."""

import logging
import os
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from qvd_usbip.errors import USAGE, QvdUsbError
from vma_hooks.account import become_member
from vma_hooks.acl import READ, WRITE
from vma_hooks.attach import standard_input
from vma_hooks.broker_client import BrokerClient
from vma_hooks.conversation import Host, converse, refuse_calmly
from vma_hooks.follow import Follower
from vma_hooks.listener import Listener, refuse_next
from vma_hooks.mounted_hub import way_to_host
from vma_hooks.settings import load_settings
from vma_hooks.slave_key import read_key
from vma_hooks.words import complain

FIRST_PASSED = 3  # SD_LISTEN_FDS_START
REFUSE_SECONDS = 30.0  # then systemd starts it again, and it reads its settings again
HELP = """\
usage: qvd-usb-slaveserver

Takes USB devices from a client over the slave channel (POST /usbip) and hands each connection to qvd-usb-agent on the
host. Started by nxagent with one connection as standard input, or by systemd with the listening socket of
qvd-usb-slaveserver.socket. The key is the first line of the file internal.vma.slave.config in /etc/qvd/vma.conf names
(/etc/qvd/slave.key). Started by root, it gives root up before it hears the first word.

examples:
  systemctl enable --now qvd-usb-slaveserver.socket
  curl -H "Authorization: Basic $(head -n 1 /etc/qvd/slave.key)" http://localhost:11100/usbip/ping?hello
"""


def passed_sockets(environment: Mapping[str, str], pid: int) -> list[socket.socket]:
    """Take the listening sockets systemd passes to this process; none when it was started another way.

    Source: sd_listen_fds(3).
    """
    count = environment.get("LISTEN_FDS", "")
    if environment.get("LISTEN_PID") != str(pid) or not count.isdigit():
        return []
    return [socket.socket(fileno=FIRST_PASSED + each) for each in range(int(count))]


def prepare() -> Host:
    """Read and open what only root may, then give root up.

    Raises:
        QvdUsbError: what in the image has to be mended first.
    """
    settings = load_settings()
    key = read_key(settings.key_file)
    agent = way_to_host(BrokerClient())
    become_member(settings.group, needed=settings.access is not None)
    bits = READ | WRITE if settings.access is None else settings.access.bits
    return Host(key, agent, Follower(agent, Path("/dev"), bits))


def main(argv: Sequence[str] | None = None) -> int:
    """Serve one connection or a listening socket.

    Args:
        argv: arguments without the program's name; only --help is known.

    Returns:
        0, or the exit status of what went wrong with the start or the one connection.
    """
    match list(sys.argv[1:] if argv is None else argv):
        case []:
            pass
        case ["--help" | "-h"]:
            sys.stdout.write(HELP)
            return 0
        case _:
            return complain(QvdUsbError(USAGE, reason="no arguments are taken"))
    sockets = passed_sockets(os.environ, os.getpid())
    try:
        return _serve(sockets) if sockets else _serve_standard_input()
    except QvdUsbError as error:
        return complain(error)


def _serve(sockets: list[socket.socket]) -> int:
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    try:
        host = prepare()
    except QvdUsbError as error:
        status = complain(error)
        refuse_next(sockets, error.problem, REFUSE_SECONDS)
        return status
    listener = Listener(sockets, host)
    signal.signal(signal.SIGTERM, lambda _number, _frame: listener.stop())
    listener.serve()
    return 0


def _serve_standard_input() -> int:
    with standard_input() as connection:
        try:
            host = prepare()
        except QvdUsbError as error:
            refuse_calmly(connection, error.problem)
            raise
        converse(connection, host)
    return 0
