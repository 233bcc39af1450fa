"""EFFECT: what a host needs, looked at one by one; each line that fails names its remedy."""

import os
import platform
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from qvd_usbip import vhci
from qvd_usbip.errors import (
    BPF_UNAVAILABLE,
    HUBS_DISABLED,
    LXC_CONFIG_MISSING,
    VHCI_MISSING,
    VHCI_NO_HUBS,
    Problem,
    QvdUsbError,
)
from server_agent import lxc, settings
from server_agent.kernel.vhci import Vhci

SYSFS = Path("/sys")
ROOT_MOUNTS = Path("/proc/mounts")
BPF_FOLDER = SYSFS / "fs/bpf"
UNIFIED = SYSFS / "fs/cgroup/cgroup.controllers"
APPARMOR = SYSFS / "module/apparmor/parameters/enabled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One thing that was looked at."""

    name: str
    text: str
    remedy: str = ""
    exit_status: int = 0

    @property
    def failed(self) -> bool:
        """Whether it stands in the way."""
        return self.exit_status != 0

    @property
    def mark(self) -> str:
        """How the line begins."""
        return "FAIL" if self.failed else "ok"

    def as_json(self) -> dict[str, object]:
        """The line for programs."""
        return {"name": self.name, "ok": not self.failed, "text": self.text, "remedy": self.remedy}


def failed(name: str, problem: Problem, **context: object) -> Line:
    """A line for a problem, with its own sentence and remedy."""
    error = QvdUsbError(problem, **context)
    return Line(name=name, text=str(error), remedy=error.remedy(), exit_status=problem.exit_status)


def check_host() -> list[Line]:
    """Look at everything, in the order in which it is needed."""
    return [_looked(name, look) for name, look in LOOKS]


def _looked(name: str, look: Callable[[], Line]) -> Line:
    try:
        return look()
    except QvdUsbError as error:
        return failed(name, error.problem, **error.context)


def kernel() -> Line:
    """Which kernel runs."""
    return Line(name="kernel", text=f"{platform.system()} {platform.release()} {platform.machine()}")


def module() -> Line:
    """Whether vhci_hcd is there."""
    layout = Vhci(sysfs=SYSFS).layout()
    if layout == vhci.MODULE_MISSING:
        return failed("module", VHCI_MISSING)
    if layout == vhci.NO_HUBS:
        return failed("module", VHCI_NO_HUBS)
    return Line(name="module", text="vhci_hcd is loaded")


def hubs() -> Line:
    """How many containers can have USB at once."""
    found = Vhci(sysfs=SYSFS)
    layout, lendable = found.layout(), found.lendable()
    if not lendable:
        text = f"layout {layout}: no hub can be lent to one container alone"
        remedy = "Load a vhci_hcd with several controllers (CONFIG_USBIP_VHCI_NR_HCS of 2 or more)."
        return Line(name="hubs", text=text, remedy=remedy, exit_status=VHCI_NO_HUBS.exit_status)
    text = f"layout {layout}: {len(lendable)} containers at once, {found.ports_per_half()} ports each per speed class"
    return Line(name="hubs", text=text)


def use_vhci_hubs() -> Line:
    """Whether the administrator wants hubs to be used."""
    if not settings.load().use_vhci_hubs:
        error = QvdUsbError(HUBS_DISABLED)
        text = f"{settings.USE_VHCI_HUBS} is not 1: no container gets a hub"
        return Line(name="setting", text=text, remedy=error.remedy(), exit_status=HUBS_DISABLED.exit_status)
    return Line(name="setting", text=f"{settings.USE_VHCI_HUBS}=1")


def cgroup_v2() -> Line:
    """Whether the unified hierarchy is the one in force."""
    if not UNIFIED.exists():
        reason = "cgroup v2 is not mounted at /sys/fs/cgroup (boot without systemd.unified_cgroup_hierarchy=0)"
        return failed("cgroup", BPF_UNAVAILABLE, reason=reason)
    return Line(name="cgroup", text="v2, unified")


def bpf() -> Line:
    """Whether maps can be pinned."""
    if not any(line.split()[1:3] == [str(BPF_FOLDER), "bpf"] for line in ROOT_MOUNTS.read_text().splitlines()):
        return failed("bpf", BPF_UNAVAILABLE, reason="no bpf file system at /sys/fs/bpf (mount -t bpf bpf /sys/fs/bpf)")
    return Line(name="bpf", text="maps can be pinned below /sys/fs/bpf")


def apparmor() -> Line:
    """Whether AppArmor is there to keep container root off the hubs' files."""
    enabled = APPARMOR.exists() and APPARMOR.read_text(encoding="ascii").strip() == "Y"
    if enabled and shutil.which("apparmor_parser"):
        return Line(name="apparmor", text="enabled")
    return Line(
        name="apparmor",
        text="AppArmor is not active: root of a container can reach other containers' hubs",
        remedy="Install apparmor and boot with it (kernel parameter apparmor=1 security=apparmor).",
        exit_status=LXC_CONFIG_MISSING.exit_status,
    )


def containers() -> Line:
    """Whether LXC is there, with what its lines refer to."""
    if shutil.which("lxc-start") is None:
        text, remedy = "LXC is not installed", "apt install lxc"
    elif not Path(lxc.SECCOMP).is_file():
        text, remedy = f"{lxc.SECCOMP} is missing", "Install the qvd-usbip server package (make install ROLE=server)."
    else:
        return Line(name="lxc", text="lxc-start and the seccomp profile are there")
    return Line(name="lxc", text=text, remedy=remedy, exit_status=LXC_CONFIG_MISSING.exit_status)


def account() -> Line:
    """Whether this look could see everything."""
    text = "root" if os.geteuid() == 0 else "not root: what only root can read was not looked at"
    return Line(name="account", text=text)


LOOKS = (
    ("account", account),
    ("kernel", kernel),
    ("module", module),
    ("hubs", hubs),
    ("setting", use_vhci_hubs),
    ("cgroup", cgroup_v2),
    ("bpf", bpf),
    ("apparmor", apparmor),
    ("lxc", containers),
)
