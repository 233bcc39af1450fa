"""EFFECT: ways_out.py [GROUP …]: the ways by which a container's root gets round its confinement, each of them tried.

Prints a JSON object: group → what was tried → the errno's name that refused it, or "open". What a way opened is closed
again, but a container in which ways are open is not fit for use after it.
"""

import errno
import fcntl
import json
import os
import re
import signal
import stat
import struct
import sys
from collections.abc import Callable
from pathlib import Path

from tests.lab.scenarios.inside.attempts import (
    MNT_DETACH,
    PLATFORM,
    SPOT,
    Way,
    first,
    found,
    mounts,
    opens_node,
    reads,
    writes,
)
from tests.lab.scenarios.inside.system_calls import ENTRIES, NUMBERS, Ring, Words, call, low
from tests.lab.scenarios.inside.ways_of_mounts import AT_FDCWD, cgroup_v1, file_systems, places

CLONE_NEWNS, CLONE_NEWUSER, CLONE_NEWNET, SIGCHLD = 0x20000, 0x10000000, 0x40000000, 17
NS_MNT_GET_PREV = 0x8010B70C
# XFS_IOC_…_BY_HANDLE as 64-bit and as 32-bit programs have them, FIFREEZE. Source: fs/xfs/libxfs/xfs_fs.h, linux/fs.h
IOCTLS = {
    "open by handle": 0xC038586B, "open by a short handle": 0xC01C586B, "read a link by handle": 0xC038586C,
    "list attributes by handle": 0x4048587A, "change attributes by handle": 0x4048587B, "freeze": 0xC0045877,
}  # fmt: skip
PTRACE_ATTACH = 16
USER_KEYRING, PROCESS_KEYRING = -4, -2
CHARACTER, BLOCK = stat.S_IFCHR, stat.S_IFBLK
SECONDS = 20
#: Of the base list that every container has: null, zero, full, random, urandom, tty, ptmx, fuse.
OWN_NUMBERS = {"1:3", "1:5", "1:7", "1:8", "1:9", "5:0", "5:2", "10:229"}
APART = ("clone", "unshare", "namespace", "setns", "pivot_root", "trace", "profile")


def makes_cgroup() -> None:
    own = Path("/sys/fs/cgroup/lab")
    own.mkdir()
    own.rmdir()


def files() -> dict[str, Way]:
    """Files of the host, of drivers and of hubs, at their own places."""
    hub = f"{PLATFORM}/vhci_hcd.*"
    return {
        **dict(found(
            f"{hub}/usb*/authorized", f"{hub}/usb*/authorized_default", f"{hub}/usb*/bConfigurationValue",
            f"{hub}/usb*/*/authorized", f"{hub}/uevent", f"{hub}/usb*/uevent",
            "/sys/bus/platform/devices/vhci_hcd.*/usb*/authorized", "/sys/bus/usb/devices/usb*/remove",
            f"/proc/self/root{hub}/usb*/authorized", f"/proc/1/root{hub}/usb*/authorized",
            f"/proc/self/task/*/root{hub}/usb*/authorized", "/sys/bus/usb/devices/usb*/power/control",
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
        **without_its_path(first(f"{hub}/usb*/authorized")),
    }  # fmt: skip


def without_its_path(path: str) -> dict[str, Way]:
    """A file by what is not its path; and its mode and owner, of which there is one for all containers."""
    opened = os.open(path, os.O_PATH)
    return {
        f"write {path} by a descriptor": writes(f"/proc/self/fd/{opened}"),
        f"write {path} by io_uring": lambda: os.close(Ring().opens(path, os.O_WRONLY)),
        f"change the mode of {path}": lambda: Path(path).chmod(0o666),
        f"change the mode of {path} by a descriptor": lambda: Path(f"/proc/self/fd/{opened}").chmod(0o666),
        f"change the owner of {path}": lambda: os.chown(path, 1000, 1000),
    }


def attach() -> dict[str, Way]:
    """The files by which hub 0 attaches and detaches, by every path that leads to them."""
    hub = "devices/platform/vhci_hcd.0"
    trees = (f"/sys/{hub}", "/sys/bus/platform/devices/vhci_hcd.0", "/sys/bus/platform/drivers/vhci_hcd/vhci_hcd.0",
             "/sys/bus/usb/devices/usb*/..", f"/proc/self/root/sys/{hub}", f"/proc/1/root/sys/{hub}")  # fmt: skip
    names = ("attach", "detach", "usbip_debug")
    ways = dict(found(*(f"{tree}/{name}" for tree in trees for name in names)))
    return ways | without_its_path(f"/sys/{hub}/attach") | without_its_path(f"/sys/{hub}/detach")


def calls() -> dict[str, Way]:
    """System calls, as 64-bit programs, as 32-bit ones, and by the numbers of x32, make them."""
    attributes = struct.pack("QQQQ", 0, 1, 0, 0)  # attr_clr = read-only
    mounts_of_its_own = os.open("/proc/self/ns/mnt", os.O_RDONLY)
    arguments: dict[str, tuple[Words, ...]] = {
        "bpf": (9, bytes(128), 128),  # BPF_PROG_DETACH
        "init_module": (b"x", 1, b""),
        "finit_module": (0, b"", 0),
        "delete_module": (b"lab_none", 0o4000),
        "kexec_load": (0, 0, 0, 0),
        "kexec_file_load": (-1, -1, 0, 0, 8),
        "open_tree": (AT_FDCWD, b"/sys", 1),
        "open_tree_attr": (AT_FDCWD, b"/sys", 1, attributes, len(attributes)),
        "move_mount": (AT_FDCWD, b"/sys", AT_FDCWD, SPOT.encode(), 0),
        "fsopen": (b"sysfs", 0),
        "fsconfig": (-1, 0, 0, 0, 0),
        "fsmount": (-1, 0, 0),
        "fspick": (AT_FDCWD, b"/sys", 0),
        "mount_setattr": (AT_FDCWD, b"/proc/sys", 0, attributes, len(attributes)),
        "open_by_handle_at": (AT_FDCWD, bytes(32), 0),
        "fanotify_init": (0, os.O_RDWR),
        "perf_event_open": (bytes(128), 0, -1, -1, 0),
        "unshare": (CLONE_NEWNS,),
        "clone": (CLONE_NEWNS | SIGCHLD, 0, 0, 0, 0),
        "clone3": (struct.pack("11Q", 0, 0, 0, 0, 255, 0, 0, 0, 0, 0, 0), 88),  # with a signal that there is not
        "setns": (mounts_of_its_own, CLONE_NEWNS),
        "mount": (b"sysfs", SPOT.encode(), b"sysfs", 0, 0),
        "umount2": (PLATFORM.encode(), MNT_DETACH),
        "pivot_root": (b"/", b"/"),
        "keyctl": (0, USER_KEYRING, 0),  # KEYCTL_GET_KEYRING_ID: keys of root, who is the host's
        "add_key": (b"user", b"lab", b"x", 1, PROCESS_KEYRING),
        "request_key": (b"user", b"lab", 0, 0),
        "iopl": (3,),
        "ioperm": (0x80, 1, 1),
        "settimeofday": (0, bytes(8)),
        "syslog": (9, 0, 0),
        "swapon": (b"/root/none", 0),
        "swapoff": (b"/root/none",),
        "quotactl": (0x80000100, 0, 0, 0),  # Q_SYNC, of all
        "quotactl_fd": (-1, 0, 0, 0),
    }
    ways: dict[str, Way] = {
        f"call {name}{entry}": lambda name=name, words=words, enter=enter: enter(name, *words)  # type: ignore[misc]
        for name, words in arguments.items()
        for entry, enter in ENTRIES.items()
        if enter is not low or NUMBERS[name][1] is not None
    }
    root = os.open("/", os.O_RDONLY)
    ways |= {
        f"call ioctl to {label}{entry}": lambda code=code, enter=enter: enter("ioctl", root, code, 0)  # type: ignore[misc]
        for label, code in IOCTLS.items()
        for entry, enter in ENTRIES.items()
    }
    any_kind = {"any kind": 0, "any kind, in a word that is cut": 1 << 32, "more than one kind": CLONE_NEWNS | 1 << 33}
    return {
        **ways,
        **{
            f"call setns for {label}": lambda kind=kind: call("setns", mounts_of_its_own, kind)  # type: ignore[misc]
            for label, kind in any_kind.items()
        },
        "a user namespace with mounts of its own": lambda: call("unshare", CLONE_NEWUSER | CLONE_NEWNS),
        "enter the mount namespace that was made before its own": lambda: call("setns", older_mounts(), 0),
        "leave the profile": lambda: Path("/proc/self/attr/current").write_text("changeprofile unconfined"),
        "leave the profile with the next program": lambda: Path("/proc/self/attr/exec").write_text("exec unconfined"),
    }


def older_mounts() -> int:
    """The mount namespace made before one's own, if this kernel gives it (6.12 and later); else one's own."""
    own = os.open("/proc/self/ns/mnt", os.O_RDONLY)
    try:
        return int(fcntl.ioctl(own, NS_MNT_GET_PREV, bytearray(16), True))
    except OSError:
        return own


def devices() -> dict[str, Way]:
    """Nodes of numbers that are not its own: another's USB device, the host's disk, memory, console and drivers."""
    disk = tuple(map(int, Path("/sys/block/vda/dev").read_text().split(":")))
    characters = {
        "the first hub's node": (189, 0), "the host's console": (5, 1), "the host's memory": (1, 1),
        "the host's ports": (1, 4), "the host's log": (1, 11), "the host's screen": (7, 0), "its terminal": (4, 0),
        "its serial line": (4, 64), "its input": (13, 63), "made input": (10, 223), "made hid": (10, 239),
        "the maker of loop devices": (10, 237), "the mapper": (10, 236), "the maker of networks": (10, 200),
        "the maker of character devices": (10, 203), "virtual machines": (10, 232), "SCSI": (21, 0),
    }  # fmt: skip
    return {
        "open the host's disk": opens_node(BLOCK, *disk),
        "open a loop device": opens_node(BLOCK, 7, 0),
        **{f"open {label}": opens_node(CHARACTER, *number) for label, number in characters.items()},
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
        "trace it": lambda: call("ptrace", PTRACE_ATTACH, pid, 0, 0),
        "its root": lambda: list(Path(f"/proc/{pid}/root/").iterdir()),
        "its memory": writes(f"/proc/{pid}/mem"),
        "its mounts": reads(f"/proc/{pid}/ns/mnt"),
        "its program": reads(f"/proc/{pid}/exe"),
        "its descriptors": lambda: call("pidfd_getfd", call("pidfd_open", pid, 0), 0, 0),
        "its namespaces": lambda: call("setns", call("pidfd_open", pid, 0), CLONE_NEWNS),
    }


def works() -> dict[str, Way]:
    """What has to go on working; each of them is a neighbour of what is refused."""
    return {
        "mount tmpfs": mounts("tmpfs", "tmpfs"),
        "mount devpts": mounts("devpts", "devpts"),
        "a cgroup of its own": makes_cgroup,
        "its own process": lambda: Path("/proc/self/oom_score_adj").write_text("100"),
        "its own network": writes("/proc/sys/net/ipv4/conf/all/forwarding"),
        "a file that is called uevent": lambda: Path("/root/uevent").write_text("x"),
        "read its hub": reads(first(f"{PLATFORM}/vhci_hcd.*/usb*/speed")),
        "a user namespace": lambda: call("unshare", CLONE_NEWUSER),
        "a network namespace": lambda: call("setns", os.open("/proc/self/ns/net", os.O_RDONLY), CLONE_NEWNET),
        "a 32-bit program": lambda: low("getpid"),
        "a file by io_uring": lambda: os.close(Ring().opens("/etc/hostname", os.O_RDWR)),
        "open null": opens_node(CHARACTER, 1, 3),
    }


def numbers() -> dict[str, Way]:
    """Every device number that the host has at the moment."""
    ways: dict[str, Way] = {}
    for kind, folder in ((CHARACTER, "char"), (BLOCK, "block")):
        for path in Path(f"/sys/dev/{folder}").iterdir():
            if path.name not in OWN_NUMBERS:
                ways[f"{folder} {path.name}"] = opens_node(kind, *map(int, path.name.split(":")))
    return ways


def written(top: str, left_out: str = "") -> dict[str, Way]:
    """Every file that has a mode to be written, those of one name together: one that opens is enough."""
    named: dict[str, list[str]] = {}
    for folder, below, names in os.walk(top):
        here = ((name, f"{folder}/{name}") for name in below)
        below[:] = [name for name, path in here if path != left_out and not re.fullmatch("/proc/[0-9]+", path)]
        for name in names:
            path = f"{folder}/{name}"
            mode = os.lstat(path).st_mode
            if stat.S_ISREG(mode) and mode & 0o222:
                named.setdefault(re.sub("[0-9]+", "N", name), []).append(path)
    return {f"{name}, {len(paths)} times": any_of(paths) for name, paths in named.items()}


def any_of(paths: list[str]) -> Way:
    def way() -> None:
        refusal = OSError()
        for path in paths:
            try:
                return os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))
            except OSError as error:
                if refusal.errno not in {None, errno.ENOENT} and error.errno == errno.ENOENT:
                    continue  # it went meanwhile
                refusal = error
        raise refusal

    return way


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


def sysfs() -> dict[str, Way]:
    """Its cgroups apart, which are its own."""
    return written("/sys", "/sys/fs/cgroup")


def procfs() -> dict[str, Way]:
    """Its processes and what is said of its network apart, which are its own."""
    return {**written("/proc", "/proc/sys/net"), **written("/proc/self/net")}


GROUPS: dict[str, Callable[[], dict[str, Way]]] = {
    "works": works, "files": files, "devices": devices, "calls": calls, "file systems": file_systems, "places": places,
}  # fmt: skip
#: What is asked for by name: it needs something that is not everywhere, or takes long.
MORE: dict[str, Callable[[], dict[str, Way]]] = {
    "outsider": outsider, "attach": attach, "cgroup v1": cgroup_v1, "numbers": numbers, "sysfs": sysfs,
    "procfs": procfs,
}  # fmt: skip


def main() -> None:
    asked = {name: (GROUPS | MORE)[name]() for name in sys.argv[1:] or GROUPS}
    print(
        json.dumps({name: {label: outcome(label, way) for label, way in ways.items()} for name, ways in asked.items()})
    )


if __name__ == "__main__":
    main()
