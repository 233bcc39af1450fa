"""EFFECT: what is needed in order to lend a device: the setuid helper, the kernel's export side, and leave to do it.

Source: guide §1.1.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from client_gui.helper.authorise import Caller, Policy, check_caller
from client_gui.helper.caller import identify, read_policy
from client_gui.troubles import Fault, fault_of
from qvd_usbip.errors import HELPER_MISSING, HELPER_NOT_SETUID, USBIP_HOST_UNAVAILABLE, QvdUsbError


def helper_fault(helper: str) -> Fault | None:
    """Decides whether the helper is there and would run as root."""
    try:
        found = Path(helper).stat()
    except (OSError, ValueError):
        return fault_of(QvdUsbError(HELPER_MISSING, path=helper))
    if not stat.S_ISREG(found.st_mode) or not found.st_mode & 0o111:
        return fault_of(QvdUsbError(HELPER_MISSING, path=helper))
    runs_as_root = found.st_uid == 0 and found.st_mode & stat.S_ISUID
    if os.geteuid() != 0 and not (runs_as_root and not _is_nosuid(helper)):
        return fault_of(QvdUsbError(HELPER_NOT_SETUID, path=helper))
    return None


def _is_nosuid(path: str) -> bool:
    return bool(os.statvfs(path).f_flag & os.ST_NOSUID)


def kernel_fault(root: Path = Path("/")) -> Fault | None:
    """Decides whether usbip-host is loaded, built in, or there to be loaded; the helper loads it."""
    if (root / "sys/bus/usb/drivers/usbip-host").exists() or (root / "sys/module/usbip_host").exists():
        return None
    modules = root / "lib/modules" / os.uname().release
    if _names_module(modules / "modules.builtin"):
        return None
    needed = _needed_for_module(modules)
    missing = [path for path in needed if not path.exists()]
    if needed and not missing:
        return None
    what = f"lacks the file {missing[0]}" if missing else "has no module usbip-host"
    reason = f"the running kernel {os.uname().release} {what}"
    return fault_of(QvdUsbError(USBIP_HOST_UNAVAILABLE, reason=reason))


def _names_module(index: Path) -> bool:
    try:
        return b"/usbip-host.ko" in index.read_bytes()
    except OSError:
        return False  # no index, no module: the caller says so


def lender(root: Path = Path("/")) -> tuple[Policy, Caller]:
    """Decides, as the helper will, whether this account may lend devices now; by which policy, and who it is.

    Raises:
        QvdUsbError: not-permitted; policy-unsafe.
    """
    descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        policy = read_policy(descriptor)
        caller = identify(descriptor, os.getuid(), os.getgid())
    finally:
        os.close(descriptor)
    check_caller(policy, caller)
    return policy, caller


def permission_fault(root: Path = Path("/")) -> Fault | None:
    """Decides whether this account may lend devices now."""
    try:
        lender(root)
    except QvdUsbError as error:
        return fault_of(error)
    return None


def _needed_for_module(modules: Path) -> list[Path]:
    """The files that are loaded for it, by the index of modules; none where it does not stand there."""
    try:
        index = (modules / "modules.dep").read_bytes()
    except OSError:
        return []
    at = index.find(b"/usbip-host.ko")
    line = index[index.rfind(b"\n", 0, at) + 1 : index.find(b"\n", at)] if at >= 0 else b""
    return [modules / os.fsdecode(path) for path in line.replace(b":", b" ", 1).split()]


def check(helper: str) -> Fault | None:
    """Decides what is missing first, if anything."""
    return helper_fault(helper) or kernel_fault() or permission_fault()
