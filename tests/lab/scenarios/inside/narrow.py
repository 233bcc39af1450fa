"""EFFECT: narrow.py PID: the socket by which a process hears the kernel's events holds a few of them at most.

So that a dozen events run it over, and not a hundred thousand. Prints the socket's inode, as /proc/net/netlink has it.
Source: pidfd_getfd(2), socket(7) SO_RCVBUFFORCE; the numbers of the calls: arch/x86/entry/syscalls/syscall_64.tbl.
"""

import ctypes
import os
import socket
import sys
from pathlib import Path

NETLINK_KOBJECT_UEVENT, RCVBUFFORCE, LEAST = 15, 33, 2304
PIDFD_GETFD = 438


def main(pid: int) -> None:
    """Find it among the descriptors of the process, and make it narrow."""
    process, libc = os.pidfd_open(pid), ctypes.CDLL(None, use_errno=True)
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        if not entry.is_socket():
            continue
        fd = libc.syscall(PIDFD_GETFD, process, int(entry.name), 0)
        if fd < 0:
            raise OSError(ctypes.get_errno(), f"descriptor {entry.name}")
        with socket.socket(fileno=fd) as found:
            if (found.family, found.proto) == (socket.AF_NETLINK, NETLINK_KOBJECT_UEVENT):
                found.setsockopt(socket.SOL_SOCKET, RCVBUFFORCE, LEAST)
                print(os.fstat(fd).st_ino)


main(int(sys.argv[1]))
