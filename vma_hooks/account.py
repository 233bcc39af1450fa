"""EFFECT: gives root up for good: nobody, in the one group that may open the devices."""

import os
import pwd

from vma_hooks.settings import Access, group_number

_NOBODY = "nobody"


def become_member(access: Access | None) -> None:
    """Become nobody in the group of the devices, without any capability; a process that is not root stays as it is.

    Args:
        access: whose group to join; None joins none but nobody's own.

    Raises:
        QvdUsbError: GROUP_UNKNOWN.

    Source: credentials(7), capabilities(7): a change of all user ids from 0 clears the capability sets.
    """
    if os.geteuid() != 0:
        return
    nobody = pwd.getpwnam(_NOBODY)
    gid = nobody.pw_gid if access is None else group_number(access.group)
    os.setgroups([gid])
    os.setresgid(gid, gid, gid)
    os.setresuid(nobody.pw_uid, nobody.pw_uid, nobody.pw_uid)
