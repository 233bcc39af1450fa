"""EFFECT: ways_out.py [GROUP …]: the ways by which a container's root gets round its confinement, each of them tried.

Prints a JSON object: group → what was tried → the errno's name that refused it, or "open". What a way opened is closed
again, but a container in which ways are open is not fit for use after it.
"""

import ctypes
import errno
import json
import mmap
import os
import signal
import struct
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

Way = Callable[[], object]
LIBC = ctypes.CDLL(None, use_errno=True)
SPOT = "/root/spot"
PLATFORM = "/sys/devices/platform"
MS_REMOUNT, MS_BIND, MS_MOVE, MS_REC, MNT_DETACH = 32, 4096, 8192, 16384, 2
CLONE_NEWNS, CLONE_NEWUSER, SIGCHLD, AT_FDCWD = 0x20000, 0x10000000, 17, -100
PTRACE_ATTACH = 16
SECONDS = 20
APART = ("clone", "unshare", "namespace", "pivot_root", "trace")
# f(registers): loads eax, ebx, ecx, edx, esi, edi and ebp from the list, and calls the kernel as a 32-bit program does.
INT80 = bytes.fromhex("5355 4989fa 418b02 418b5a04 418b4a08 418b520c 418b7210 418b7a14 418b6a18 cd80 5d5b c3")
X32 = 0x40000000
# Numbers of system calls: for 64-bit programs, for 32-bit ones. Source: arch/x86/entry/syscalls
NUMBERS = {
    "bpf": (321, 357), "clone": (56, 120), "clone3": (435, 435), "delete_module": (176, 129),
    "finit_module": (313, 350), "fsopen": (430, 430), "fspick": (433, 433), "init_module": (175, 128),
    "kexec_file_load": (320, None), "kexec_load": (246, 283), "mount": (165, 21), "mount_setattr": (442, 442),
    "move_mount": (429, 429), "open_by_handle_at": (304, 342), "open_tree": (428, 428),
    "perf_event_open": (298, 336), "pivot_root": (155, 217), "ptrace": (101, 26), "umount2": (166, 52),
    "unshare": (272, 310),
}  # fmt: skip

MOUNT, UMOUNT2, PIVOT_ROOT, UNSHARE, PTRACE, CLONE = (
    NUMBERS[name][0] for name in ("mount", "umount2", "pivot_root", "unshare", "ptrace", "clone")
)
CLONE_32 = NUMBERS["clone"][1]


def checked(result: int) -> int:
    if result < 0:
        raise OSError(ctypes.get_errno(), "")
    return result


def call(number: int, *words: int | bytes | None) -> int:
    """A system call as a 64-bit program makes it; of clone the child ends at once."""
    given = [ctypes.c_char_p(word) if isinstance(word, bytes) else ctypes.c_long(word or 0) for word in words]
    result = int(LIBC.syscall(ctypes.c_long(number), *given))
    if number & ~X32 == CLONE and result == 0:
        os._exit(0)
    return checked(result)


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

    def __call__(self, number: int, *words: int | bytes | None) -> int:
        given = [self.text(word) if isinstance(word, bytes) else word or 0 for word in words]
        registers = (ctypes.c_uint32 * 7)(number, *(word & 0xFFFFFFFF for word in given))
        result = int(self.enter(ctypes.addressof(registers)))
        if number == CLONE_32 and result == 0:
            os._exit(0)
        if result < 0:
            raise OSError(-result, "")
        return result


def writes(path: str) -> Way:
    """Opening a file for writing; nothing is written."""
    return lambda: os.close(os.open(path, os.O_WRONLY))


def reads(path: str) -> Way:
    def way() -> None:
        with Path(path).open("rb") as file:
            file.read(16)

    return way


def mounts(source: str, kind: str, flags: int = 0, point: str = SPOT, data: str = "") -> Way:
    def way() -> None:
        Path(SPOT).mkdir(exist_ok=True)
        words = (source.encode(), point.encode(), kind.encode() or None, flags, data.encode() or None)
        call(MOUNT, *words)
        if not flags & MS_REMOUNT:
            call(UMOUNT2, point.encode(), MNT_DETACH)

    return way


def opens_node(kind: int, major: int, minor: int) -> Way:
    """A node of its own making."""

    def way() -> None:
        node = Path(f"/root/node-{major}-{minor}")
        node.unlink(missing_ok=True)
        os.mknod(node, 0o600 | kind, os.makedev(major, minor))
        try:
            os.close(os.open(node, os.O_RDONLY | os.O_NONBLOCK))
        finally:
            node.unlink()

    return way


def makes_cgroup() -> None:
    own = Path("/sys/fs/cgroup/lab")
    own.mkdir()
    own.rmdir()


def matching(pattern: str) -> list[str]:
    return sorted(map(str, Path("/").glob(pattern.lstrip("/"))))


def first(pattern: str) -> str:
    """The first that matches, or the pattern itself: a path that is not there."""
    return (matching(pattern) or [pattern])[0]


def found(*patterns: str) -> Iterator[tuple[str, Way]]:
    """Each file that is there, opened for writing; a pattern of which there is none is a way that was not tried."""
    for pattern in patterns:
        for path in matching(pattern)[:3] or [pattern]:
            yield path, writes(path)


def files() -> dict[str, Way]:
    """Files of the host, of drivers and of hubs, at their own places."""
    hub = f"{PLATFORM}/vhci_hcd.*"
    return {
        **dict(found(
            f"{hub}/usb*/authorized", f"{hub}/usb*/authorized_default", f"{hub}/usb*/bConfigurationValue",
            f"{hub}/usb*/*/authorized", f"{hub}/uevent", f"{hub}/usb*/uevent",
            "/sys/bus/usb/drivers/usb/unbind", "/sys/bus/usb/drivers/usb/uevent", "/sys/bus/usb/drivers_probe",
            "/sys/bus/platform/drivers/vhci_hcd/unbind", "/sys/bus/platform/drivers_autoprobe", "/sys/bus/pci/rescan",
            "/sys/bus/usb/devices/*/authorized", "/sys/class/net/*/uevent", "/sys/block/*/uevent",
            "/sys/kernel/mm/ksm/run", "/sys/power/state", "/sys/module/usbcore/parameters/authorized_default",
            "/proc/sysrq-trigger", "/proc/sys/kernel/core_pattern", "/proc/sys/kernel/modprobe",
            "/proc/sys/kernel/sysrq", "/proc/sys/vm/panic_on_oom",
        )),
        "read /proc/kcore": reads("/proc/kcore"),
        "rename /sys": lambda: Path("/sys").rename("/sys2"),
        "rename /proc": lambda: Path("/proc").rename("/proc2"),
        "make a folder among the hubs": Path(f"{PLATFORM}/vhci_hcd.99").mkdir,
    }  # fmt: skip


def file_systems() -> dict[str, Way]:
    """File systems that speak for the kernel, and one of a kind that nobody has listed."""
    kinds = (
        "sysfs", "proc", "devtmpfs", "debugfs", "tracefs", "configfs", "securityfs", "bpf", "binfmt_misc", "pstore",
        "fusectl", "overlay", "autofs",
    )  # fmt: skip
    named = {f"mount {kind}": mounts(kind, kind) for kind in kinds}
    return {**named, "mount cgroup v1": mounts("none", "cgroup", data="none,name=lab")}


def places() -> dict[str, Way]:
    """sysfs and procfs brought to another place, or what covers them taken away."""
    hub = first(f"{PLATFORM}/vhci_hcd.*")
    here = (
        "/sys", "/sys/bus/usb", "/sys/bus/usb/drivers", "/sys/fs/cgroup", PLATFORM, hub, "/proc", "/proc/sys",
        "/proc/self/root/sys", "/proc/self/root/proc/sys/kernel",
    )  # fmt: skip
    return {
        **{f"bind {path}": mounts(path, "", MS_BIND) for path in here},
        "bind /": mounts("/", "", MS_BIND),
        "bind / and all below": mounts("/", "", MS_BIND | MS_REC),
        **{f"move {path}": mounts(path, "", MS_MOVE) for path in ("/proc/sys", hub, PLATFORM, "/proc", "/sys")},
        "make /proc/sys writable": mounts("none", "", MS_REMOUNT | MS_BIND, point="/proc/sys"),
        "make /proc/sys writable, as a whole": mounts("none", "", MS_REMOUNT, point="/proc/sys"),
        **{
            f"take {path} away": lambda path=path: call(UMOUNT2, path.encode(), MNT_DETACH)  # type: ignore[misc]
            for path in ("/proc/sys", hub, PLATFORM, "/proc", "/sys", "/")
        },
        "pivot_root onto the hub": lambda: call(PIVOT_ROOT, hub.encode(), first(f"{hub}/usb*").encode()),
        "pivot_root onto /sys": lambda: call(PIVOT_ROOT, b"/sys", b"/sys/kernel"),
    }


def calls() -> dict[str, Way]:
    """System calls, as 64-bit programs, as 32-bit ones, and by the numbers of x32, make them."""
    attributes = struct.pack("QQQQ", 0, 1, 0, 0)  # attr_clr = read-only
    arguments: dict[str, tuple[int | bytes | None, ...]] = {
        "bpf": (9, bytes(128), 128),  # BPF_PROG_DETACH
        "init_module": (b"x", 1, b""),
        "finit_module": (0, b"", 0),
        "delete_module": (b"lab_none", 0o4000),
        "kexec_load": (0, 0, 0, 0),
        "kexec_file_load": (-1, -1, 0, 0, 8),
        "open_tree": (AT_FDCWD, b"/sys", 1),
        "move_mount": (AT_FDCWD, b"/sys", AT_FDCWD, SPOT.encode(), 0),
        "fsopen": (b"sysfs", 0),
        "fspick": (AT_FDCWD, b"/sys", 0),
        "mount_setattr": (AT_FDCWD, b"/proc/sys", 0, attributes, len(attributes)),
        "open_by_handle_at": (AT_FDCWD, bytes(32), 0),
        "perf_event_open": (bytes(128), 0, -1, -1, 0),
        "unshare": (CLONE_NEWNS,),
        "clone": (CLONE_NEWNS | SIGCHLD, 0, 0, 0, 0),
        "clone3": (struct.pack("11Q", 0, 0, 0, 0, 255, 0, 0, 0, 0, 0, 0), 88),  # with a signal that there is not
        "mount": (b"sysfs", SPOT.encode(), b"sysfs", 0, 0),
        "umount2": (PLATFORM.encode(), MNT_DETACH),
        "pivot_root": (b"/", b"/"),
    }
    ways: dict[str, Way] = {}
    for name, words in arguments.items():
        wide, narrow = NUMBERS[name]
        ways[f"call {name}"] = lambda n=wide, words=words: call(n, *words)  # type: ignore[misc]
        ways[f"call {name}, x32"] = lambda n=wide, words=words: call(n | X32, *words)  # type: ignore[misc]
        if narrow is not None:
            ways[f"call {name}, 32 bits"] = lambda n=narrow, words=words: Low()(n, *words)  # type: ignore[misc]
    ways["a user namespace with mounts of its own"] = lambda: call(UNSHARE, CLONE_NEWUSER | CLONE_NEWNS)
    return ways


def devices() -> dict[str, Way]:
    """Nodes of numbers that are not its own: another's USB device, the host's disk, memory and console."""
    character, block = 0o020000, 0o060000
    disk = tuple(map(int, Path("/sys/block/vda/dev").read_text().split(":")))
    return {
        "open the first hub's node": opens_node(character, 189, 0),
        "open the host's disk": opens_node(block, *disk),
        "open the host's console": opens_node(character, 5, 1),
        "open the host's memory": opens_node(character, 1, 1),
        "open the host's log": opens_node(character, 1, 11),
        "open a loop device": opens_node(block, 7, 0),
    }


def said_by(process: Path) -> bytes:
    """Its command line; b"" of one that has ended meanwhile."""
    try:
        return (process / "cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def outsider() -> dict[str, Way]:
    """A process of the host's that this container can see, as one of lxc-attach on its way in."""
    pid = next(int(path.name) for path in Path("/proc").glob("[0-9]*") if said_by(path) == b"sleep\x004242\x00")
    return {
        "trace it": lambda: call(PTRACE, PTRACE_ATTACH, pid, 0, 0),
        "its root": lambda: list(Path(f"/proc/{pid}/root/").iterdir()),
        "its memory": writes(f"/proc/{pid}/mem"),
        "its mounts": reads(f"/proc/{pid}/ns/mnt"),
    }


def works() -> dict[str, Way]:
    """What has to go on working; each of them is a neighbour of what is refused."""
    return {
        "mount tmpfs": mounts("tmpfs", "tmpfs"),
        "mount devpts": mounts("devpts", "devpts"),
        "bind /etc": mounts("/etc", "", MS_BIND),
        "a cgroup of its own": makes_cgroup,
        "its own process": lambda: Path("/proc/self/oom_score_adj").write_text("100"),
        "its own network": writes("/proc/sys/net/ipv4/conf/all/forwarding"),
        "a file that is called uevent": lambda: Path("/root/uevent").write_text("x"),
        "read its hub": reads(first(f"{PLATFORM}/vhci_hcd.*/usb*/speed")),
        "a user namespace": lambda: call(UNSHARE, CLONE_NEWUSER),
        "a 32-bit program": lambda: Low()(20),  # getpid
        "open null": opens_node(0o020000, 1, 3),
    }


def tried(way: Way) -> str:
    """What became of a way, within some seconds."""
    signal.signal(signal.SIGALRM, raise_timeout)
    signal.alarm(SECONDS)
    try:
        way()
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, "?")
    finally:
        signal.alarm(0)
    return "open"


def raise_timeout(number: int, frame: object) -> None:
    raise TimeoutError(errno.ETIMEDOUT, "")


def tried_apart(way: Way) -> str:
    """The same in a process of its own, for what changes the one that does it."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(write, tried(way).encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        text = pipe.read().decode()
    os.waitpid(child, 0)
    return text or "died"


def outcome(label: str, way: Way) -> str:
    return tried_apart(way) if any(word in label for word in APART) else tried(way)


GROUPS: dict[str, Callable[[], dict[str, Way]]] = {
    "works": works, "files": files, "devices": devices, "calls": calls, "file systems": file_systems, "places": places,
    "outsider": outsider,
}  # fmt: skip


def main() -> None:
    names = sys.argv[1:] or [name for name in GROUPS if name != "outsider"]
    print(json.dumps({name: {label: outcome(label, way) for label, way in GROUPS[name]().items()} for name in names}))


if __name__ == "__main__":
    main()
