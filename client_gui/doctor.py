"""EFFECT: what this computer needs in order to lend devices, looked at one by one; what fails names its remedy."""

from __future__ import annotations

import os
import platform
import stat
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from client_gui import requirements, settings
from client_gui.advisor import read_rulebook
from client_gui.helper.usbip_host import MODPROBE
from client_gui.memory import Memory
from client_gui.presence import read_status, runtime_folder
from client_gui.recovery import try_out
from client_gui.reported import snapshot_of_status
from client_gui.scan import Scanner
from client_gui.settings import Files
from client_gui.troubles import Fault, describe, fault_of
from client_gui.unmount import UDISKSCTL
from qvd_usbip.errors import (
    HELPER_UNSAFE,
    NOT_PERMITTED,
    SHARING_DISABLED,
    SLAVE_UNREACHABLE,
    USBIP_HOST_UNAVAILABLE,
    QvdUsbError,
    problem_of,
)
from qvd_usbip.finding import Finding
from qvd_usbip.kernel_defects import Side, Verdict, findings, kernel_of
from qvd_usbip.values import replace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from client_gui.settings import Settings


_UPDATE = "As root: apt-get update && apt-get full-upgrade; then start this computer anew."


def examine(files: Files, root: Path = Path("/")) -> list[Finding]:
    """Looks at everything, in the order in which it is needed.

    Args:
        files: the configuration of whoever asks.
        root: the folder that holds `sys`, `proc`, `etc`, `run` and `lib`.
    """
    read = _settings(files)
    looks: tuple[tuple[str, Callable[[], list[Finding]]], ...] = (
        ("settings", lambda: [_sharing(files, read)]),
        ("kernel", lambda: list(_kernel(root))),
        ("helper", lambda: [_helper(read.helper)]),
        ("permission", lambda: [_permission(root)]),
        ("rules", lambda: [_rules(files)]),
        ("memory", lambda: [_memory(files)]),
        ("devices", lambda: [_devices(read)]),
        ("volumes", lambda: [_volumes()]),
        ("sleep", lambda: [_sleep(root)]),
        ("session", lambda: [_session()]),
    )
    found: list[Finding] = []
    for name, look in looks:
        try:
            found += look()
        except QvdUsbError as error:
            found.append(_failed(name, error))
    return found


def _failed(name: str, error: QvdUsbError) -> Finding:
    return Finding(name=name, text=str(error), remedy=error.remedy(), exit_status=error.problem.exit_status)


def _faulty(name: str, fault: Fault) -> Finding:
    return Finding(name=name, text=fault.text, remedy=fault.remedy, exit_status=problem_of(fault.code).exit_status)


def _settings(files: Files) -> Settings:
    """The settings; broken ones are told by `_sharing`, and all else is looked at by the defaults."""
    try:
        return settings.load(files)
    except QvdUsbError:
        return settings.defaults()


def _sharing(files: Files, read: Settings) -> Finding:
    settings.load(files)
    if read.needed_to_enable:
        return _failed("settings", QvdUsbError(SHARING_DISABLED, setting=read.needed_to_enable))
    wished = "everything that the policy permits" if read.wishes.share_all else str(read.wishes.share_list)
    return Finding(name="settings", text=f"sharing is on; ticked: {wished or 'nothing yet'}")


def _kernel(root: Path) -> Iterator[Finding]:
    loaded = (root / "sys/bus/usb/drivers/usbip-host").exists()
    fault = requirements.kernel_fault(root) or (None if loaded else _loading_fault())
    if fault is not None:
        yield _faulty("kernel", fault)
    else:
        text = "usbip-host is loaded" if loaded else "usbip-host is there; the helper loads it when it is needed"
        yield Finding(name="kernel", text=f"{text} (Linux {platform.release()})")
    debug = root / "sys/module/usbip_core/parameters/usbip_debug_flag"
    if debug.exists() and debug.read_text().strip() not in {"0", "0x0"}:
        text = "usbip-host writes every transfer into the kernel log, which makes devices very slow"
        yield Finding(name="debugging", text=text, remedy=f"As root: echo 0 >/{debug.relative_to(root)}")
    for each in findings(Side.CLIENT, kernel_of(platform.release(), platform.version())):
        if each.verdict is not Verdict.FIXED:
            certain = "" if each.verdict is Verdict.APPLIES else "perhaps "
            text = f"{certain}{each.defect.what} ({each.why}): {each.defect.answer}"
            remedy = _UPDATE if each.defect.answer == "update the kernel" else ""
            yield Finding(name=f"defect {each.defect.code}", text=text, remedy=remedy)


def _loading_fault() -> Fault | None:
    """Asks modprobe what it would do; its settings may put another command in the module's place."""
    modprobe = next((path for path in MODPROBE if Path(path).exists()), None)
    if modprobe is None:
        return fault_of(QvdUsbError(USBIP_HOST_UNAVAILABLE, reason="there is no modprobe"))
    argv = [modprobe, "--dry-run", "--verbose", "usbip-host"]
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", check=False)
    instead = next((line for line in done.stdout.splitlines() if line.startswith("install ")), "")
    if instead:
        reason = f"modprobe would run '{instead.removeprefix('install ').strip()}' in its place"
        fault = fault_of(QvdUsbError(USBIP_HOST_UNAVAILABLE, reason=reason))
        return replace(fault, remedy="As root: grep -r usbip-host /etc/modprobe.d names the file; take that line out.")
    if done.returncode != 0:
        said = done.stderr.strip().splitlines()[-1:] or [f"modprobe ended with {done.returncode}"]
        return fault_of(QvdUsbError(USBIP_HOST_UNAVAILABLE, reason=said[0]))
    return None


def _helper(helper: str) -> Finding:
    fault = requirements.helper_fault(helper)
    if fault is not None:
        return _faulty("helper", fault)
    found = Path(helper).stat()
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        error = QvdUsbError(HELPER_UNSAFE, path=helper)
        status = error.problem.exit_status
        return Finding(name="helper", text=str(error), remedy=f"As root: chmod go-w {helper}", exit_status=status)
    fault = try_out(helper)  # what stands in the way of everything else it does is in the way of this too
    if fault is not None:
        text, remedy = describe(fault)
        return _faulty("helper", replace(fault, text=text, remedy=remedy))
    text = f"{helper} belongs to uid {found.st_uid}, mode {stat.S_IMODE(found.st_mode):04o}"
    return Finding(name="helper", text=text)


def _permission(root: Path) -> Finding:
    """By the same judgement as the helper's."""
    try:
        policy, caller = requirements.lender(root)
    except QvdUsbError as error:
        if error.problem is not NOT_PERMITTED:
            raise
        user = os.environ.get("USER") or str(os.getuid())
        named = error.context["group"]
        group = "GROUP" if named == "-" else named
        remedy = f"As root: usermod -aG {group} {user}; then log in again."
        return Finding(name="permission", text=str(error), remedy=remedy, exit_status=error.problem.exit_status)
    if caller.uid == 0:
        return Finding(name="permission", text="root may lend devices")
    by = f"as a member of {policy.group}" if policy.group in caller.groups else "because you sit at this computer"
    return Finding(name="permission", text=f"you may lend devices, {by}")


def _rules(files: Files) -> Finding:
    book = read_rulebook(files)
    written = sum(1 for rule in book.rules if rule.file)
    locked = ", ".join(sorted(book.policy.locked)) or "nothing"
    return Finding(name="rules", text=f"{written} written rules; locked until you agree: {locked}")


def _memory(files: Files) -> Finding:
    path = Path(files.own_folder) / "devices.json"
    memory = Memory(path)
    memory.reload()
    if memory.fault is not None:
        return _failed("memory", memory.fault)
    return Finding(name="memory", text=f"nicknames and modes stand in {path}")


def _devices(read: Settings) -> Finding:
    scanner = Scanner(Path(read.usbroot))
    devices = scanner.scan()
    for error in scanner.left_out.values():
        return _failed("devices", error)
    return Finding(name="devices", text=f"{len(devices)} USB devices and hubs are plugged in")


def _volumes() -> Finding:
    if Path(UDISKSCTL).exists():
        return Finding(name="volumes", text="udisks2 is there: mounted sticks can be unmounted")
    text = "there is no udisks2: a mounted stick has to be unmounted by hand before it is shared"
    return Finding(name="volumes", text=text, remedy="As root: apt-get install udisks2")


def _sleep(root: Path) -> Finding:
    if (root / "run/dbus/system_bus_socket").exists() and (root / "run/systemd/sessions").exists():
        return Finding(name="sleep", text="logind is there: devices come home before the computer sleeps")
    text = "there is no logind: devices that are shared when the computer sleeps may not survive it"
    return Finding(name="sleep", text=text, remedy="Return all devices before the computer sleeps.")


def _session() -> Finding:
    status = read_status(runtime_folder(os.environ, os.geteuid()))
    shown = None if status is None else snapshot_of_status(status)
    if shown is None or shown.session is None:
        return Finding(name="session", text="no session is there: ticked devices wait for one")
    session = shown.session
    if session.connected:
        return Finding(name="session", text=session.text)
    for trouble in shown.problems:
        if trouble.code == session.problem:
            return _faulty("session", Fault(code=trouble.code, text=trouble.text, remedy=trouble.remedy))
    return _failed("session", QvdUsbError(SLAVE_UNREACHABLE, address=session.address, reason="it does not answer yet"))
