"""EFFECT: device rights by a program of our own on the container's parent cgroup: a hash map says what may be opened.

The program is in force before the container exists; programs on a path are ANDed, so nothing inside can widen it. The
map is pinned, so that rights are exact, can be listed, read back and outlive the agent.
"""

import os
import struct
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from qvd_usbip.errors import RIGHTS_FAILED, QvdUsbError
from qvd_usbip.ids import DevNum, VmId
from server_agent import device_list
from server_agent.kernel import bpf
from server_agent.kernel.bpf import Instruction
from server_agent.kernel.cgroup_tree import cgroup_names, populated_payload, remove_cgroups
from server_agent.kernel.container_names import container_names
from server_agent.state import Right

NAME = b"qvd_devices"
KEY, VALUE = struct.Struct("=III"), struct.Struct("=I")
ENTRIES = 4096
ANY = 0xFFFFFFFF
# Source: include/uapi/linux/bpf.h, BPF_DEVCG_*
KINDS = {"b": 1, "c": 2}
MKNOD, READ, WRITE = 1, 2, 4
BITS = {"m": MKNOD, "r": READ, "w": WRITE}

# The base list as the map has it.
BASE = {
    (KINDS[row.kind], ANY if row.major is None else row.major, ANY if row.minor is None else row.minor): sum(
        BITS[letter] for letter in row.access
    )
    for row in device_list.BASE
}


def lookup(map_fd: int) -> list[Instruction]:
    """Look the key on the stack up; if the entry has every bit that is asked for (R8), return 1."""
    return [
        *bpf.load_map(bpf.R1, map_fd),
        Instruction(bpf.MOVE, bpf.R2, bpf.R10),
        Instruction(bpf.ADD, bpf.R2, imm=-16),
        Instruction(bpf.CALL, imm=bpf.MAP_LOOKUP_ELEM),
        Instruction(bpf.JUMP_EQUAL, bpf.R0, off=5),
        Instruction(bpf.LOAD_WORD, bpf.R1, bpf.R0),
        Instruction(bpf.AND, bpf.R1, bpf.R8),
        Instruction(bpf.JUMP_NOT_EQUAL_REGISTER, bpf.R1, bpf.R8, 2),
        Instruction(bpf.MOVE_IMMEDIATE, bpf.R0, imm=1),
        Instruction(bpf.EXIT),
    ]


def program(map_fd: int) -> list[Instruction]:
    """Allow when the exact number, or its major with any minor, or its kind with any number, has every asked bit.

    Source: include/uapi/linux/bpf.h, struct bpf_cgroup_dev_ctx: access << 16 | type, major, minor.
    """
    return [
        Instruction(bpf.MOVE, bpf.R6, bpf.R1),
        Instruction(bpf.LOAD_WORD, bpf.R7, bpf.R6),
        Instruction(bpf.MOVE_WORD, bpf.R8, bpf.R7),
        Instruction(bpf.SHIFT_RIGHT_WORD, bpf.R8, imm=16),
        Instruction(bpf.AND_WORD, bpf.R7, imm=0xFFFF),
        Instruction(bpf.STORE_WORD, bpf.R10, bpf.R7, -16),
        Instruction(bpf.LOAD_WORD, bpf.R1, bpf.R6, 4),
        Instruction(bpf.STORE_WORD, bpf.R10, bpf.R1, -12),
        Instruction(bpf.LOAD_WORD, bpf.R1, bpf.R6, 8),
        Instruction(bpf.STORE_WORD, bpf.R10, bpf.R1, -8),
        *lookup(map_fd),
        Instruction(bpf.STORE_IMMEDIATE, bpf.R10, off=-8, imm=-1),
        *lookup(map_fd),
        Instruction(bpf.STORE_IMMEDIATE, bpf.R10, off=-12, imm=-1),
        *lookup(map_fd),
        Instruction(bpf.MOVE_IMMEDIATE, bpf.R0),
        Instruction(bpf.EXIT),
    ]


def key_of(right: Right) -> bytes:
    """The map's key for one number."""
    return KEY.pack(KINDS[right.kind], right.number.major, right.number.minor)


def right_of(key: bytes) -> Right | None:
    """The number a key of the map stands for; None for the base list's."""
    kind, major, minor = KEY.unpack(key)
    if (kind, major, minor) in BASE or kind not in KINDS.values():
        return None
    return Right(kind="b" if kind == KINDS["b"] else "c", number=DevNum(major, minor))


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceMaps:
    """The maps of all containers, by name.

    Args:
        cgroups: the folder in the unified hierarchy that holds one parent cgroup per container.
        pins: the folder in the bpf file system.
    """

    cgroups: Path
    pins: Path

    def create(self, name: VmId) -> None:
        """Make the parent cgroup with an empty map beyond the base list, in force at once; replaces an older one.

        Raises:
            OSError: it is not in force.
        """
        cgroup = self.cgroups / str(name)
        cgroup.mkdir(mode=0o755, parents=True, exist_ok=True)
        self.pins.mkdir(mode=0o700, parents=True, exist_ok=True)
        with bpf.HashMap.create(name=NAME, key_size=KEY.size, value_size=VALUE.size, entries=ENTRIES) as rights:
            for numbers, access in BASE.items():
                rights.update(KEY.pack(*numbers), VALUE.pack(access))
            with (
                _closed_after(bpf.load_program(NAME, bpf.assemble(program(rights.fd)))) as program_fd,
                _closed_after(os.open(cgroup, os.O_RDONLY | os.O_DIRECTORY)) as cgroup_fd,
                _ours(cgroup_fd) as older,
            ):
                bpf.attach(cgroup_fd, program_fd)
                self._pin(name).unlink(missing_ok=True)
                rights.pin(self._pin(name))
                for old_fd, _ in older:
                    bpf.detach(cgroup_fd, old_fd)

    def allow(self, name: VmId, right: Right) -> None:
        """Allow reading and writing one number, and read it back.

        Raises:
            QvdUsbError: rights-failed when it is not there afterwards.
            OSError: the map cannot be reached.
        """
        with self._open(name) as rights:
            rights.update(key_of(right), VALUE.pack(READ | WRITE))
            if rights.get(key_of(right)) != VALUE.pack(READ | WRITE):
                raise QvdUsbError(RIGHTS_FAILED, device=right, container=name, reason="the map does not show it")

    def deny(self, name: VmId, right: Right) -> None:
        """Take one number out, and verify that it is gone; a map that is gone allows nothing.

        Raises:
            QvdUsbError: rights-failed when it is still there.
            OSError: the map cannot be reached.
        """
        try:
            rights = self._open(name)
        except FileNotFoundError:
            if self.program_attached(name):
                raise
            return
        with rights:
            rights.delete(key_of(right))
            if rights.get(key_of(right)) is not None:
                raise QvdUsbError(RIGHTS_FAILED, device=right, container=name, reason="it is still in the map")

    def held(self, name: VmId) -> frozenset[Right] | None:
        """The numbers a container may open beyond the base list; None when no program with this map is in force.

        Raises:
            OSError: the kernel does not say.
        """
        try:
            rights = self._open(name)
        except FileNotFoundError:
            return None
        with rights:
            if not self._uses(name, bpf.map_id(rights.fd)):
                return None
            return frozenset(right for key in rights.keys() if (right := right_of(key)) is not None)  # noqa: SIM118

    def program_attached(self, name: VmId) -> bool:
        """Whether a program of ours is in force for the container."""
        return self._uses(name, None)

    def remove(self, name: VmId) -> None:
        """Take every right, then map, program and cgroup away.

        Raises:
            OSError: EBUSY while a process is left in the cgroup; rights and pin are gone even then.
        """
        held = self.held(name) if self._pin(name).exists() else None
        for right in held or ():
            self.deny(name, right)
        self._pin(name).unlink(missing_ok=True)
        remove_cgroups(self.cgroups / str(name))

    def has_processes(self, name: VmId) -> bool:
        """Whether this container has processes of its own."""
        return populated_payload(self.cgroups / str(name))

    def knows(self, name: VmId) -> bool:
        """Whether a map is pinned for the container."""
        return self._pin(name).exists()

    def known(self) -> frozenset[VmId]:
        """Every name with a cgroup or a pinned map."""
        return cgroup_names(self.cgroups) | container_names(self.pins)

    def _pin(self, name: VmId) -> Path:
        return self.pins / str(name)

    def _open(self, name: VmId) -> bpf.HashMap:
        return bpf.HashMap.pinned(self._pin(name), key_size=KEY.size, value_size=VALUE.size)

    def _uses(self, name: VmId, map_id: int | None) -> bool:
        try:
            cgroup_fd = os.open(self.cgroups / str(name), os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:
            return False
        with _closed_after(cgroup_fd), _ours(cgroup_fd) as ours:
            return any(map_id is None or map_id in maps for _, maps in ours)


@contextmanager
def _closed_after(fd: int) -> Iterator[int]:
    try:
        yield fd
    finally:
        os.close(fd)


@contextmanager
def _ours(cgroup_fd: int) -> Iterator[list[tuple[int, list[int]]]]:
    """Descriptor, valid in here, and map ids of each program of ours on a cgroup; one that goes meanwhile is none."""
    ours = []
    with ExitStack() as open_programs:
        for program_id in bpf.attached(cgroup_fd):
            try:
                program_fd = bpf.program_by_id(program_id)
            except FileNotFoundError:
                continue
            open_programs.callback(os.close, program_fd)
            name, maps = bpf.program_maps(program_fd)
            if name == NAME:
                ours.append((program_fd, maps))
        yield ours
