"""EFFECT: what a host needs, looked at one by one; each line that fails names its remedy.

Every line is judged by what is there: a kernel's number decides only about defects that cannot be seen from outside.
"""

import os
import platform
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from qvd_usbip import vhci
from qvd_usbip.errors import (
    BPF_UNAVAILABLE,
    CONFIG_UNWRITABLE,
    HOST_PROGRAM,
    HUBS_DISABLED,
    LXC_CONFIG_MISSING,
    NO_FREE_HUB,
    VHCI_MISSING,
    VHCI_NO_HUBS,
    Problem,
    QvdUsbError,
)
from qvd_usbip.finding import Finding, finding_of
from qvd_usbip.kernel_defects import Side, Verdict, findings, kernel_of
from qvd_usbip.port_range import ALL_PORTS
from server_agent import asking, bystanders, lxc, settings
from server_agent.backend import Backend
from server_agent.kernel.rights import default_backend
from server_agent.kernel.vhci import Vhci
from server_agent.lending import USUAL, Lease, Lending, possible_leases

SYSFS = Path("/sys")
ROOT_MOUNTS = Path("/proc/mounts")
MODULES = Path("/lib/modules")
ROOT = Path("/")
RULES = "usr/lib/udev/rules.d/10-qvd-usbip-host.rules"
LAYOUTS = {
    vhci.SINGLE_HUB: "a stock kernel with one hub",
    vhci.GLOBAL_PORTS: "a stock kernel; ports are counted through all hubs",
    vhci.PER_HUB: "patched by QVD: each hub takes its own devices",
    vhci.HYBRID: "partly patched: hub 0 reaches the others' ports and is never lent",
    vhci.UNRECOGNISED: "several hubs and no known way to reach them: nothing can be lent",
}


Look = Callable[[], "Finding | list[Finding]"]


def failed(name: str, problem: Problem, **context: object) -> Finding:
    """A line for a problem, with its own sentence and remedy."""
    return finding_of(name, QvdUsbError(problem, **context))


def check_host() -> list[Finding]:
    """Look at everything, in the order in which it is needed."""
    return [line for name, look in LOOKS for line in _looked(name, look)]


def _looked(name: str, look: Look) -> list[Finding]:
    try:
        found = look()
    except QvdUsbError as error:
        found = finding_of(name, error)
    return found if isinstance(found, list) else [found]


def account() -> Finding:
    """Whether this look could see everything."""
    text = "root" if os.geteuid() == 0 else "not root: what only root can read was not looked at"
    return Finding(name="account", text=text)


def kernel() -> Finding:
    """Which kernel runs."""
    return Finding(name="kernel", text=f"{platform.system()} {platform.release()} {platform.machine()}")


def module() -> Finding:
    """Whether vhci_hcd is there; if not, whether it could be."""
    layout = Vhci(sysfs=SYSFS).layout()
    if layout == vhci.MODULE_MISSING and not available():
        text = f"vhci_hcd does not belong to this kernel ({platform.release()})"
        remedy = "Install the kernel's extra modules, or boot a kernel with CONFIG_USBIP_VHCI_HCD."
        return Finding(name="module", text=text, remedy=remedy, exit_status=VHCI_MISSING.exit_status)
    if layout == vhci.MODULE_MISSING:
        return failed("module", VHCI_MISSING)
    if layout == vhci.NO_HUBS:
        return failed("module", VHCI_NO_HUBS)
    return Finding(name="module", text="vhci_hcd is loaded")


def available() -> bool:
    """Whether vhci_hcd is among the modules of the running kernel, as its index or what it has built in tells."""
    folder = MODULES / platform.release()
    lists = [folder / "modules.dep", folder / "modules.builtin"]
    readable = [path for path in lists if path.is_file()]
    if not readable:
        return True  # nothing to read: the sentence then names both cases
    return any("/vhci-hcd.ko" in path.read_text(encoding="utf-8", errors="replace") for path in readable)


def hubs() -> list[Finding]:
    """Which layout this is, and how many containers can have USB at once."""
    found = Vhci(sysfs=SYSFS)
    layout, lendable = found.layout(), found.lendable()
    if layout not in LAYOUTS:
        return []  # said by `module`
    bound, ports = len(found.bound()), found.ports_per_half()
    text = f"{layout}: {LAYOUTS[layout]}; {bound} {'hub' if bound == 1 else 'hubs'}"
    leases = possible_leases(lendable, ports, _lending())
    if not leases:
        remedy = "Load the vhci_hcd of this kernel; a patch of another form is not known here."
        if lendable:
            text, remedy = f"{text}; {settings.HUBS} names none that can be lent", f"Set {settings.HUBS}=all"
        return [Finding(name="hubs", text=text, remedy=remedy, exit_status=VHCI_NO_HUBS.exit_status)]
    return [Finding(name="hubs", text=text), Finding(name="limit", text=limit(leases, ports))]


def limit(leases: Sequence[Lease], ports: int) -> str:
    """How many containers can have USB, and how many devices each."""
    whole = sum(lease.ports == ALL_PORTS for lease in leases)
    words = [f"{len(leases)} containers at once"]
    if whole:
        words.append(f"{whole} with a hub of their own: {ports} ports each up to high speed and {ports} for SuperSpeed")
    if len(leases) > whole:
        few = leases[-1].ports.count
        words.append(f"{len(leases) - whole} with ports of a shared one: {few} and {few}")
    return ", ".join(words)


def messages() -> Finding:
    """Whether the kernel writes about each packet."""
    flag = Vhci(sysfs=SYSFS).debug_flag()
    if not flag:
        return Finding(name="messages", text="usbip-core writes nothing about packets")
    return Finding(
        name="messages",
        text=f"usbip_debug_flag is {flag:#x}: USB is slower by orders of magnitude",
        remedy="The agent writes 0 when it starts: systemctl restart qvd-usb-agent",
    )


def defects() -> list[Finding]:
    """What is known to be wrong with this kernel."""
    found = findings(Side.HOST, kernel_of(platform.release(), platform.version()))
    lines = [
        Finding(
            name="defect",
            text=f"{each.defect.code}: {each.defect.what}: {each.verdict} ({each.why})",
            remedy=f"{each.defect.answer[:1].upper()}{each.defect.answer[1:]}.",
        )
        for each in found
        if each.verdict is not Verdict.FIXED
    ]
    fixed = len(found) - len(lines)
    return [
        *lines,
        Finding(name="defects", text=f"{fixed} of {len(found)} known defects of vhci are fixed in this kernel"),
    ]


def _lending() -> Lending:
    """What the administrator lends; settings with a fault have a line of their own."""
    try:
        return settings.load().lending
    except QvdUsbError:
        return USUAL


def use_vhci_hubs() -> Finding:
    """Whether node.conf can be used, and whether the administrator wants hubs to be used."""
    if not settings.load().use_vhci_hubs:
        error = QvdUsbError(HUBS_DISABLED)
        text = f"{settings.USE_VHCI_HUBS} is not 1: no container gets a hub"
        return Finding(name="setting", text=text, remedy=error.remedy(), exit_status=HUBS_DISABLED.exit_status)
    return Finding(name="setting", text=f"{settings.USE_VHCI_HUBS}=1")


def cgroup() -> Finding:
    """Which hierarchy is in force."""
    if (SYSFS / "fs/cgroup/cgroup.controllers").exists():
        return Finding(name="cgroup", text="v2, unified")
    hybrid = (SYSFS / "fs/cgroup/unified/cgroup.controllers").exists()
    mode = "v1 beside v2 (hybrid)" if hybrid else "v1"
    if default_backend(SYSFS / "fs/cgroup") == Backend.V1:
        return Finding(name="cgroup", text=f"{mode}: device rights by its files (lxc-config --backend {Backend.V1})")
    reason = f"this host has cgroup {mode}, not v2 alone (boot without systemd.unified_cgroup_hierarchy=0)"
    return failed("cgroup", BPF_UNAVAILABLE, reason=reason)


def bpf() -> Finding:
    """Whether maps can be pinned; nothing needs it where cgroup v1 decides."""
    if default_backend(SYSFS / "fs/cgroup") == Backend.V1:
        return Finding(name="bpf", text="not needed with cgroup v1")
    if not any(line.split()[1:3] == ["/sys/fs/bpf", "bpf"] for line in ROOT_MOUNTS.read_text().splitlines()):
        return failed("bpf", BPF_UNAVAILABLE, reason="no bpf file system at /sys/fs/bpf (mount -t bpf bpf /sys/fs/bpf)")
    return Finding(name="bpf", text="maps can be pinned below /sys/fs/bpf")


def apparmor() -> Finding:
    """Whether AppArmor is there to keep container root off the hubs' files."""
    switch = SYSFS / "module/apparmor/parameters/enabled"
    enabled = switch.exists() and switch.read_text(encoding="ascii").strip() == "Y"
    if enabled and shutil.which("apparmor_parser"):
        return _profile()
    return Finding(
        name="apparmor",
        text="AppArmor is not active: root of a container can reach other containers' hubs",
        remedy="Install apparmor and boot with it (kernel parameter apparmor=1 security=apparmor).",
        exit_status=LXC_CONFIG_MISSING.exit_status,
    )


def _profile() -> Finding:
    """Whether the profile of privileged containers is in force; only root can see it."""
    loaded = SYSFS / "kernel/security/apparmor/profiles"
    if not os.access(loaded, os.R_OK):
        return Finding(name="apparmor", text="enabled")
    if f"{lxc.PROFILE} (enforce)" in loaded.read_text(encoding="utf-8", errors="replace").splitlines():
        return Finding(name="apparmor", text=f"enabled, {lxc.PROFILE} is loaded")
    return Finding(
        name="apparmor",
        text=f"{lxc.PROFILE} is not loaded: no privileged container that names it starts",
        remedy=f"apparmor_parser --replace --write-cache {lxc.PROFILE_FILE}",
        exit_status=LXC_CONFIG_MISSING.exit_status,
    )


def others() -> list[Finding]:
    """Which programs of this host would take hold of lent devices."""
    kept, loose = bystanders.present(lambda file: (ROOT / file.lstrip("/")).exists())
    lines = [
        Finding(name="program", text=f"{each.name} {each.deed}: nothing keeps it off lent devices", remedy=each.remedy,
             exit_status=HOST_PROGRAM.exit_status)
        for each in loose
    ]  # fmt: skip
    if not (ROOT / RULES).is_file():
        return [*lines, failed("programs", HOST_PROGRAM, programs=", ".join(each.name for each in kept) or "udev")]
    names = ", ".join(f"{each.name} ({each.told})" for each in kept) or "none is here that would"
    return [*lines, Finding(name="programs", text=f"kept off lent devices by udev's rules: {names}")]


def containers() -> Finding:
    """Whether LXC is there, with what its lines refer to."""
    if shutil.which("lxc-start") is None:
        text, remedy = "LXC is not installed", "apt install lxc"
    elif not Path(lxc.SECCOMP).is_file():
        text, remedy = f"{lxc.SECCOMP} is missing", "Install the qvd-usbip server package (make install ROLE=server)."
    else:
        return Finding(name="lxc", text="lxc-start and the seccomp profile are there")
    return Finding(name="lxc", text=text, remedy=remedy, exit_status=LXC_CONFIG_MISSING.exit_status)


def agent() -> list[Finding]:
    """What the running agent lacks; nothing where none answers."""
    try:
        found = asking.ask({"op": "status"})
    except QvdUsbError:
        return []
    lines = []
    reasons = {
        NO_FREE_HUB: (
            "every hub was lent when they started",
            f"Stop other containers, or lend more ({settings.HUBS}, {settings.SHARED_HUBS}); then start them again.",
        ),
        HUBS_DISABLED: (
            f"{settings.USE_VHCI_HUBS} was not 1 when they started",
            f"Set {settings.USE_VHCI_HUBS}=1; then start them again.",
        ),
    }
    for problem, (why, remedy) in reasons.items():
        rows = found.get("containers", ())
        without = [str(each["name"]) for each in rows if each.get("without_usb") == problem.code]
        if without:
            text = f"without USB, for {why}: {', '.join(without)}"
            lines.append(Finding(name="agent", text=text, remedy=remedy))
    if found.get("unrecorded"):
        error = QvdUsbError(CONFIG_UNWRITABLE, path="the ledger", reason=found["unrecorded"])
        text = f"the ledger is not written ({found['unrecorded']}): no container can start"
        lines.append(
            Finding(name="ledger", text=text, remedy=error.remedy(), exit_status=CONFIG_UNWRITABLE.exit_status)
        )
    return lines


LOOKS: tuple[tuple[str, Look], ...] = (
    ("account", account),
    ("kernel", kernel),
    ("module", module),
    ("hubs", hubs),
    ("agent", agent),
    ("messages", messages),
    ("setting", use_vhci_hubs),
    ("cgroup", cgroup),
    ("bpf", bpf),
    ("apparmor", apparmor),
    ("lxc", containers),
    ("programs", others),
    ("defects", defects),
)
