"""EFFECT: device rights through LXC: its own device program, changed by its own program lxc-cgroup.

The program asks the container's monitor over LXC's command socket, and may hang with it: it gets a deadline. What came
of it is read from the kernel, out of the device program that is in force; LXC's own word is not taken for it. What was
asked of a monitor that did not answer in time it may still carry out: that stands in the kernel too, as an empty cgroup
beside the container's, so that an agent that is started anew knows it.
"""

import errno
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from qvd_usbip.errors import BACKEND_UNAVAILABLE, LXC_CONFIG_MISSING, RIGHTS_FAILED, QvdUsbError
from qvd_usbip.ids import DevNum, VmId
from server_agent import device_list
from server_agent.backend import Backend
from server_agent.device_list import Row
from server_agent.kernel import bpf
from server_agent.kernel.cgroup_tree import cgroup_names, folders, populated_payload, remove_cgroups
from server_agent.kernel.lxc_program import rows_of
from server_agent.state import Right

PROGRAM = Path("/usr/bin/lxc-cgroup")
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}
DEADLINE = 5.0  # seconds; under emulation on a busy machine it needs half of one
TRIES = 3
WORDS = 300  # of what it complains
MARK = "rights-by-lxc"  # an empty cgroup beside the container's: nothing else shows whose device list counts
ASKED = "asked-"  # begins the name of an empty cgroup for a number whose monitor was asked and did not answer
PAYLOAD = "payload"


@dataclass(frozen=True, slots=True, kw_only=True)
class LxcLists:
    """The lists of all containers.

    Args:
        cgroups: the folder in the unified hierarchy that holds one parent cgroup per container.
        program: lxc-cgroup.
    """

    cgroups: Path
    program: Path = PROGRAM

    def create(self, name: VmId) -> None:
        """Make and mark the parent cgroup. LXC's list comes with the container: until it is in force nothing is given.

        Raises:
            QvdUsbError: LXC's program is missing, or the container runs with a list that keeps nothing apart.
            OSError: the cgroup could not be made.
        """
        if not self.program.exists():
            raise QvdUsbError(BACKEND_UNAVAILABLE, backend=Backend.LXC, reason=f"{self.program} is not installed")
        if self.has_processes(name):
            self._required(name)
        else:
            remove_cgroups(self._folder(name))
        (self._folder(name) / MARK).mkdir(mode=0o755, parents=True, exist_ok=True)

    def remove(self, name: VmId) -> None:
        """Take the rights of a container that still runs, or its cgroups; the mark stays while a list of LXC counts.

        Raises:
            QvdUsbError: a right may still be there.
            OSError: EBUSY while a process is left.
        """
        if self.has_processes(name):
            for right in sorted(device_list.rights_of(self._required(name)) | self._unsettled(name)):
                self.deny(name, right)
            raise OSError(errno.EBUSY, os.strerror(errno.EBUSY), str(self._folder(name)))
        remove_cgroups(self._folder(name))

    def allow(self, name: VmId, right: Right) -> None:
        """Let LXC allow reading and writing one number, and read the program that is in force then.

        Raises:
            QvdUsbError: LXC's list keeps nothing apart, or does not allow it afterwards.
            OSError: the kernel does not say.
        """
        self._required(name)
        said = self._ask(name, "devices.allow", right)
        if not device_list.allows(self._required(name), right):
            raise QvdUsbError(RIGHTS_FAILED, device=right, container=name, reason=said or "LXC's list does not have it")

    def deny(self, name: VmId, right: Right) -> None:
        """Let LXC take one number away, and verify by the program that is in force then.

        Raises:
            QvdUsbError: it may still be open.
            OSError: the kernel does not say.
        """
        if not self.has_processes(name):
            self._settle(name)
        if not self._unsettled(name) and not self._open_to(name, right):
            return
        said = self._ask(name, "devices.deny", right)
        if self._unsettled(name) or self._open_to(name, right):
            raise QvdUsbError(RIGHTS_FAILED, device=right, container=name, reason=said or "LXC's list still has it")

    def held(self, name: VmId) -> frozenset[Right] | None:
        """The numbers beyond the base list, and those that may still come; None when no list keeps it apart.

        Raises:
            OSError: the kernel does not say.
        """
        rows = self._rows(name)
        if rows is None:
            return None if self.has_processes(name) or not self.knows(name) else frozenset()
        return None if device_list.too_wide(rows) else device_list.rights_of(rows) | self._unsettled(name)

    def has_processes(self, name: VmId) -> bool:
        """Whether this container has processes of its own."""
        return populated_payload(self._folder(name))

    def knows(self, name: VmId) -> bool:
        """Whether the parent cgroup has the mark."""
        return (self._folder(name) / MARK).is_dir()

    def known(self) -> frozenset[VmId]:
        """Every container whose parent cgroup has the mark."""
        return frozenset(name for name in cgroup_names(self.cgroups) if self.knows(name))

    def _folder(self, name: VmId) -> Path:
        return self.cgroups / str(name)

    def _unsettled(self, name: VmId) -> frozenset[Right]:
        """What the monitor was asked about and may not have done yet."""
        return frozenset(map(_right_of, self._asked(name)))

    def _asked(self, name: VmId) -> list[Path]:
        return [folder for folder in folders(self._folder(name)) if folder.name.startswith(ASKED)]

    def _settle(self, name: VmId) -> None:
        """Nothing is on its way to the monitor any more."""
        for folder in self._asked(name):
            folder.rmdir()

    def _open_to(self, name: VmId, right: Right) -> bool:
        rows = self._rows(name)
        return self.has_processes(name) if rows is None else device_list.opens(rows, right)

    def _required(self, name: VmId) -> tuple[Row, ...]:
        """LXC's list, which must be one that keeps containers apart."""
        rows = self._rows(name)
        if rows is None:
            raise QvdUsbError(LXC_CONFIG_MISSING, container=name, reason="no device list of LXC is in force")
        wide = device_list.too_wide(rows)
        if wide:
            raise QvdUsbError(LXC_CONFIG_MISSING, container=name, reason=f"its device list has '{wide[0]}'")
        return rows

    def _rows(self, name: VmId) -> tuple[Row, ...] | None:
        """What the programs on the container's cgroup allow; None when there is none that can be read.

        The kernel asks all of them: one that could not be read takes nothing from what another one keeps closed.
        """
        for _ in range(TRIES):
            try:
                return min(self._lists(name), key=lambda rows: len(device_list.too_wide(rows)), default=None)
            except FileNotFoundError:  # LXC has put another program in its place at this moment
                continue
        return None

    def _lists(self, name: VmId) -> Iterator[tuple[Row, ...]]:
        try:
            cgroup = os.open(self._folder(name) / PAYLOAD, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            return
        try:
            for program_id in bpf.attached(cgroup):
                program = bpf.program_by_id(program_id)
                try:
                    yield rows_of(bpf.program_code(program))
                except ValueError:
                    continue
                finally:
                    os.close(program)
        finally:
            os.close(cgroup)

    def _ask(self, name: VmId, key: str, right: Right) -> str:
        """Run lxc-cgroup.

        Returns:
            What went wrong, in words; empty when it says that all went well.
        """
        command = (str(self.program), "-n", str(name), key, str(device_list.row_of(right)))
        try:
            done = subprocess.run(
                command, env=ENVIRONMENT, cwd="/", stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE, timeout=DEADLINE, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            (self._folder(name) / f"{ASKED}{right.kind}-{right.number}").mkdir(mode=0o755, exist_ok=True)
            return f"lxc-cgroup did not end within {DEADLINE:.0f} s"
        except OSError as error:
            return f"lxc-cgroup cannot be started: {os.strerror(error.errno or errno.EIO)}"
        if not done.returncode:  # the monitor answers in the order it was asked
            self._settle(name)
        words = done.stderr.decode(errors="replace").strip()[:WORDS]
        return f"lxc-cgroup: {words or f'status {done.returncode}'}" if done.returncode else ""


def _right_of(asked: Path) -> Right:
    kind, _, number = asked.name.removeprefix(ASKED).partition("-")
    return Right(kind="b" if kind == "b" else "c", number=DevNum.parse(number))
