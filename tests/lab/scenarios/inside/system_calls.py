"""EFFECT: system calls by their numbers, as a 64-bit program makes them, as a 32-bit one does, and by those of x32."""

import ctypes
import errno
import mmap
import os
import struct
from collections.abc import Callable

Words = int | bytes | None
LIBC = ctypes.CDLL(None, use_errno=True)
# f(registers): loads eax, ebx, ecx, edx, esi, edi and ebp from the list, and calls the kernel as a 32-bit program does.
INT80 = bytes.fromhex("5355 4989fa 418b02 418b5a04 418b4a08 418b520c 418b7210 418b7a14 418b6a18 cd80 5d5b c3")
X32 = 0x40000000
# Numbers of system calls: for 64-bit programs, for 32-bit ones. Source: arch/x86/entry/syscalls
NUMBERS = {
    "add_key": (248, 286), "bpf": (321, 357), "clone": (56, 120), "clone3": (435, 435), "delete_module": (176, 129),
    "fanotify_init": (300, 338), "finit_module": (313, 350), "fsconfig": (431, 431), "fsmount": (432, 432),
    "fsopen": (430, 430), "fspick": (433, 433), "getpid": (39, 20), "init_module": (175, 128), "ioctl": (16, 54),
    "io_uring_enter": (426, 426), "io_uring_setup": (425, 425), "ioperm": (173, 101), "iopl": (172, 110),
    "kexec_file_load": (320, None), "kexec_load": (246, 283), "keyctl": (250, 288), "mount": (165, 21),
    "mount_setattr": (442, 442), "move_mount": (429, 429), "open_by_handle_at": (304, 342), "open_tree": (428, 428),
    "open_tree_attr": (467, 467), "perf_event_open": (298, 336), "pidfd_getfd": (438, 438), "pidfd_open": (434, 434),
    "pivot_root": (155, 217), "ptrace": (101, 26), "quotactl": (179, 131), "quotactl_fd": (443, 443),
    "renameat2": (316, 353), "request_key": (249, 287), "setns": (308, 346), "settimeofday": (164, 79),
    "swapoff": (168, 115), "swapon": (167, 87), "syslog": (103, 103), "umount2": (166, 52), "unshare": (272, 310),
}  # fmt: skip


def checked(result: int) -> int:
    if result < 0:
        raise OSError(ctypes.get_errno(), "")
    return result


def call(name: str, *words: Words, more: int = 0) -> int:
    """A system call as a 64-bit program makes it; of clone the child ends at once. `more` is added to its number."""
    given = [ctypes.c_char_p(word) if isinstance(word, bytes) else ctypes.c_long(word or 0) for word in words]
    result = int(LIBC.syscall(ctypes.c_long(NUMBERS[name][0] | more), *given))
    if name == "clone" and result == 0:
        os._exit(0)
    return checked(result)


def x32(name: str, *words: Words) -> int:
    """The same by the number that x32 programs have for it."""
    return call(name, *words, more=X32)


class Low:
    """Calls as a 32-bit program makes them, with what they point at in the memory that such a program has."""

    MAP_32BIT = 0x40

    def __init__(self) -> None:
        flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | self.MAP_32BIT
        self.page = mmap.mmap(-1, 8192, flags, mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
        self.base = ctypes.addressof(ctypes.c_char.from_buffer(self.page))
        self.page[: len(INT80)] = INT80
        self.used = 1024
        self.enter = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)(self.base)

    def text(self, word: bytes) -> int:
        place, self.used = self.used, self.used + len(word) + 1
        self.page[place : self.used] = word + b"\0"
        return self.base + place

    def number(self, number: int, *words: Words) -> int:
        given = [self.text(word) if isinstance(word, bytes) else word or 0 for word in words]
        registers = (ctypes.c_uint32 * 7)(number, *(word & 0xFFFFFFFF for word in given))
        result = int(self.enter(ctypes.addressof(registers)))
        if number == NUMBERS["clone"][1] and result == 0:
            os._exit(0)
        if result < 0:
            raise OSError(-result, "")
        return result


def low(name: str, *words: Words) -> int:
    """A system call as a 32-bit program makes it."""
    number = NUMBERS[name][1]
    if number is None:
        raise OSError(errno.ENOSYS, "")
    return Low().number(number, *words)


#: The ways of calling, by what is added to a label.
ENTRIES: dict[str, Callable[..., int]] = {"": call, ", 32 bits": low, ", x32": x32}


class Ring:
    """One io_uring of four entries. Source: include/uapi/linux/io_uring.h"""

    OPENAT, SQES, GETEVENTS = 18, 0x10000000, 1

    def __init__(self) -> None:
        wanted = ctypes.create_string_buffer(120)
        self.descriptor = call("io_uring_setup", 4, ctypes.addressof(wanted))
        entries, completions = struct.unpack_from("II", wanted)
        self.tail, self.array = struct.unpack_from("4xI16xI", wanted, 40)
        (self.done,) = struct.unpack_from("20xI", wanted, 80)
        size = max(self.array + entries * 4, self.done + completions * 16)
        self.queues = mmap.mmap(self.descriptor, size)
        self.wishes = mmap.mmap(self.descriptor, entries * 64, offset=self.SQES)

    def opens(self, path: str, flags: int) -> int:
        """openat, done by the kernel's own hand; seccomp is not asked."""
        text = ctypes.create_string_buffer(os.fsencode(path))
        self.wishes[:32] = struct.pack("BBHiQQII", self.OPENAT, 0, 0, -100, 0, ctypes.addressof(text), 0, flags)
        struct.pack_into("I", self.queues, self.array, 0)
        struct.pack_into("I", self.queues, self.tail, 1)
        call("io_uring_enter", self.descriptor, 1, 1, self.GETEVENTS, 0, 0)
        (result,) = struct.unpack_from("8xi", self.queues, self.done)
        if result < 0:
            raise OSError(-result, "")
        return int(result)
