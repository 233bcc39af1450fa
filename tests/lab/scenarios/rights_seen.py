"""Rights as the kernel has them: what a container's map holds, what there is below its hub, what its root may open."""

import json
import shlex
import struct
from collections.abc import Iterable

from tests.lab import Lab
from tests.lab.demo.back import INTRUDE

READ_WRITE = 6
PINS = "/sys/fs/bpf/qvd"
HUBS = "/sys/devices/platform"
_NUMBERS = (
    "for file in $(find {devices} -name dev 2>/dev/null); do "
    "case $file in */block/*) kind=b ;; *) kind=c ;; esac; "
    "{{ read -r number <$file; }} 2>/dev/null && echo $kind:$number; done; true"  # one that goes meanwhile is gone
)
Right = tuple[str, int, int, int]


def right_of(entry: dict[str, list[str]]) -> Right:
    """PURE: an entry of a device map as bpftool shows it: the bytes of key and value, as hexadecimal words."""
    raw = bytes(int(byte, 16) for byte in entry["key"] + entry["value"])
    kind, major, minor, access = struct.unpack("<IIII", raw)
    return {1: "b", 2: "c"}[kind], major, minor, access


def rights(lab: Lab, container: str) -> frozenset[Right]:
    """Every right that the device map of a container holds: kind, major, minor, access."""
    entries = json.loads(lab.server.run(f"bpftool -j map dump pinned {PINS}/{container}").out)
    return frozenset(map(right_of, entries))


def needed(lab: Lab, hub: str) -> frozenset[Right]:
    """The right to read and write each number that there is below a hub at this moment."""
    words = lab.server.run(_NUMBERS.format(devices=f"{HUBS}/{hub}/usb*/[0-9]*-[1-9]*")).out.split()
    parts = (word.split(":") for word in words)
    return frozenset((kind, int(major), int(minor), READ_WRITE) for kind, major, minor in parts)


def opened(lab: Lab, container: str, tried: Iterable[Right]) -> frozenset[Right]:
    """Those numbers that root of a container may open by nodes of its own making; each is there, or it is an error."""
    words = {f"{kind}:{major}:{minor}": (kind, major, minor, access) for kind, major, minor, access in tried}
    said = lab.container(container).run(shlex.join(["python3", "-c", INTRUDE, *words])).out
    answers = [line.split() for line in said.splitlines()]
    assert sorted(word for _, word in answers) == sorted(words), said
    return frozenset(words[word] for answer, word in answers if answer == "opened")
