"""EFFECT: makes a planned device node right before anyone can see it, and removes only what was made here.

Each node has a record: a symbolic link `c189:772` -> `bus/usb/007/005` in a folder only root can enter. The record is
written before the node and removed after it: whatever a killed run left, the next one can tell whose it is.
"""

import errno
import fcntl
import os

from qvd_usbip.errors import ACL_UNSUPPORTED, NODE_REFUSED, QvdUsbError
from qvd_usbip.ids import DevNum
from vma_hooks.acl import encode_group_acl, mode_under
from vma_hooks.beneath import NOT_THERE, descend, make_folder
from vma_hooks.nodes import Nodes
from vma_hooks.plan import NodePlan

_IN_USE = frozenset((errno.ENOTEMPTY, errno.EEXIST, errno.EBUSY))
_NO_ACL = frozenset((errno.EOPNOTSUPP, errno.ENOSYS))


class Grant:
    """Who besides root may open a node: one group, by number, and its rights (4 read, 2 write, 1 execute)."""

    __slots__ = ("bits", "gid")

    def __init__(self, gid: int, bits: int) -> None:
        self.gid = gid
        self.bits = bits


def open_records(path: str, nodes: Nodes) -> int:
    """Open the folder of records, made on first use, and hold its lock until the descriptor is closed.

    Args:
        path: the folder, `/run/qvd-create-device`.
        nodes: its `owner` must own the folder.

    Raises:
        QvdUsbError: NODE_REFUSED when somebody else could write or lock it.
    """
    make_folder(path, None, 0o700)
    try:
        records = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except NotADirectoryError:
        raise QvdUsbError(NODE_REFUSED, node=path, reason="it must be a folder") from None
    found = os.fstat(records)
    if found.st_uid != nodes.owner[0] or found.st_mode & 0o077:
        os.close(records)
        raise QvdUsbError(NODE_REFUSED, node=path, reason="it must belong to root alone (mode 0700)")
    fcntl.flock(records, fcntl.LOCK_EX)
    return records


def make_node(plan: NodePlan, grant: Grant | None, *, dev: int, records: int, nodes: Nodes) -> None:
    """Put the planned node in place, complete; a node of ours that is there already is replaced.

    Args:
        plan: verb `make`.
        grant: the one group that may open the node; None leaves it at 0600.
        dev: directory descriptor of /dev.
        records: descriptor from open_records.
        nodes: how nodes are made.

    Raises:
        QvdUsbError: NODE_REFUSED when something not made here has that name; ACL_UNSUPPORTED when the node had to
            stay 0600.
        OSError: /dev is read-only, full, …: nothing was left behind.
    """
    path = "/".join(plan.path)
    before = _recorded(plan.kind, plan.number, records)
    if before not in {None, path}:
        drop_node(plan.kind, plan.number, dev=dev, records=records, nodes=nodes)
    folder = descend(dev, plan.path[:-1], make=True)
    try:
        _refuse_foreign(plan, path, folder, records, nodes)
        if before != path:
            os.symlink(path, f"{plan.kind}{plan.number}", dir_fd=records)
        unsupported = _place(plan, grant, folder, nodes)
    finally:
        os.close(folder)
    if unsupported:
        raise QvdUsbError(ACL_UNSUPPORTED, node=f"/dev/{path}")


def drop_node(kind: str, number: DevNum, *, dev: int, records: int, nodes: Nodes) -> bool:
    """Remove the node recorded for a number, and the folders it leaves empty; never one that was not made here.

    Returns:
        False when no node was recorded.
    """
    path = _recorded(kind, number, records)
    if path is None:
        return False
    *folders, name = path.split("/")
    try:
        folder = descend(dev, folders)
    except OSError as error:
        if error.errno not in NOT_THERE:
            raise
    else:
        try:
            _unlink(_unfinished(kind, number), folder)
            if _identify(name, folder, nodes) == (kind, number):
                os.unlink(name, dir_fd=folder)
        finally:
            os.close(folder)
    _remove_empty(folders, dev)
    os.unlink(f"{kind}{number}", dir_fd=records)
    return True


def recorded_at(path: str, records: int) -> list[tuple[str, DevNum]]:
    """List the numbers recorded for one path beneath /dev."""
    names = [name for name in os.listdir(records) if os.readlink(name, dir_fd=records) == path]
    return [(name[0], DevNum.parse(name[1:])) for name in names]


def _refuse_foreign(plan: NodePlan, path: str, folder: int, records: int, nodes: Nodes) -> None:
    name = plan.path[-1]
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return
    there = _identify(name, folder, nodes)
    if there is None or _recorded(*there, records) != path:
        raise QvdUsbError(NODE_REFUSED, node=f"/dev/{path}", reason="it exists and was not made by qvd-create-device")
    if there != (plan.kind, plan.number):
        os.unlink(f"{there[0]}{there[1]}", dir_fd=records)


def _place(plan: NodePlan, grant: Grant | None, folder: int, nodes: Nodes) -> bool:
    """Make the node under another name, give it its rights, then its own name; True when the list was not possible."""
    unfinished = _unfinished(plan.kind, plan.number)
    _unlink(unfinished, folder)
    nodes.make(unfinished, folder, plan.kind, plan.number)
    try:
        unsupported = _give_rights(unfinished, grant, folder, nodes)
        os.rename(unfinished, plan.path[-1], src_dir_fd=folder, dst_dir_fd=folder)
    except OSError:
        _unlink(unfinished, folder)
        raise
    return unsupported


def _give_rights(name: str, grant: Grant | None, folder: int, nodes: Nodes) -> bool:
    node = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    try:
        made = os.fstat(node)
        if (made.st_uid, made.st_gid) != nodes.owner:  # a set-group-id folder gives its own group
            os.chown(name, *nodes.owner, dir_fd=folder, follow_symlinks=False)
        if grant is None:
            return False
        try:
            nodes.set_acl(node, encode_group_acl(grant.gid, grant.bits))
        except OSError as error:
            if error.errno not in _NO_ACL:
                raise
            return True
        if os.fstat(node).st_mode & 0o7777 != mode_under(grant.bits):
            raise OSError(errno.EOPNOTSUPP, "the file system did not keep the access list")
        return False
    finally:
        os.close(node)


def _identify(name: str, folder: int, nodes: Nodes) -> tuple[str, DevNum] | None:
    try:
        return nodes.identify(os.stat(name, dir_fd=folder, follow_symlinks=False))
    except FileNotFoundError:
        return None


def _unfinished(kind: str, number: DevNum) -> str:
    # One name per number, and one run at a time by the lock: what a killed run left is found again.
    return f".qvd-create-device.{kind}{number}"


def _recorded(kind: str, number: DevNum, records: int) -> str | None:
    try:
        return os.readlink(f"{kind}{number}", dir_fd=records)
    except FileNotFoundError:
        return None


def _unlink(name: str, folder: int) -> None:
    try:
        os.unlink(name, dir_fd=folder)
    except FileNotFoundError:
        return


def _remove_empty(folders: list[str], dev: int) -> None:
    for depth in range(len(folders), 0, -1):
        try:
            parent = descend(dev, folders[: depth - 1])
            try:
                os.rmdir(folders[depth - 1], dir_fd=parent)
            finally:
                os.close(parent)
        except OSError as error:
            if error.errno in _IN_USE:
                return
            if error.errno not in NOT_THERE:
                raise
