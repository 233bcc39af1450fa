"""EFFECT (as root): turns two unpacked Debian roots into the lab's guest with the containers' root inside it."""

import shutil
import subprocess
from pathlib import Path

from tests.lab.errors import LabError
from tests.lab.recipe import (
    BRIDGE_ADDRESS,
    CONTAINER_MASKED,
    CONTAINER_NETWORK,
    GUEST_MASKED,
    MODULES_LEFT_OUT,
    MODULES_NEEDED,
    ROLES,
)

_INSIDE = Path(__file__).parent / "inside"

_NETWORK = """[Match]
MACAddress={mac}
[Network]
Address={address}/24
LinkLocalAddressing=no
IPv6AcceptRA=no
{more}"""

_GUEST_FILES = {
    "etc/hosts": "127.0.0.1 localhost\n" + "".join(f"{role.address} {role.name}\n" for role in ROLES.values()),
    "etc/fstab": "tmpfs /tmp tmpfs mode=1777 0 0\n",
    "etc/machine-id": "",
    "etc/systemd/journald.conf.d/lab.conf": "[Journal]\nStorage=volatile\nRuntimeMaxUse=64M\nRateLimitBurst=0\n",
    "etc/systemd/network/10-server.network": _NETWORK.format(
        mac=ROLES["server"].mac, address=ROLES["server"].address, more=""
    ),
    "etc/systemd/network/10-client.network": _NETWORK.format(
        mac=ROLES["client"].mac,
        address=ROLES["client"].address,
        more=f"[Route]\nDestination={CONTAINER_NETWORK}\nGateway={ROLES['server'].address}\n",
    ),
    "etc/systemd/network/20-bridge.netdev": "[Match]\nHost=server\n[NetDev]\nName=br0\nKind=bridge\n",
    "etc/systemd/network/20-bridge.network": (
        f"[Match]\nName=br0\n[Network]\nAddress={BRIDGE_ADDRESS}/24\n"
        "ConfigureWithoutCarrier=yes\nLinkLocalAddressing=no\nIPv6AcceptRA=no\n"
    ),
    "etc/sysctl.d/90-lab.conf": (
        "net.ipv4.ip_forward=1\n"
        "kernel.core_pattern=|/usr/local/lib/lab/save-core.sh %P %e %s\n"
        "fs.suid_dumpable=2\n"
        "kernel.hung_task_timeout_secs=60\nkernel.hung_task_warnings=-1\n"
        "kernel.watchdog_thresh=30\n"
    ),
    "etc/modprobe.d/lab.conf": "options dummy_hcd num=4\n",
    "etc/modules-load.d/lab.conf": "configfs\nloop\n",
    "etc/subuid": "root:100000:65536\n",
    "etc/subgid": "root:100000:65536\n",
    "etc/lxc/default.conf": "lxc.net.0.type = empty\n",
    "etc/systemd/system/serial-getty@hvc0.service.d/lab.conf": (
        "[Service]\nExecStart=\nExecStart=-/sbin/agetty --noclear --autologin root --keep-baud 115200 - $TERM\n"
    ),
    "etc/systemd/system/lab-agent.service": """[Unit]
Description=Runs the laboratory's commands
Wants=dev-virtio\\x2dports-lab.agent.device
After=dev-virtio\\x2dports-lab.agent.device
[Service]
# The turns of an emulated processor's programs, in the work done in one, as long as on a real one (Debian 13's kernel).
ExecStartPre=-/bin/sh -c 'echo 20000000 >/sys/kernel/debug/sched/base_slice_ns'
ExecStart=/usr/bin/python3 -I /usr/local/lib/lab/agent.py
KillMode=process
Restart=always
RestartSec=1
Delegate=yes
OOMScoreAdjust=-900
[Install]
WantedBy=multi-user.target
""",
}

#: systemd's own services abort when their watchdog starves: on a busy building machine that proves nothing.
_NO_WATCHDOG = {
    f"etc/systemd/system/systemd-{name}.service.d/lab.conf": "[Service]\nWatchdogSec=0\n"
    for name in ("journald", "logind", "networkd", "udevd")
}

_CONTAINER_FILES = {
    "etc/machine-id": "",
    "etc/hostname": "container\n",
    "etc/hosts": "127.0.0.1 localhost\n10.9.0.1 server\n10.9.0.2 client\n",
    "etc/fstab": "",
}


def _chroot(root: Path, *command: str) -> None:
    done = subprocess.run(
        ["chroot", str(root), *command], check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    if done.returncode:
        raise LabError(f"in the new root, `{' '.join(command)}` failed: {done.stdout}{done.stderr}")


def _write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)  # it may be a link that leads out of the root
        path.write_text(text, encoding="utf-8")


def _accounts(root: Path) -> None:
    for name, uid in (("user", 1000), ("other", 1001)):
        _chroot(root, "useradd", "-m", "-u", str(uid), "-s", "/bin/bash", name)
        _chroot(root, "passwd", "-qd", name)
    _chroot(root, "passwd", "-qd", "root")


def _prune_modules(root: Path) -> None:
    (modules,) = (root / "usr/lib/modules").iterdir()
    for pattern in MODULES_LEFT_OUT:
        for path in modules.glob(pattern):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    subprocess.run(["depmod", "-b", str(root), modules.name], check=True)
    for name in MODULES_NEEDED:
        query = ["modinfo", "-b", str(root), "-k", modules.name, name]
        if subprocess.run(query, check=False, capture_output=True).returncode:
            raise LabError(f"the guest's kernel {modules.name} has no module {name}")


def _prune_apparmor(root: Path) -> None:
    """Only the profiles of LXC stay: loading all of them takes seconds at each boot under emulation."""
    for path in (root / "etc/apparmor.d").iterdir():
        if path.is_file() and "lxc" not in path.name:
            path.unlink()


def _start_on_demand(root: Path) -> None:
    """No scenario waits for what only a desktop needs: D-Bus starts udisks2 for the first who asks it something.

    And polkitd brings a PAM module that would start a session manager for root at the console.
    """
    (root / "etc/systemd/system/graphical.target.wants/udisks2.service").unlink(missing_ok=True)
    session = root / "etc/pam.d/common-session"
    lines = session.read_text(encoding="utf-8").splitlines(keepends=True)
    session.write_text("".join(line for line in lines if "pam_systemd.so" not in line), encoding="utf-8")


def make_container_root(root: Path) -> None:
    """The containers' root: accounts, group, and no unit that a container does not need."""
    _write(root, _CONTAINER_FILES | _NO_WATCHDOG)
    _accounts(root)
    _chroot(root, "groupadd", "--system", "qvduser")
    _chroot(root, "usermod", "-aG", "qvduser", "user")
    _chroot(root, "systemctl", "-q", "mask", *CONTAINER_MASKED)
    shutil.rmtree(root / "var/cache/apt", ignore_errors=True)
    shutil.rmtree(root / "var/lib/apt/lists", ignore_errors=True)


def make_guest_root(root: Path) -> None:
    """The guests' root: network by role, the lab's agent, core dumps kept, modules pruned."""
    _write(root, _GUEST_FILES | _NO_WATCHDOG)
    (root / "etc/hostname").unlink(missing_ok=True)  # the role comes with the kernel's command line
    _accounts(root)
    tools = root / "usr/local/lib/lab"
    tools.mkdir(parents=True)
    for path in _INSIDE.iterdir():
        if path.is_file():
            shutil.copy(path, tools / path.name)
            (tools / path.name).chmod(0o755)
    (root / "var/lib/lab/cores").mkdir(parents=True)
    _chroot(root, "systemctl", "-q", "enable", "lab-agent.service", "systemd-networkd.service")
    _chroot(root, "systemctl", "-q", "mask", *GUEST_MASKED)
    _start_on_demand(root)
    _prune_apparmor(root)
    _prune_modules(root)
    shutil.rmtree(root / "var/cache/apt", ignore_errors=True)
    shutil.rmtree(root / "var/lib/apt/lists", ignore_errors=True)
