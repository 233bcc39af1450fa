"""EFFECT: gives root up for good: nobody, in the one group that may open the devices."""

import os
import pwd

from qvd_usbip.errors import QvdUsbError
from vma_hooks.settings import group_number

_NOBODY = "nobody"


def become_member(group: str, *, needed: bool) -> None:
    """Become nobody in the group of the devices, without any capability; a process that is not root stays as it is.

    Args:
        group: whose member to become: the agent's socket is for this group, even where the nodes are for root only.
        needed: whether nodes are opened to it; else an image without such a group is right, and the socket is root's.

    Raises:
        QvdUsbError: GROUP_UNKNOWN.

    Source: credentials(7), capabilities(7): a change of all user ids from 0 clears the capability sets.
    """
    if os.geteuid() != 0:
        return
    nobody = pwd.getpwnam(_NOBODY)
    try:
        gid = group_number(group)
    except QvdUsbError:
        if needed:
            raise
        gid = nobody.pw_gid
    os.setgroups([gid])
    os.setresgid(gid, gid, gid)
    os.setresuid(nobody.pw_uid, nobody.pw_uid, nobody.pw_uid)
