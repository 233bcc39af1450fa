"""EFFECT: in the server guest, as root: reads sticks in turn: `python3 reads.py` with a JSON object on its input.

In: {"rounds": 3, "bytes": 2097152, "ways": {"ours": {"serial": "PLAIN", "limits": "HAND", "buffered": false}, …}}
Out: {"ours": [MB/s, …], …}. `limits`: the serial number of the stick whose limits the kernel is to keep for this one;
those of before are put back. The first round of each way is not counted.
"""

import fcntl
import json
import mmap
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

BLOCK = 4 << 20
WARM = 1 << 20
LIMITS = ("device/max_sectors", "queue/max_sectors_kb", "queue/read_ahead_kb")
BLKFLSBUF = 0x1261  # linux/fs.h: forget what is cached of a block device


def disk_of(serial: str) -> Path:
    """The folder below /sys/block of the stick with this serial number."""
    for disk in Path("/sys/block").glob("sd*"):
        for folder in disk.resolve().parents:
            if (folder / "serial").is_file() and (folder / "busnum").is_file():
                if (folder / "serial").read_text().strip() == serial:
                    return disk
                break
    raise SystemExit(f"no disk with the serial number {serial}")


def limits_of(disk: Path) -> list[str]:
    return [(disk / name).read_text().strip() for name in LIMITS]


def limit(disk: Path, values: Sequence[str]) -> None:
    for name, value in zip(LIMITS, values, strict=True):
        (disk / name).write_text(value)


def new_block() -> mmap.mmap:
    """Memory to read into, of huge pages: a request may have 32 pieces, and small pages are a piece each."""
    block = mmap.mmap(-1, BLOCK, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    block.madvise(mmap.MADV_HUGEPAGE)
    block.write(bytes(BLOCK))
    return block


def read(disk: Path, size: int, block: mmap.mmap, *, buffered: bool) -> float:
    """Reads the first bytes of a disk; MB/s."""
    device = os.open(f"/dev/{disk.name}", os.O_RDONLY | (0 if buffered else os.O_DIRECT))
    try:
        fcntl.ioctl(device, BLKFLSBUF, 0)
        began = time.perf_counter()
        for offset in range(0, size, BLOCK):
            wanted = min(BLOCK, size - offset)
            if os.preadv(device, [memoryview(block)[:wanted]], offset) != wanted:
                raise SystemExit(f"{disk.name} is too short")
        return size / 1e6 / (time.perf_counter() - began)
    finally:
        os.close(device)


def measure(request: dict[str, Any]) -> dict[str, list[float]]:
    ways = request["ways"]
    disks = {each["serial"]: disk_of(each["serial"]) for each in ways.values()}
    own = {serial: limits_of(disk) for serial, disk in disks.items()}
    taken: dict[str, list[float]] = {way: [] for way in ways}
    block = new_block()
    for number in range(request["rounds"] + 1):
        for way, each in ways.items():
            disk = disks[each["serial"]]
            limit(disk, own[each["limits"]])
            speed = read(disk, request["bytes"] if number else WARM, block, buffered=each["buffered"])
            limit(disk, own[each["serial"]])
            if number:
                taken[way].append(speed)
    return taken


if __name__ == "__main__":
    json.dump(measure(json.load(sys.stdin)), sys.stdout)
