"""EFFECT: ways out by mounts: what speaks for the kernel mounted anew, what is there brought to another place."""

import errno
import os
import signal
import stat
import time
from collections.abc import Callable
from pathlib import Path

from tests.lab.scenarios.inside.attempts import (
    MNT_DETACH,
    MS_BIND,
    MS_MOVE,
    MS_REC,
    MS_REMOUNT,
    PLATFORM,
    SPOT,
    Way,
    first,
    mounts,
    opens_node,
)
from tests.lab.scenarios.inside.system_calls import ENTRIES, call

AT_FDCWD, FSCONFIG_CMD_CREATE, MOVE_MOUNT_F_EMPTY_PATH = -100, 6, 4
BROKER = "/run/qvd-usbip"
RENAME_EXCHANGE = 2
WHILE_SOME_ARE_ALLOWED, IN_VAIN = 10.0, 0.5  # seconds


def file_systems() -> dict[str, Way]:
    """File systems that speak for the kernel, and one of a kind that nobody has listed; by each of the calls."""
    kinds = (
        "sysfs", "proc", "devtmpfs", "debugfs", "tracefs", "configfs", "securityfs", "bpf", "binfmt_misc", "pstore",
        "fusectl", "overlay", "autofs",
    )  # fmt: skip
    ways: dict[str, Way] = {}
    for entry, enter in ENTRIES.items():
        ways |= {f"mount {kind}{entry}": mounts(kind, kind, enter=enter) for kind in kinds}
        ways |= {f"mount {kind} by the new calls{entry}": mounts_anew(kind, enter) for kind in (*kinds, "cgroup2")}
        ways[f"mount cgroup v1{entry}"] = mounts("none", "cgroup", data="none,name=lab", enter=enter)
        ways[f"mount cgroup v1 of devices{entry}"] = mounts("none", "cgroup", data="devices", enter=enter)
    return ways


def mounts_anew(kind: str, enter: Callable[..., int]) -> Way:
    """The same by the calls of which AppArmor of older kernels hears nothing."""

    def way() -> None:
        Path(SPOT).mkdir(exist_ok=True)
        opened = [enter("fsopen", kind.encode(), 0)]
        try:
            enter("fsconfig", opened[0], FSCONFIG_CMD_CREATE, 0, 0, 0)
            opened.append(enter("fsmount", opened[0], 0, 0))
            enter("move_mount", opened[1], b"", AT_FDCWD, SPOT.encode(), MOVE_MOUNT_F_EMPTY_PATH)
        finally:
            for descriptor in opened:
                os.close(descriptor)
        call("umount2", SPOT.encode(), MNT_DETACH)

    return way


def races() -> Way:
    """The source is a link that is turned about meanwhile: AppArmor follows it, and then mount(2) does once more."""
    link, other, harmless = Path("/run/link"), Path("/run/other"), Path("/run/harmless")

    def turned_about() -> None:
        while True:
            call("renameat2", AT_FDCWD, bytes(link), AT_FDCWD, bytes(other), RENAME_EXCHANGE)

    def way() -> None:
        for folder in (Path(SPOT), harmless):
            folder.mkdir(exist_ok=True)
        for name, target in ((link, harmless), (other, PLATFORM)):
            name.unlink(missing_ok=True)
            name.symlink_to(target)
        child = os.fork()
        if not child:
            turned_about()
        began, harmless_ones = time.monotonic(), 0
        try:
            while time.monotonic() < began + (WHILE_SOME_ARE_ALLOWED if harmless_ones else IN_VAIN):
                try:
                    call("mount", bytes(link), SPOT.encode(), None, MS_BIND, None)
                except PermissionError:
                    continue
                harmless_ones += 1
                won = next(Path(SPOT).glob("vhci_hcd.*"), None) is not None
                call("umount2", SPOT.encode(), MNT_DETACH)
                if won:
                    return
        finally:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        raise PermissionError(errno.EACCES, "")

    return way


def places() -> dict[str, Way]:
    """sysfs and procfs brought to another place, or what covers them taken away."""
    hub = first(f"{PLATFORM}/vhci_hcd.*")
    here = (
        "/sys", "/sys/bus/usb", "/sys/bus/usb/drivers", "/sys/fs/cgroup", PLATFORM, hub, "/proc", "/proc/sys",
        "/proc/self/root/sys", "/proc/self/root/proc/sys/kernel",
    )  # fmt: skip
    return {
        "bind what a link that turns about leads to": races(),
        **{f"bind {path}": mounts(path, "", MS_BIND) for path in here},
        "bind /": mounts("/", "", MS_BIND),
        "bind / and all below": mounts("/", "", MS_BIND | MS_REC),
        **{f"move {path}": mounts(path, "", MS_MOVE) for path in ("/proc/sys", hub, PLATFORM, "/proc", "/sys")},
        "make /proc/sys writable": mounts("none", "", MS_REMOUNT | MS_BIND, point="/proc/sys"),
        "make /proc/sys writable, as a whole": mounts("none", "", MS_REMOUNT, point="/proc/sys"),
        "change the root's file system": mounts("none", "", MS_REMOUNT, point="/"),
        "change the file system of the host's /run": mounts("none", "", MS_REMOUNT, point=BROKER),
        "make the host's /run writable": mounts("none", "", MS_REMOUNT | MS_BIND, point=BROKER),
        **{
            f"take {path} away": lambda path=path: call("umount2", path.encode(), MNT_DETACH)  # type: ignore[misc]
            for path in ("/proc/sys", hub, PLATFORM, "/proc", "/sys", "/")
        },
        "pivot_root onto the hub": lambda: call("pivot_root", hub.encode(), first(f"{hub}/usb*").encode()),
        "pivot_root onto /sys": lambda: call("pivot_root", b"/sys", b"/sys/kernel"),
    }


def cgroup_v1() -> dict[str, Way]:
    """On a host with cgroup v1, where systemd may mount its hierarchy: the list of devices there, and release_agent.

    They are mounted one over the other and stay, since it may take nothing away below /sys.
    """
    place = Path("/sys/fs/cgroup/systemd")

    def mounted(hierarchy: str) -> None:
        call("mount", b"none", bytes(place), b"cgroup", 0, hierarchy.encode())

    def widened(line: str) -> None:
        if not (place / "devices.allow").exists():
            mounted("devices")
        (place / "devices.allow").write_text(line)
        opens_node(stat.S_IFCHR, 1, 11)()

    def released() -> None:
        mounted("none,name=systemd")
        (place / "release_agent").write_text("/root/agent")

    return {
        "allow itself everything": lambda: widened("a"),
        "allow itself the host's log": lambda: widened("c 1:11 rwm"),
        "name a program that the host starts": released,
        "name it with a hierarchy of its own": lambda: mounted("none,name=lab,release_agent=/root/agent"),
    }
