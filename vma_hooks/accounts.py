"""EFFECT: the users and groups of an image, of the running system or of a folder that holds one."""

import grp
import pwd
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from qvd_usbip.ids import LAST_ID, decimal
from qvd_usbip.system.files import read_text

ORDINARY = range(1000, 60000)  # UID_MIN and UID_MAX of login.defs(5), as Debian has them


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A group: its number, and who is named as its member."""

    gid: int
    members: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Accounts:
    """Groups by name; and of each ordinary user the number of the group that is its own."""

    groups: dict[str, Group]
    users: dict[str, int]

    def is_member(self, user: str, group: str) -> bool:
        """Whether a user who is there belongs to a group that is there."""
        found = self.groups[group]
        return user in found.members or self.users[user] == found.gid


def running() -> Accounts:
    """Those of the system that runs, wherever it has them from.

    Source: getgrent(3), getpwent(3).
    """
    groups = {each.gr_name: Group(gid=each.gr_gid, members=frozenset(each.gr_mem)) for each in grp.getgrall()}
    users = {each.pw_name: each.pw_gid for each in pwd.getpwall() if each.pw_uid in ORDINARY}
    return Accounts(groups=groups, users=users)


def at_rest(root: Path) -> Accounts:
    """Those that stand in the files of an image that does not run; lines that are none are left out.

    Raises:
        QvdUsbError: CONFIG_* when a file is there and cannot be read.

    Source: group(5), passwd(5).
    """
    return accounts_in(_text(root / "etc/group"), _text(root / "etc/passwd"))


def accounts_in(group: str, passwd: str) -> Accounts:
    """Those that stand in the texts of group(5) and passwd(5)."""
    groups, users = {}, {}
    for name, _, gid, members in _lines(group, 4):
        number = decimal(gid, LAST_ID)
        if number is not None:
            groups[name] = Group(gid=number, members=frozenset(filter(None, members.split(","))))
    for name, _, uid, gid, *_ in _lines(passwd, 7):
        user, group_of_user = decimal(uid, LAST_ID), decimal(gid, LAST_ID)
        if group_of_user is not None and user in ORDINARY:
            users[name] = group_of_user
    return Accounts(groups=groups, users=users)


def _text(path: Path) -> str:
    try:
        return read_text(path)
    except FileNotFoundError:
        return ""


def _lines(text: str, fields: int) -> Iterator[list[str]]:
    for line in text.splitlines():
        found = line.split(":")
        if len(found) == fields:
            yield found
