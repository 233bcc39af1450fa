"""EFFECT: what the kernel of this guest has of the devices of a walk, looked at whenever somebody asks.

It imports nothing of the product; how a device and a map are read it shares with the demo's observer.

    eye.py client FOLDER VID:PID@SERIAL...
    eye.py server FOLDER CONTAINER...

In the folder are two pipes: who writes into `ask` may read one JSON object from `answer`. Each look of the server is
framed by two of the devices: `steady` are those that were the same before and after everything else was read.
"""

import json
import os
import struct
import sys
from collections.abc import Iterator
from ctypes import addressof, create_string_buffer, get_errno
from errno import ENOENT
from pathlib import Path
from typing import Any

from tests.lab.demo.guest.observe import BPF, LIBC, USB, children, find, link, open_map, read

MAP_LOOKUP_BATCH, MOST = 24, 256
PINS, CGROUPS = Path("/sys/fs/bpf/qvd"), Path("/sys/fs/cgroup/qvd")
PLATFORM = Path("/sys/devices/platform")
LEDGER = Path("/var/lib/qvd-usbip/ledger.json")
STUB = Path("/sys/bus/usb/drivers/usbip-host")
RECORDS = Path("/run/qvd-usbip")
NULL = "004"  # a port without a device. Source: VDEV_ST_NULL, drivers/usb/usbip/usbip_common.h
SKIPPED = {"pts", "shm", "mqueue", "fd", "hugepages"}
INITS: dict[str, int] = {}
Facts = dict[str, Any]


def names(folder: Path) -> list[str]:
    """What there is in a folder, nothing where it is gone."""
    try:
        return sorted(entry.name for entry in folder.iterdir())
    except OSError:
        return []


# the client -----------------------------------------------------------------------------------------------------------
def at_client(identity: str) -> Facts | None:
    """Port, driver, drivers of the interfaces and status of a device; None: it is not plugged in."""
    folder = find(identity, below_vhci=False)
    if folder is None:
        return None
    return {
        "busid": folder.name,
        "driver": link(folder / "driver"),
        "interfaces": sorted({link(entry / "driver") for entry in folder.glob(f"{folder.name}:*")} - {""}),
        "status": read(folder / "usbip_status"),
    }


def client(identities: list[str]) -> Facts:
    return {
        "devices": {identity: at_client(identity) for identity in identities},
        "table": read(STUB / "match_busid").split(),
        "records": [name for name in names(RECORDS) if name[0].isdigit()],
    }


# the server -----------------------------------------------------------------------------------------------------------
def devices() -> list[Facts]:
    """Every device below a hub, with the numbers of its own and of its children."""
    found = []
    for name in names(USB):
        real = os.path.realpath(USB / name) if "-" in name and ":" not in name else ""
        if "/vhci_hcd." not in real or not (serial := read(Path(real, "serial"))):
            continue
        found.append({
            "hub": next(part for part in real.split("/") if part.startswith("vhci_hcd.")),
            "busid": name,
            "serial": serial,
            "authorised": read(Path(real, "authorized")) == "1",
            "numbers": {f"{kind}:{major}:{minor}": node for node, kind, major, minor in children(Path(real))},
        })  # fmt: skip
    return found


def used() -> dict[str, int]:
    """How many ports of each hub are not free."""
    count: dict[str, int] = {}
    for table in sorted(PLATFORM.glob("vhci_hcd.0/status*")):
        number = table.name.partition(".")[2] or "0"
        rows = read(table).splitlines()[1:]
        count[f"vhci_hcd.{number}"] = sum(1 for row in rows if row.split()[2] != NULL)
    return count


def rights(container: str) -> dict[str, int] | None:
    """What the container's map allows: number → access; None: it has no map.

    Source: BPF_MAP_LOOKUP_BATCH of bpf(2), and include/uapi/linux/bpf.h.
    """
    descriptor = open_map(str(PINS / container))
    if descriptor is None:
        return None
    state, keys, values = create_string_buffer(8), create_string_buffer(12 * MOST), create_string_buffer(4 * MOST)
    words = (0, addressof(state), addressof(keys), addressof(values), MOST, descriptor, 0, 0)
    attributes = create_string_buffer(struct.pack("<QQQQIIQQ", *words), 128)
    answer = LIBC.syscall(BPF, MAP_LOOKUP_BATCH, attributes, 128)
    problem = get_errno()
    os.close(descriptor)
    if answer == 0 or problem != ENOENT:  # which is said with the last entries
        raise OSError(problem, f"the map of {container} has more than {MOST} entries, or cannot be read")
    (count,) = struct.unpack_from("<I", attributes.raw, 32)
    held = {}
    for number in range(count):
        kind, major, minor = struct.unpack_from("<III", keys.raw, 12 * number)
        held[f"{'?bc'[kind]}:{major}:{minor}"] = struct.unpack_from("<I", values.raw, 4 * number)[0]
    return held


def init_of(container: str) -> int | None:
    """The first process of a container that runs; found once, it is known as long as it lives."""
    known = INITS.get(container)
    if known is not None and f"/qvd/{container}/payload" in read(Path(f"/proc/{known}/cgroup")):
        return known
    INITS.pop(container, None)
    for file in (CGROUPS / container).glob("payload*/**/init.scope/cgroup.procs"):
        for pid in read(file).split():
            numbers = [line for line in read(Path(f"/proc/{pid}/status")).splitlines() if line.startswith("NSpid:")]
            if numbers and numbers[0].split()[-1] == "1":
                INITS[container] = int(pid)
                return int(pid)
    return None


def nodes(folder: Path) -> Iterator[tuple[str, str]]:
    """Every device node in a /dev and its number."""
    for name in names(folder):
        path = folder / name
        try:
            status = path.lstat()
        except OSError:
            continue
        if name in SKIPPED:
            continue
        kind = {0o020000: "c", 0o060000: "b", 0o040000: "d"}.get(status.st_mode & 0o170000)
        if kind == "d":
            yield from nodes(path)
        elif kind:
            yield str(path), f"{kind}:{os.major(status.st_rdev)}:{os.minor(status.st_rdev)}"


def container(name: str) -> Facts:
    pid = init_of(name)
    facts: Facts = {"running": pid is not None, "rights": rights(name), "nodes": {}}
    if pid is not None:
        top = Path(f"/proc/{pid}/root/dev")
        facts["nodes"] = {path.removeprefix(f"{top}/"): number for path, number in nodes(top)}
    return facts


def leases() -> dict[str, str | None]:
    """Container → hub, as the ledger has it."""
    try:
        said = json.loads(LEDGER.read_text())
    except (OSError, ValueError):
        return {}
    return {each["name"]: (each["lease"] or [None])[0] for each in said["containers"]}


def server(containers: list[str]) -> Facts:
    before = devices()
    facts = {"containers": {name: container(name) for name in containers}, "used": used(), "leases": leases()}
    return {**facts, "devices": before, "steady": [device for device in devices() if device in before]}


def main(side: str, folder: str, *words: str) -> None:
    ask, answer = Path(folder, "ask"), Path(folder, "answer")
    for pipe in (answer, ask):
        os.mkfifo(pipe)
    while True:
        ask.read_text()
        answer.write_text(json.dumps(client(list(words)) if side == "client" else server(list(words))))


if __name__ == "__main__":
    main(*sys.argv[1:])
