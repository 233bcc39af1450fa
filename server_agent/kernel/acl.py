"""PURE: the access list of a node that the host makes for a container, as the kernel stores it."""

import struct

from server_agent.state import HostNodes

ATTRIBUTE = "system.posix_acl_access"
MODE = 0o660  # what a node with this list shows: the mask stands where the group's bits were

# Source: include/uapi/linux/posix_acl.h and posix_acl_xattr.h, acl(5)
VERSION, NO_ID = 2, 0xFFFFFFFF
USER_OBJ, USER, GROUP_OBJ, GROUP, MASK, OTHER = 0x01, 0x02, 0x04, 0x08, 0x10, 0x20
READ_WRITE = 6


def encode(access: HostNodes) -> bytes:
    """Host root, the container's root and the container's group may read and write; nobody else may.

    The container's root needs an entry of its own: its capabilities do not count for a file of an owner that is not
    mapped there, and the owner has to stay one that is not, or it could change the list.
    """
    entries = (
        (USER_OBJ, READ_WRITE, NO_ID),
        (USER, READ_WRITE, access.root),
        (GROUP_OBJ, 0, NO_ID),
        (GROUP, READ_WRITE, access.group),
        (MASK, READ_WRITE, NO_ID),
        (OTHER, 0, NO_ID),
    )
    return struct.pack("<I", VERSION) + b"".join(struct.pack("<HHI", *entry) for entry in entries)
