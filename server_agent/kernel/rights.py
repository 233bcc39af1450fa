"""EFFECT: the rights of a container to device numbers: what each back end does, and which one a container has."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from qvd_usbip.ids import VmId
from server_agent.backend import Backend
from server_agent.state import Right

CGROUPS = Path("/sys/fs/cgroup")


class Rights(Protocol):
    """One way to say which device numbers a container may open; all ways keep the same promises."""

    def create(self, name: VmId) -> None:
        """Put the base list in force, as far as that can be before the container exists; no right is left.

        Raises:
            QvdUsbError: this host cannot do it, or the container runs with a list that keeps nothing apart.
            OSError: it is not in force.
        """

    def remove(self, name: VmId) -> None:
        """Take every right and all that `create` made away; what is not there is fine.

        Raises:
            OSError: EBUSY while a process is left; its rights are gone even then.
            QvdUsbError: a right may still be there.
        """

    def allow(self, name: VmId, right: Right) -> None:
        """Allow reading and writing one number, and read it back.

        Raises:
            QvdUsbError: it is not in force.
            OSError: the kernel would not.
        """

    def deny(self, name: VmId, right: Right) -> None:
        """Take one number away and verify that it is gone everywhere; a container that is gone has no rights.

        Raises:
            QvdUsbError: it may still be there.
            OSError: the kernel would not.
        """

    def held(self, name: VmId) -> frozenset[Right] | None:
        """The numbers beyond the base list; None when no list that keeps containers apart is in force.

        Raises:
            OSError: the kernel does not say.
        """

    def has_processes(self, name: VmId) -> bool:
        """Whether the container has processes of its own; LXC's monitor beside them does not count."""

    def knows(self, name: VmId) -> bool:
        """Whether the kernel has this back end's own mark of the container."""

    def known(self) -> frozenset[VmId]:
        """Every container of which something of this back end may be in the kernel."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ByContainer:
    """The rights of all containers. The kernel itself shows which back end each has, so no record of it can be wrong.

    Args:
        backends: each back end; the last one is the one of a container without any mark.
    """

    backends: Mapping[Backend, Rights]

    def backend(self, name: VmId) -> Backend:
        """The back end whose mark this container has."""
        return next((kind for kind, rights in self.backends.items() if rights.knows(name)), tuple(self.backends)[-1])

    def create(self, name: VmId, backend: Backend) -> None:
        """Put this back end in force for a container, and remove what another one has of it.

        Raises:
            OSError, QvdUsbError: it is not in force.
        """
        for kind, rights in self.backends.items():
            if kind != backend and rights.knows(name):
                rights.remove(name)
        self.backends[backend].create(name)

    def remove(self, name: VmId) -> None:
        """Take every right away, and all that was made for it.

        Raises:
            OSError, QvdUsbError: as `Rights.remove`.
        """
        self._of(name).remove(name)

    def allow(self, name: VmId, right: Right) -> None:
        """Allow one number, and read it back.

        Raises:
            OSError, QvdUsbError: it is not in force.
        """
        self._of(name).allow(name, right)

    def deny(self, name: VmId, right: Right) -> None:
        """Take one number away, and verify.

        Raises:
            OSError, QvdUsbError: it may still be there.
        """
        self._of(name).deny(name, right)

    def held(self, name: VmId) -> frozenset[Right] | None:
        """The numbers beyond the base list; None when nothing keeps this container apart.

        Raises:
            OSError: the kernel does not say.
        """
        return self._of(name).held(name)

    def has_processes(self, name: VmId) -> bool:
        """Whether the container has processes of its own."""
        return self._of(name).has_processes(name)

    def known(self) -> frozenset[VmId]:
        """Every container that any back end knows."""
        return frozenset().union(*(rights.known() for rights in self.backends.values()))

    def running(self) -> frozenset[VmId]:
        """The containers that have processes of their own."""
        return frozenset(name for name in self.known() if self.has_processes(name))

    def _of(self, name: VmId) -> Rights:
        return self.backends[self.backend(name)]


def default_backend(cgroups: Path = CGROUPS) -> Backend:
    """What this host has: a device program of our own wherever cgroup v2 is the one in force."""
    if not (cgroups / "cgroup.controllers").exists() and (cgroups / "devices/devices.list").exists():
        return Backend.V1
    return Backend.MAP
