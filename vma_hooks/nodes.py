"""EFFECT: the three things about a device node that only root can do to a real one."""

import os
import stat

from qvd_usbip.ids import DevNum
from vma_hooks.acl import ATTRIBUTE
from vma_hooks.plan import BLOCK, CHARACTER

NODE_TYPES = {CHARACTER: stat.S_IFCHR, BLOCK: stat.S_IFBLK}


class Nodes:
    """Makes and recognises device nodes; `owner` is the uid and gid every node of ours has."""

    owner = 0, 0

    def make(self, name: str, folder: int, kind: str, number: DevNum) -> None:
        """Make a node that only its owner may open (mode 0600)."""
        os.mknod(name, NODE_TYPES[kind] | 0o600, os.makedev(number.major, number.minor), dir_fd=folder)

    def identify(self, found: os.stat_result) -> tuple[str, DevNum] | None:
        """Say which device a file stands for; None when it is no device node."""
        for kind, file_type in NODE_TYPES.items():
            if stat.S_IFMT(found.st_mode) == file_type:
                return kind, DevNum(os.major(found.st_rdev), os.minor(found.st_rdev))
        return None

    def set_acl(self, descriptor: int, value: bytes) -> None:
        """Set the access list of an open (O_PATH) node; fsetxattr(2) itself refuses such a descriptor."""
        os.setxattr(f"/proc/self/fd/{descriptor}", ATTRIBUTE, value)
