"""EFFECT: tempting.py CONTAINER MEDIUM: one device with something for each service: terminal, disk and network adapter.

MEDIUM is the file that the disk begins with. Orders come on standard input, a line each: `medium FILE` puts another one
in, `sent` has a JSON object printed: how many bytes terminal and adapter were sent. Stays until it is killed.
"""

import json
import socket
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, "/usr/local/lib/kit")

from tests.kit.usbip_device.attach import Broker
from tests.kit.usbip_device.descriptors import MISCELLANEOUS, STRING, Identity, string
from tests.kit.usbip_device.device import Device
from tests.kit.usbip_device.functions import Adapter, Serial, Stick
from tests.kit.usbip_device.serve import Connection

HARDWARE_ADDRESS = "020000000001"


@dataclass(slots=True)
class Terminal(Serial):
    """One that says nothing back: who speaks to it is only counted."""

    sent: int = 0

    def take(self, number: int, data: bytes) -> None:
        self.sent += len(data)


def main(container: str, medium: str) -> None:
    terminal, disk, adapter = (
        Terminal(),
        Stick(bytearray(Path(medium).read_bytes()), first=2, number=3),
        Adapter(first=3),
    )
    device = Device(
        identity=Identity(serial="tempting", classes=MISCELLANEOUS),
        functions=(terminal, disk, adapter),
        raw={(STRING, Adapter.ADDRESS): string(HARDWARE_ADDRESS)},
    )
    ours, theirs = socket.socketpair()
    connection = Connection(device, ours)
    threading.Thread(target=connection.run, daemon=True).start()
    with theirs:
        Broker(container).attach(theirs.fileno(), 0x10002, 3)
    for line in sys.stdin:
        order, _, file = line.strip().partition(" ")
        if order == "medium":
            disk.change(bytearray(Path(file).read_bytes()))
        elif order == "sent":
            told = {"terminal": terminal.sent, "adapter": sum(map(len, adapter.sent))}
            print(json.dumps(told), flush=True)


main(*sys.argv[1:])
