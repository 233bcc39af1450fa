"""EFFECT: device nodes that the host makes for containers in a user namespace, which could make none themselves.

One tmpfs, a folder per container, which LXC binds into its /dev. Nodes belong to the host's root, who is nobody in
there: the container's root can neither change their mode or list nor remove them, nor make others beside them.
"""

import errno
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from qvd_usbip.errors import NODE_REFUSED, QvdUsbError
from qvd_usbip.ids import DevNum, VmId
from server_agent.kernel import acl
from server_agent.kernel.container_names import container_names
from server_agent.kernel.hub_mount import mount_tmpfs
from server_agent.state import HostNodes, Right

USBFS = "bus/usb"  # bound to the container's own dev/bus/usb: it stays even when it is empty
KEPT = frozenset({"bus", USBFS})
UNFINISHED = "."  # begins the name of a node that has no list yet; root's alone, and replaced by the next one
OPTIONS = "mode=0755,size=1m,nr_inodes=65536"
TYPES = {"b": stat.S_IFBLK, "c": stat.S_IFCHR}
FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+:.")
DEPTH = 8


def make_real(name: str, folder: int, right: Right) -> None:
    """A device node that only its owner may open."""
    os.mknod(name, TYPES[right.kind] | 0o600, os.makedev(right.number.major, right.number.minor), dir_fd=folder)


def right_of(found: os.stat_result) -> Right | None:
    """Which number a file stands for; None when it is no device node."""
    for kind in ("b", "c"):
        if stat.S_IFMT(found.st_mode) == TYPES[kind]:
            return Right(
                kind="b" if kind == "b" else "c", number=DevNum(os.major(found.st_rdev), os.minor(found.st_rdev))
            )
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeFolders:
    """The folders of all containers.

    Args:
        root: where the tmpfs is mounted. No other would do: whatever is below /run is nodev.
        mount: mounts it.
        make_node: makes a node by name in a folder.
        identify: tells which number a file stands for.
    """

    root: Path
    mount: Callable[[Path, str, str], None] = mount_tmpfs
    make_node: Callable[[str, int, Right], None] = make_real
    identify: Callable[[os.stat_result], Right | None] = right_of

    def create(self, name: VmId) -> None:
        """The container's folder, without any node.

        Raises:
            OSError: it could not be made.
        """
        self.root.mkdir(mode=0o755, parents=True, exist_ok=True)
        if not self.root.is_mount():
            self.mount(self.root, "qvd-usbip-nodes", OPTIONS)
        (self._folder(name) / USBFS).mkdir(mode=0o755, parents=True, exist_ok=True)
        for node, right in self.held(name).items():
            self.drop(name, node, right)  # of a life before this one

    def remove(self, name: VmId) -> None:
        """Remove the folder with all nodes; one that is not there is fine.

        Raises:
            OSError: it could not be removed.
        """
        for parent, folders, files in os.walk(self._folder(name), topdown=False):
            for file in files:
                (Path(parent) / file).unlink()
            for folder in folders:
                (Path(parent) / folder).rmdir()
        if self._folder(name).is_dir():
            self._folder(name).rmdir()

    def make(self, name: VmId, node: str, right: Right, access: HostNodes) -> None:
        """Make a node: its list stands before it gets its name; one that is right already stays as it is.

        Args:
            name: the container.
            node: its name as the kernel gives it, `bus/usb/007/005`.
            right: its number.
            access: who may open it.

        Raises:
            QvdUsbError: node-refused for a name that is none.
            OSError: it could not be made; nothing is left of it.
        """
        *parents, last = parts_of(node)
        folder = self._open(name, parents, make=True)
        try:
            if self._is_right(last, folder, right, access):
                return
            unfinished = f"{UNFINISHED}{right.kind}{right.number}"
            _unlink(unfinished, folder)
            self.make_node(unfinished, folder, right)
            try:
                _give(unfinished, folder, access)
                os.rename(unfinished, last, src_dir_fd=folder, dst_dir_fd=folder)
            except OSError:
                _unlink(unfinished, folder)
                raise
        finally:
            os.close(folder)

    def drop(self, name: VmId, node: str, right: Right) -> None:
        """Remove a node, if it still has this number, and the folders it leaves empty.

        Raises:
            QvdUsbError, OSError: it may still be there.
        """
        *parents, last = parts_of(node)
        try:
            folder = self._open(name, parents)
        except FileNotFoundError:
            return
        try:
            if self._number(last, folder) == right:
                os.unlink(last, dir_fd=folder)
        finally:
            os.close(folder)
        for depth in range(len(parents), 0, -1):
            emptied = "/".join(parents[:depth])
            if emptied in KEPT or not _rmdir(self._folder(name) / emptied):
                return

    def is_right(self, name: VmId, node: str, right: Right, access: HostNodes) -> bool:
        """Whether a node is there with this number and the access list that it should have.

        Raises:
            QvdUsbError, OSError: it cannot be seen.
        """
        *parents, last = parts_of(node)
        try:
            folder = self._open(name, parents)
        except FileNotFoundError:
            return False
        try:
            return self._is_right(last, folder, right, access)
        finally:
            os.close(folder)

    def held(self, name: VmId) -> dict[str, Right]:
        """The nodes of a container, by name."""
        return dict(self._below(self._folder(name), DEPTH))

    def known(self) -> frozenset[VmId]:
        """Every container with a folder."""
        return container_names(self.root)

    def _below(self, folder: Path, depth: int) -> Iterator[tuple[str, Right]]:
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name) if depth else []
        except FileNotFoundError:
            return
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from self._below(folder / entry.name, depth - 1)
                continue
            right = self.identify(entry.stat(follow_symlinks=False))
            if right is not None and not entry.name.startswith(UNFINISHED):
                yield (folder / entry.name).relative_to(self.root).as_posix().partition("/")[2], right

    def _is_right(self, last: str, folder: int, right: Right, access: HostNodes) -> bool:
        if self._number(last, folder) != right:
            return False
        fd = os.open(last, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
        try:
            return os.getxattr(f"/proc/self/fd/{fd}", acl.ATTRIBUTE) == acl.encode(access)
        except OSError as error:
            if error.errno != errno.ENODATA:
                raise
            return False
        finally:
            os.close(fd)

    def _number(self, last: str, folder: int) -> Right | None:
        try:
            return self.identify(os.stat(last, dir_fd=folder, follow_symlinks=False))
        except FileNotFoundError:
            return None

    def _folder(self, name: VmId) -> Path:
        return self.root / str(name)

    def _open(self, name: VmId, parents: list[str], *, make: bool = False) -> int:
        here = os.open(self._folder(name), FOLDER)
        for parent in parents:
            try:
                if make:
                    _mkdir(parent, here)
                below = os.open(parent, FOLDER, dir_fd=here)
            finally:
                os.close(here)
            here = below
        return here


def parts_of(node: str) -> list[str]:
    """A node's folders and its own name.

    Raises:
        QvdUsbError: node-refused for anything the kernel would not name a node.
    """
    parts = node.split("/")
    if len(parts) > DEPTH or not all(part and set(part) <= PLAIN and part[0] != UNFINISHED for part in parts):
        raise QvdUsbError(NODE_REFUSED, node=node, reason="no kernel names a node so")
    return parts


def _give(name: str, folder: int, access: HostNodes) -> None:
    """Set the access list. Source: fsetxattr(2) refuses an O_PATH descriptor, /proc/self/fd does not."""
    fd = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    try:
        os.setxattr(f"/proc/self/fd/{fd}", acl.ATTRIBUTE, acl.encode(access))
        if os.fstat(fd).st_mode & 0o7777 != acl.MODE:
            raise OSError(errno.EOPNOTSUPP, "the file system did not keep the access list")
    finally:
        os.close(fd)


def _unlink(name: str, folder: int) -> None:
    try:
        os.unlink(name, dir_fd=folder)
    except FileNotFoundError:
        return


def _mkdir(name: str, folder: int) -> None:
    try:
        os.mkdir(name, 0o755, dir_fd=folder)
    except FileExistsError:
        return


def _rmdir(folder: Path) -> bool:
    try:
        folder.rmdir()
    except OSError as error:
        if error.errno not in {errno.ENOTEMPTY, errno.ENOENT, errno.EBUSY}:
            raise
        return False
    return True
