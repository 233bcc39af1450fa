"""EFFECT: the few bpf(2) commands a device program needs, and a small builder for its instructions.

By ctypes, because no packaged library for it is there on every supported Debian, and a compiler on each host would be
worse than two dozen instructions.
"""

import ctypes
import errno
import os
import platform
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

# Source: arch/*/include/uapi/asm/unistd*.h
SYSCALLS = {"x86_64": 321, "aarch64": 280, "riscv64": 280, "ppc64le": 361, "s390x": 351}
# The numbers of commands and types. Source: include/uapi/linux/bpf.h, enum bpf_cmd and those after it
MAP_CREATE, MAP_LOOKUP, MAP_UPDATE, MAP_DELETE, MAP_NEXT_KEY, PROG_LOAD, OBJ_PIN, OBJ_GET = range(8)
PROG_ATTACH, PROG_DETACH = 8, 9
PROG_GET_FD_BY_ID, OBJ_GET_INFO, PROG_QUERY = 13, 15, 16
HASH_MAP, CGROUP_DEVICE_PROGRAM, CGROUP_DEVICE, ALLOW_MULTI = 1, 15, 6, 2
ATTRIBUTES = 128  # the kernel accepts a longer union as long as the rest is zero
LOG_BYTES = 65536
CODE_BYTES = 1 << 18
PROGRAMS = 64  # attached to one cgroup: the kernel's own limit

# registers, and where the program keeps its key
R0, R1, R2, R6, R7, R8, R10 = 0, 1, 2, 6, 7, 8, 10
# Operations of the instruction set, as linux/bpf_common.h and linux/bpf.h make them up
LOAD_WORD, STORE_WORD, STORE_IMMEDIATE, LOAD_MAP = 0x61, 0x63, 0x62, 0x18
MOVE, MOVE_IMMEDIATE, MOVE_WORD, ADD, AND, AND_WORD, SHIFT_RIGHT_WORD = 0xBF, 0xB7, 0xBC, 0x07, 0x5F, 0x54, 0x74
JUMP_EQUAL, JUMP_NOT_EQUAL, JUMP_NOT_EQUAL_REGISTER, CALL, EXIT = 0x15, 0x55, 0x5D, 0x85, 0x95
PSEUDO_MAP_FD, MAP_LOOKUP_ELEM = 1, 1


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction: operation, destination, source register, offset, immediate."""

    code: int
    dst: int = 0
    src: int = 0
    off: int = 0
    imm: int = 0

    def encode(self) -> bytes:
        """Its eight bytes."""
        return struct.pack("=BBhi", self.code, self.src << 4 | self.dst, self.off, self.imm)


def load_map(register: int, fd: int) -> list[Instruction]:
    """Register = the map with this descriptor; takes two places."""
    return [Instruction(LOAD_MAP, register, PSEUDO_MAP_FD, 0, fd), Instruction(0)]


def assemble(instructions: list[Instruction]) -> bytes:
    """The program's bytes."""
    return b"".join(instruction.encode() for instruction in instructions)


class _Kernel:
    """The system call, looked up once."""

    def __init__(self) -> None:
        self._call = ctypes.CDLL(None, use_errno=True).syscall

    def __call__(self, command: int, attributes: ctypes.Array[ctypes.c_char], what: str) -> int:
        number = SYSCALLS.get(platform.machine())
        if number is None:
            raise OSError(errno.ENOSYS, f"bpf: no system call number known for {platform.machine()}")
        result = int(self._call(number, command, attributes, ATTRIBUTES))
        if result < 0:
            code = ctypes.get_errno()
            raise OSError(code, f"bpf {what}: {os.strerror(code)}")
        return result


_kernel = _Kernel()


def _attributes(layout: str, *values: int | bytes) -> ctypes.Array[ctypes.c_char]:
    return ctypes.create_string_buffer(struct.pack("=" + layout, *values), ATTRIBUTES)


def _address(buffer: ctypes.Array[ctypes.c_char]) -> int:
    return ctypes.addressof(buffer)


def _bytes(data: bytes) -> ctypes.Array[ctypes.c_char]:
    return ctypes.create_string_buffer(data, len(data))


def _path(path: Path) -> ctypes.Array[ctypes.c_char]:
    return ctypes.create_string_buffer(os.fsencode(path))


class HashMap:
    """A hash map in the kernel, by descriptor; close it, or use it with `with`."""

    def __init__(self, fd: int, key_size: int, value_size: int) -> None:
        self.fd = fd
        self._key_size = key_size
        self._value_size = value_size

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the descriptor; a pinned map lives on."""
        os.close(self.fd)

    @classmethod
    def create(cls, *, name: bytes, key_size: int, value_size: int, entries: int) -> "HashMap":
        """A new, empty map."""
        attributes = _attributes("IIIIIII16s", HASH_MAP, key_size, value_size, entries, 0, 0, 0, name)
        return cls(_kernel(MAP_CREATE, attributes, "map create"), key_size, value_size)

    @classmethod
    def pinned(cls, path: Path, *, key_size: int, value_size: int) -> "HashMap":
        """The map pinned at a path of a bpf file system.

        Raises:
            FileNotFoundError: when nothing is pinned there.
        """
        name = _path(path)
        return cls(_kernel(OBJ_GET, _attributes("QII", _address(name), 0, 0), f"get {path}"), key_size, value_size)

    def pin(self, path: Path) -> None:
        """Give the map a name in a bpf file system."""
        name = _path(path)
        _kernel(OBJ_PIN, _attributes("QII", _address(name), self.fd, 0), f"pin {path}")

    def update(self, key: bytes, value: bytes) -> None:
        """Set one entry."""
        key_buffer, value_buffer = _bytes(key), _bytes(value)
        attributes = _attributes("IIQQQ", self.fd, 0, _address(key_buffer), _address(value_buffer), 0)
        _kernel(MAP_UPDATE, attributes, "map update")

    def get(self, key: bytes) -> bytes | None:
        """One entry's value; None when it is not there."""
        key_buffer, value_buffer = _bytes(key), ctypes.create_string_buffer(self._value_size)
        attributes = _attributes("IIQQQ", self.fd, 0, _address(key_buffer), _address(value_buffer), 0)
        try:
            _kernel(MAP_LOOKUP, attributes, "map lookup")
        except OSError as error:
            if error.errno == errno.ENOENT:
                return None
            raise
        return value_buffer.raw

    def delete(self, key: bytes) -> None:
        """Remove one entry; one that is not there is fine."""
        key_buffer = _bytes(key)
        try:
            _kernel(MAP_DELETE, _attributes("IIQ", self.fd, 0, _address(key_buffer)), "map delete")
        except OSError as error:
            if error.errno != errno.ENOENT:
                raise

    def keys(self) -> Iterator[bytes]:
        """Every key, in the kernel's order."""
        last: ctypes.Array[ctypes.c_char] | None = None
        while True:
            following = ctypes.create_string_buffer(self._key_size)
            address = 0 if last is None else _address(last)
            try:
                _kernel(MAP_NEXT_KEY, _attributes("IIQQ", self.fd, 0, address, _address(following)), "map next")
            except OSError as error:
                if error.errno == errno.ENOENT:
                    return
                raise
            yield following.raw
            last = following


def load_program(name: bytes, code: bytes) -> int:
    """Load a cgroup device program.

    Returns:
        Its descriptor.

    Raises:
        OSError: refused; the message ends with the verifier's log.
    """
    code_buffer, licence = _bytes(code), ctypes.create_string_buffer(b"MIT")
    log = ctypes.create_string_buffer(LOG_BYTES)
    layout = "IIQQIIQII16s"
    instructions = len(code) // 8
    head = (CGROUP_DEVICE_PROGRAM, instructions, _address(code_buffer), _address(licence))
    try:
        return _kernel(PROG_LOAD, _attributes(layout, *head, 0, 0, 0, 0, 0, name), "program load")
    except OSError:
        attributes = _attributes(layout, *head, 1, LOG_BYTES, _address(log), 0, 0, name)
        try:
            return _kernel(PROG_LOAD, attributes, "program load")
        except OSError as error:
            words = log.value.decode(errors="replace").strip()
            raise OSError(error.errno, f"{error.strerror}: {words}") from error


def attach(cgroup_fd: int, program_fd: int) -> None:
    """Put a program in force on a cgroup and all below it, together with whatever else is attached."""
    _kernel(PROG_ATTACH, _attributes("IIII", cgroup_fd, program_fd, CGROUP_DEVICE, ALLOW_MULTI), "program attach")


def detach(cgroup_fd: int, program_fd: int) -> None:
    """Take one program off a cgroup."""
    _kernel(PROG_DETACH, _attributes("IIII", cgroup_fd, program_fd, CGROUP_DEVICE, 0), "program detach")


def attached(cgroup_fd: int) -> list[int]:
    """The ids of the device programs attached to this very cgroup."""
    ids = (ctypes.c_uint32 * PROGRAMS)()
    attributes = _attributes("IIIIQI", cgroup_fd, CGROUP_DEVICE, 0, 0, ctypes.addressof(ids), PROGRAMS)
    _kernel(PROG_QUERY, attributes, "program query")
    (count,) = struct.unpack_from("=I", attributes.raw, 24)
    return list(ids[:count])


def program_by_id(program_id: int) -> int:
    """A descriptor for a loaded program."""
    return _kernel(PROG_GET_FD_BY_ID, _attributes("III", program_id, 0, 0), "program by id")


def program_maps(program_fd: int) -> tuple[bytes, list[int]]:
    """A program's name and the ids of the maps it uses.

    Source: include/uapi/linux/bpf.h, struct bpf_prog_info: nr_map_ids at 52, map_ids at 56, name at 64.
    """
    ids = (ctypes.c_uint32 * PROGRAMS)()
    info = ctypes.create_string_buffer(256)
    struct.pack_into("=IQ", info, 52, PROGRAMS, ctypes.addressof(ids))
    _kernel(OBJ_GET_INFO, _attributes("IIQ", program_fd, len(info), _address(info)), "program info")
    (count,) = struct.unpack_from("=I", info.raw, 52)
    return info.raw[64:80].rstrip(b"\0"), list(ids[: min(count, PROGRAMS)])


def program_code(program_fd: int) -> bytes:
    """A program's instructions after the verifier's changes.

    Source: include/uapi/linux/bpf.h, struct bpf_prog_info: xlated_prog_len at 20, xlated_prog_insns at 32.

    Raises:
        OSError: E2BIG when it is longer than any device list.
    """
    code = ctypes.create_string_buffer(CODE_BYTES)
    info = ctypes.create_string_buffer(256)
    struct.pack_into("=I", info, 20, CODE_BYTES)
    struct.pack_into("=Q", info, 32, _address(code))
    _kernel(OBJ_GET_INFO, _attributes("IIQ", program_fd, len(info), _address(info)), "program info")
    (length,) = struct.unpack_from("=I", info.raw, 20)
    if length > CODE_BYTES:
        raise OSError(errno.E2BIG, "bpf: a program too long for a device list")
    return code.raw[:length]


def map_id(map_fd: int) -> int:
    """The kernel's id of a map.

    Source: include/uapi/linux/bpf.h, struct bpf_map_info: type, id.
    """
    info = ctypes.create_string_buffer(256)
    _kernel(OBJ_GET_INFO, _attributes("IIQ", map_fd, len(info), _address(info)), "map info")
    (number,) = struct.unpack_from("=I", info.raw, 4)
    return int(number)
