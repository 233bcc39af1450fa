"""EFFECT: `python3 -m tests.kit.usbip_device`: a device for a container, or every liar against one."""

import argparse
import json
import socket
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from .attach import Broker, RefusedError, SlaveServer
from .descriptors import MISCELLANEOUS, Identity
from .device import Device, Function
from .functions import Keyboard, Serial, Speaker, Stick
from .liars import EITHER, FAILED, HARMLESS, Liar, after_reset, all_liars, streams
from .records import Request
from .serve import Answering, Connection

DEVID, HIGH_SPEED = 0x10002, 3
AT_ONCE = 4  # attaches that a container may have under way
MEBIBYTE = 1 << 20
WHOLE_DAY = 86400.0
KINDS: dict[str, Callable[[], tuple[Function, ...]]] = {
    "serial": lambda: (Serial(),),
    "keyboard": lambda: (Keyboard(),),
    "stick": lambda: (Stick(bytearray(MEBIBYTE)),),
    "speaker": lambda: (Speaker(),),
    "both": lambda: (Serial(), Stick(bytearray(MEBIBYTE), first=2, number=3)),
}


def device(kind: str, serial: str) -> Device:
    """An honest device of a kind."""
    return Device(
        identity=Identity(serial=serial, name=f"Software {kind}", classes=MISCELLANEOUS), functions=KINDS[kind]()
    )


def serve(options: argparse.Namespace) -> int:
    """One honest device; says each state as a line of JSON, stays until standard input ends."""
    served: Answering = {"after-reset": after_reset(), **streams()}.get(options.kind) or device(
        options.kind, options.serial
    )
    if ":" in options.target:
        server = SlaveServer(options.target, sys.stdin.readline().strip())
        end, attach_id = server.attach(DEVID, HIGH_SPEED)
        states = server.states(attach_id, patience=WHOLE_DAY)
    else:
        broker = Broker(options.target)
        end, theirs = socket.socketpair()
        with theirs:
            attach_id = broker.attach(theirs.fileno(), DEVID, HIGH_SPEED)
        states = broker.states(attach_id, patience=WHOLE_DAY)
    connection = Connection(served, end)
    threading.Thread(target=connection.run, daemon=True).start()
    threading.Thread(target=until_input_ends, args=(connection,), daemon=True).start()
    for said in states:
        print(json.dumps(said), flush=True)
    return 0


def until_input_ends(connection: Connection) -> None:
    """Unplug when nobody wants it any more."""
    sys.stdin.read()
    connection.close()


def lies(options: argparse.Namespace) -> int:
    """Each liar against a slave server; one line of JSON each; 0 when every one ended as it must."""
    server = SlaveServer(options.address, sys.stdin.readline().strip())
    liars = {name: liar for name, liar in all_liars().items() if not options.names or name in options.names}
    # Those that fail keep the hub busy for seconds each, and the agent waits: they go together, and the others alone.
    failing = {name: liar for name, liar in liars.items() if liar.expected in {FAILED, EITHER}}
    with ThreadPoolExecutor(AT_ONCE) as pool:
        ends = list(pool.map(lambda item: told(server, *item), failing.items()))
    ends += [told(server, name, liar) for name, liar in liars.items() if name not in failing]
    return 0 if ends and all(end["as_expected"] for end in ends) else 1


def told(server: SlaveServer, name: str, liar: Liar) -> dict[str, Any]:
    """Let one liar try; how it ended, also printed."""
    began = time.monotonic()
    try:
        connection, attach_id = server.attach(DEVID, liar.speed)
    except RefusedError as error:
        end: dict[str, Any] = {"state": "not attached", "problem": str(error.args[0])}
    else:
        slow: Callable[[Request], None] | None = (lambda _: time.sleep(liar.delay)) if liar.delay else None
        served = Connection(liar, connection, slow)
        thread = threading.Thread(target=served.run, daemon=True)
        thread.start()
        end = server.until(attach_id, "authorised", "ready")
        served.close()
        thread.join(10)
    row = {
        "name": name,
        "expected": liar.expected,
        "state": end["state"],
        "problem": end.get("problem", ""),
        "seconds": round(time.monotonic() - began, 1),
    }
    row["as_expected"] = ended(row) in ({HARMLESS, FAILED} if liar.expected == EITHER else {liar.expected})
    print(json.dumps(row), flush=True)
    return row


def ended(row: dict[str, Any]) -> str:
    """The end in the words of liars.py."""
    if row["state"] in {"authorised", "ready"}:
        return HARMLESS
    return str(row["problem"]) if row["state"] == "refused" else FAILED


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command."""
    parser = argparse.ArgumentParser(prog="usbip_device", description=__doc__)
    verbs = parser.add_subparsers(required=True)
    added = verbs.add_parser("serve", help="one honest device, until standard input ends")
    added.add_argument("kind", choices=[*KINDS, "after-reset", *streams()])
    added.add_argument("target", help="a container of this host, or HOST:PORT of a slave server (its key: first line)")
    added.add_argument("--serial", default="1234")
    added.set_defaults(command=serve)
    added = verbs.add_parser("lies", help="every liar against a slave server; its key is the first line of the input")
    added.add_argument("address", help="host:port")
    added.add_argument("names", nargs="*", help="only these liars")
    added.set_defaults(command=lies)
    options = parser.parse_args(argv)
    return int(options.command(options))


sys.exit(main())
