"""EFFECT: idmapped_root.py NAME FIRST: a root for a user-namespaced container whose ids begin at FIRST, at /srv/NAME.

The containers' root as it is, seen through an idmapped mount, below a layer of the container's own: nothing is copied.
Ctypes, since Debian 12's mount(8) cannot. Source: mount_setattr(2), open_tree(2), move_mount(2).
"""

import ctypes
import os
import struct
import subprocess
import sys
import time
from pathlib import Path

OPEN_TREE, MOVE_MOUNT, MOUNT_SETATTR = 428, 429, 442
CLONE_NEWUSER, OPEN_TREE_CLONE, AT_EMPTY_PATH, AT_FDCWD = 0x10000000, 1, 0x1000, -100
IDMAP, MOVE_FROM_EMPTY_PATH = 0x00100000, 4
COUNT = 65536
LIBC = ctypes.CDLL(None, use_errno=True)


def checked(result: int) -> int:
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def user_namespace(first: int) -> int:
    """A namespace in which 0 is FIRST, kept by its descriptor alone."""
    child = subprocess.Popen(["unshare", "-U", "sleep", "30"])
    own = Path("/proc/self/ns/user").readlink()
    while Path(f"/proc/{child.pid}/ns/user").readlink() == own:
        time.sleep(0.01)
    for name in ("uid_map", "gid_map"):
        Path(f"/proc/{child.pid}/{name}").write_text(f"0 {first} {COUNT}\n", encoding="ascii")
    fd = os.open(f"/proc/{child.pid}/ns/user", os.O_RDONLY)
    child.kill()
    child.wait()
    return fd


def mount_idmapped(source: Path, point: Path, first: int) -> None:
    tree = checked(LIBC.syscall(OPEN_TREE, AT_FDCWD, os.fsencode(source), OPEN_TREE_CLONE))
    attributes = struct.pack("=QQQQ", IDMAP, 0, 0, user_namespace(first))
    checked(LIBC.syscall(MOUNT_SETATTR, tree, b"", AT_EMPTY_PATH, attributes, len(attributes)))
    checked(LIBC.syscall(MOVE_MOUNT, tree, b"", AT_FDCWD, os.fsencode(point), MOVE_FROM_EMPTY_PATH))


def main(name: str, first: str) -> None:
    folder, root = Path(f"/var/lib/lab/{name}"), Path(f"/srv/{name}")
    for each in (folder / "lower", folder / "upper", folder / "work", root):
        each.mkdir(parents=True)
    os.chown(folder / "upper", int(first), int(first))
    mount_idmapped(Path("/srv/ctroot"), folder / "lower", int(first))
    layers = f"lowerdir={folder}/lower,upperdir={folder}/upper,workdir={folder}/work"
    subprocess.run(["mount", "-t", "overlay", "-o", layers, "overlay", root], check=True)


main(*sys.argv[1:])
