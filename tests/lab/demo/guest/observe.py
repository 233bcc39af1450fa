#!/usr/bin/python3
"""EFFECT: watches what the kernel of this guest says about the demo's devices and writes each change as a JSON line.

It imports nothing of the product: what it reports is evidence against the product's own word.

    observe.py client OUT SHARE_LIST_FILE IDENTITY...
    observe.py server OUT CONTAINER MAP_PIN IDENTITY...          IDENTITY: vid:pid@serial
"""

import ctypes
import errno
import json
import os
import struct
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

Facts = dict[str, Any]
Known = dict[str, tuple[str, int, int, int]]

USB = Path("/sys/bus/usb/devices")
PAUSE = 0.08  # seconds between two looks, at least
SHARE = 7  # of the time, one part looking and so many parts leaving the processor to the others
GONE = (FileNotFoundError, NotADirectoryError, ProcessLookupError)
BPF = 321  # system call number on x86-64
MAP_LOOKUP, OBJ_GET = 1, 7
LIBC = ctypes.CDLL(None, use_errno=True)


def read(path: Path) -> str:
    """Returns the text of an attribute, empty where it is gone."""
    try:
        return path.read_text().strip()
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ENODEV, errno.ENOTDIR, errno.EIO):
            raise
        return ""


def link(path: Path) -> str:
    """Returns the last part of a link's target, empty where it is gone."""
    try:
        return path.readlink().name
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ENODEV, errno.ENOTDIR):
            raise
        return ""


def find(identity: str, *, below_vhci: bool) -> Path | None:
    """Returns the sysfs folder of the device with this identity on this side of the link, or None."""
    kind, _, serial = identity.partition("@")
    for folder in sorted(USB.iterdir()):
        if ":" in folder.name or folder.name.startswith("usb"):
            continue
        if read(folder / "serial") != serial or f"{read(folder / 'idVendor')}:{read(folder / 'idProduct')}" != kind:
            continue
        real = os.path.realpath(folder)
        if ("vhci_hcd" in real) == below_vhci:
            return Path(real)
    return None


def children(device: Path) -> Iterator[tuple[str, str, int, int]]:
    """Yields (node name, kind, major, minor) of every node at or below a device folder."""
    for folder, names, files in os.walk(device):
        names[:] = [name for name in names if name != "subsystem"]
        if "dev" not in files:
            continue
        facts = dict(line.split("=", 1) for line in read(Path(folder) / "uevent").splitlines() if "=" in line)
        number = read(Path(folder) / "dev")
        if "DEVNAME" in facts and number:
            kind = "b" if link(Path(folder) / "subsystem") == "block" else "c"
            major, minor = (int(part) for part in number.split(":"))
            yield facts["DEVNAME"], kind, major, minor


def client_facts(identity: str, share_list_file: str) -> Facts:
    """What the client's kernel and the user's file say of one device."""
    facts: Facts = {"busid": "", "driver": "", "interfaces": [], "status": "", "nodes": [], "listed": False}
    text = read(Path(share_list_file))
    facts["listed"] = any(
        identity in (entry.strip() for entry in line.partition("=")[2].split(","))
        for line in text.splitlines()
        if line.partition("=")[0].strip() == "client.usb.share_list"
    )
    device = find(identity, below_vhci=False)
    if device is None:
        return facts
    facts["busid"] = device.name
    facts["driver"] = link(device / "driver")
    facts["status"] = read(device / "usbip_status")
    facts["interfaces"] = sorted({link(entry / "driver") for entry in device.glob(f"{device.name}:*")} - {""})
    facts["nodes"] = sorted(name for name, *_ in children(device) if not name.startswith("bus/"))
    return facts


def bpf(command: int, attributes: bytes) -> int:
    buffer = ctypes.create_string_buffer(attributes, 128)
    answer = LIBC.syscall(BPF, command, buffer, 128)
    if answer < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return int(answer)


def open_map(pin: str) -> int | None:
    """Returns a descriptor of the pinned map, or None where there is none."""
    path = ctypes.create_string_buffer(pin.encode())
    try:
        return bpf(OBJ_GET, struct.pack("<QI", ctypes.addressof(path), 0))
    except OSError as error:
        if error.errno != errno.ENOENT:
            raise
        return None


def right(descriptor: int, kind: str, major: int, minor: int) -> int:
    """Returns the access mask (1 mknod, 2 read, 4 write) that the map holds for exactly this number."""
    key = ctypes.create_string_buffer(struct.pack("<III", {"b": 1, "c": 2}[kind], major, minor), 12)
    value = ctypes.create_string_buffer(4)
    try:
        bpf(MAP_LOOKUP, struct.pack("<IIQQ", descriptor, 0, ctypes.addressof(key), ctypes.addressof(value)))
    except OSError as error:
        if error.errno != errno.ENOENT:
            raise
        return 0
    return int(struct.unpack("<I", value.raw[:4])[0])


def node_facts(root: Path, name: str, number: tuple[int, int]) -> Facts | None:
    """Mode and presence of an access list for one node in the container's /dev."""
    path = root / "dev" / name
    try:
        status = path.lstat()
        same = status.st_rdev == os.makedev(*number)
        return {
            "mode": f"{status.st_mode & 0o7777:04o}",
            "same": same,
            "acl": "system.posix_acl_access" in os.listxattr(path),
        }
    except GONE:
        return None


def used_ports(hub: int) -> int:
    """Returns how many ports of this hub the kernel has in use."""
    table = read(Path("/sys/devices/platform/vhci_hcd.0") / (f"status.{hub}" if hub else "status"))
    return sum(1 for row in table.splitlines()[1:] if row.split()[2] != "004")


def server_facts(identity: str, root: Path, descriptor: int | None, known: Known) -> Facts:
    """What the server's kernel and the container's /dev say of one device. `known` keeps its numbers after it left."""
    device = find(identity, below_vhci=True)
    facts: Facts = {"busid": "", "hub": None, "authorized": "", "rights": {}, "nodes": {}, "ports": None}
    if device is not None:
        hub = next(part for part in device.parts if part.startswith("vhci_hcd."))
        number = int(hub.partition(".")[2])
        facts.update(busid=device.name, hub=number, authorized=read(device / "authorized"))
        for name, kind, major, minor in children(device):
            known[name] = (kind, major, minor, number)
    for name, (kind, major, minor, number) in sorted(known.items()):
        if descriptor is not None:
            facts["rights"][name] = right(descriptor, kind, major, minor)
        node = node_facts(root, name, (major, minor))
        if node:
            facts["nodes"][name] = node
        facts["ports"] = used_ports(number)
    return facts


def payload_root(container: str) -> Path:
    """Returns /proc/PID/root of the container's first process."""
    for line in os.popen(f"lxc-info -n {container} -pH"):
        return Path(f"/proc/{line.strip()}/root")
    sys.exit(f"container {container} does not run")


def observers(side: str, words: list[str]) -> dict[str, Callable[[], Facts]]:
    if side == "client":
        share_list_file, *identities = words
        return {name: partial(client_facts, name, share_list_file) for name in identities}
    container, pin, *identities = words
    root, descriptor = payload_root(container), open_map(pin)
    return {name: partial(server_facts, name, root, descriptor, {}) for name in identities}


def main() -> None:
    side, out, *words = sys.argv[1:]
    looks = observers(side, words)
    last: dict[str, Facts] = {}
    with open(out, "a", buffering=1) as stream:
        while True:
            began = time.monotonic()
            for identity, look in looks.items():
                facts = look()
                if facts != last.get(identity):
                    last[identity] = facts
                    stream.write(json.dumps({"t": time.time(), "side": side, "device": identity, **facts}) + "\n")
            time.sleep(max(PAUSE, SHARE * (time.monotonic() - began)))


if __name__ == "__main__":
    main()
