"""EFFECT: the audit: each entry of the chronicle as one line of JSON in the journal, with fields to search by.

`journalctl -t qvd-usb-audit -o cat QVD_CONTAINER=desk1` shows what one container had and was refused.
"""

import json
import logging
import socket
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from server_agent.chronicle import Entry, Kind
from server_agent.records import Row

LOG = logging.getLogger(__name__)
SOCKET = Path("/run/systemd/journal/socket")
IDENTIFIER = "qvd-usb-audit"
WARNING, NOTICE = 4, 5  # syslog(3)
WORTH_A_WARNING = frozenset({Kind.REFUSAL, Kind.FAILURE, Kind.QUARANTINE, Kind.OVERFLOW})


def message(entry: Entry, row: Row) -> bytes:
    """One datagram of the journal's native protocol: lines of FIELD=value, none of which holds a line end.

    Source: systemd, Journal Native Protocol.
    """
    fields = {
        "MESSAGE": json.dumps(row, sort_keys=True),
        "PRIORITY": str(WARNING if entry.kind in WORTH_A_WARNING else NOTICE),
        "SYSLOG_IDENTIFIER": IDENTIFIER,
        "QVD_EVENT": str(entry.kind),
    }
    if entry.container is not None:
        fields["QVD_CONTAINER"] = str(entry.container)
    device = entry.words.get("device")
    if device is not None:
        fields["QVD_DEVICE"] = str(device)
    return "".join(f"{name}={value}\n" for name, value in fields.items()).encode()


@dataclass(slots=True)
class Journal:
    """Writes entries. What the journal does not take goes to standard output, which systemd keeps as well."""

    path: Path = SOCKET
    fallback: TextIO = field(default_factory=lambda: sys.stdout)
    _socket: socket.socket = field(default_factory=lambda: socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))

    def __call__(self, entry: Entry, row: Row) -> None:
        """Write one entry, without waiting for a journal that is busy."""
        try:
            self._socket.sendto(message(entry, row), socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL, str(self.path))
        except OSError:  # gone, full or restarting, whatever it is: the line must not be lost
            self._fall_back(row)

    def _fall_back(self, row: Row) -> None:
        try:
            print(json.dumps(row, sort_keys=True), file=self.fallback, flush=True)
        except OSError as error:  # what is to be done about the event must be done all the same
            LOG.warning("a line of the audit is lost: %s", error)

    def close(self) -> None:
        """Let go of the socket."""
        self._socket.close()
