"""EFFECT: does the TLS of one device's connection where the kernel cannot, in a process of its own.

OpenSSL's state cannot be passed on to another process, so this one does the handshake too: it gets a connection that is
just connected, and what goes through it unencrypted is at the other end of a socket pair.
"""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from client_gui.tls import client_context, failed, own_files, require_host
from qvd_usbip.errors import QvdUsbError, report
from qvd_usbip.system.relay import pump

if TYPE_CHECKING:
    from collections.abc import Sequence

    from client_gui.session import Session

HANDSHAKE_SECONDS = 8.0

_HOME = Path(__file__).resolve().parents[1]
_PROGRAM = "import sys; sys.path.insert(0, sys.argv[1]); from client_gui.relay import main; raise SystemExit(main())"
_running: list[subprocess.Popen[bytes]] = []  # each is asked now and then whether it is over, so that none lingers


def start(connection: socket.socket, session: Session) -> socket.socket:
    """Starts a relay; it ends when either end of what it carries does.

    Args:
        connection: connected to the host, nothing sent yet; it is closed here.
        session: names the host's certificate.

    Returns:
        What is to be spoken into in its place; it does not block.

    Raises:
        OSError: no process can be started.
    """
    _running[:] = [each for each in _running if each.poll() is None]
    ours, theirs = socket.socketpair()
    certificate, key = own_files()
    words = [str(_HOME), session.host_fingerprint, str(certificate), str(key), str(session.address)]
    with connection, theirs:
        _running.append(
            subprocess.Popen(
                [sys.executable, "-I", "-c", _PROGRAM, *words],
                stdin=connection.fileno(),
                stdout=theirs.fileno(),
                cwd="/",
                start_new_session=True,  # Ctrl-C in the user's terminal is for the engine
            )
        )
    ours.setblocking(False)
    return ours


def main(argv: Sequence[str] | None = None) -> int:
    """Is the relay: standard input is the connection, standard output the unencrypted end."""
    _, fingerprint, certificate, key, address = sys.argv[1:] if argv is None else argv
    try:
        with socket.socket(fileno=0) as connection, socket.socket(fileno=1) as plain:
            connection.settimeout(HANDSHAKE_SECONDS)
            try:
                tls = client_context(Path(certificate), Path(key)).wrap_socket(connection)
            except OSError as error:
                raise failed(error, address) from error
            require_host(tls, fingerprint, address)
            pump(tls, plain)
    except QvdUsbError as error:
        print(report(error), file=sys.stderr)
        return error.problem.exit_status
    return 0
