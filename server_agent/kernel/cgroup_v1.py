"""EFFECT: device rights by the files of cgroup v1: devices.allow, devices.deny, devices.list.

The container's host folder gets the base list before the container exists: a child never has more than its parent, so
the list there decides whatever the container's own configuration says. An allow is not inherited by children that are
there already: it is written from the top down. A deny at the top reaches all of them, which is read back.
"""

import errno
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from qvd_usbip.errors import BACKEND_UNAVAILABLE, LXC_CONFIG_MISSING, RIGHTS_FAILED, QvdUsbError
from qvd_usbip.ids import VmId
from server_agent import device_list
from server_agent.backend import Backend
from server_agent.device_list import Row
from server_agent.kernel.cgroup_tree import (
    GONE,
    TooManyError,
    cgroup_names,
    folders,
    payloads,
    remove_cgroups,
    walk,
)
from server_agent.state import Right

LIST, ALLOW, DENY = "devices.list", "devices.allow", "devices.deny"
LIST_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceFiles:
    """The lists of all containers.

    Args:
        hierarchies: the folder that holds one hierarchy per controller, "/sys/fs/cgroup".
        parent: the cgroup in each of them that holds one cgroup per container.
    """

    hierarchies: Path
    parent: str

    def create(self, name: VmId) -> None:
        """Make the container's host folder with the base list; an older one of a container that is gone is replaced.

        Raises:
            QvdUsbError: no devices hierarchy is mounted, or the container runs with everything open.
            OSError: the list is not in force.
        """
        if not (self._devices / LIST).exists():
            reason = f"no devices hierarchy of cgroup v1 at {self._devices}"
            raise QvdUsbError(BACKEND_UNAVAILABLE, backend=Backend.V1, reason=reason)
        if self.has_processes(name):
            self._clear(name)
            return
        remove_cgroups(self._folder(name))
        make_cgroup(self._folder(name))
        write_line(self._folder(name) / DENY, "a")
        for row in device_list.BASE:
            write_line(self._folder(name) / ALLOW, str(row))
        if self.held(name) is None:
            raise OSError(errno.EIO, "the base list is not in force", str(self._folder(name)))

    def remove(self, name: VmId) -> None:
        """Take every right away, then the container's cgroups of every controller.

        Raises:
            QvdUsbError: a right is still there.
            OSError: EBUSY while a process is left; its rights are gone even then.
        """
        self._clear(name)
        remove_cgroups(*(hierarchy / self.parent / str(name) for hierarchy in folders(self.hierarchies)))

    def allow(self, name: VmId, right: Right) -> None:
        """Allow reading and writing one number in every cgroup of the container, and read each back.

        Raises:
            QvdUsbError: the list keeps nothing apart, or does not show the right afterwards.
            OSError: the kernel would not.
        """
        if self.held(name) is None:
            raise QvdUsbError(LXC_CONFIG_MISSING, container=name, reason="its device list is open")
        row = str(device_list.row_of(right))
        for cgroup in walk(self._folder(name)):
            write_line(_file(cgroup, ALLOW), row)
        if not all(device_list.allows(rows, right) for rows in self._lists(name)):
            raise QvdUsbError(RIGHTS_FAILED, device=right, container=name, reason="a cgroup of it does not show it")

    def deny(self, name: VmId, right: Right) -> None:
        """Take one number away at the top, and verify that no cgroup of the container has it.

        Raises:
            QvdUsbError: one still has it.
            OSError: the kernel would not.
        """
        if not self._folder(name).exists():
            return
        write_line(self._folder(name) / DENY, str(device_list.row_of(right)))
        try:
            left = any(device_list.opens(rows, right) for rows in self._lists(name))
        except TooManyError:
            # The container's own doing, and no reason to keep the number from others: the kernel gives no cgroup more
            # than its parent has, so the host's folder speaks for all below it.
            left = device_list.opens(self._rows(name), right)
        if left:
            raise QvdUsbError(RIGHTS_FAILED, device=right, container=name, reason="a cgroup of it still has it")

    def held(self, name: VmId) -> frozenset[Right] | None:
        """The numbers beyond the base list; None when there is no list, or one that keeps nothing apart.

        Raises:
            OSError: the kernel does not say.
        """
        try:
            rows = self._rows(name)
        except FileNotFoundError:
            return None
        return None if device_list.too_wide(rows) else device_list.rights_of(rows)

    def has_processes(self, name: VmId) -> bool:
        """Whether this container has processes of its own; one with more cgroups than anybody needs has."""
        try:
            return any(_processes(cgroup) for payload in payloads(self._folder(name)) for cgroup in walk(payload))
        except TooManyError:
            return True

    def knows(self, name: VmId) -> bool:
        """Whether the container has a host folder in the devices hierarchy."""
        return self._folder(name).is_dir()

    def known(self) -> frozenset[VmId]:
        """Every container with a host folder in the devices hierarchy."""
        return cgroup_names(self._devices / self.parent)

    @property
    def _devices(self) -> Path:
        return self.hierarchies / "devices"

    def _folder(self, name: VmId) -> Path:
        return self._devices / self.parent / str(name)

    def _clear(self, name: VmId) -> None:
        if not self.knows(name):
            return
        held = self.held(name)
        if held is None:
            raise QvdUsbError(LXC_CONFIG_MISSING, container=name, reason="it runs with an open device list")
        for right in held:
            self.deny(name, right)

    def _rows(self, name: VmId) -> tuple[Row, ...]:
        return _parsed((self._folder(name) / LIST).read_text(encoding="ascii"))

    def _lists(self, name: VmId) -> Iterator[tuple[Row, ...]]:
        for cgroup in walk(self._folder(name)):
            try:
                with _file(cgroup, LIST).open(encoding="ascii") as file:
                    yield _parsed(file.read(LIST_BYTES))
            except OSError as error:
                if error.errno not in GONE:
                    raise


def make_cgroup(path: Path) -> None:
    """Make a cgroup, and those above it; it has what its parent has."""
    path.mkdir(mode=0o755, parents=True)


def write_line(path: Path, line: str) -> None:
    """Write one line into a cgroup's file; a cgroup that is gone needs it no more.

    Raises:
        OSError: the kernel would not.
    """
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        os.write(fd, line.encode("ascii"))
    except OSError as error:
        if error.errno not in GONE:
            raise
    finally:
        os.close(fd)


def _file(cgroup: int, name: str) -> Path:
    return Path(f"/proc/self/fd/{cgroup}/{name}")


def _parsed(text: str) -> tuple[Row, ...]:
    try:
        return device_list.parse(text)
    except ValueError as error:
        raise OSError(errno.EIO, str(error)) from error


def _processes(cgroup: int) -> bool:
    try:
        with _file(cgroup, "cgroup.procs").open("rb") as file:
            return bool(file.read(1))
    except OSError as error:
        if error.errno in GONE:
            return False
        raise
