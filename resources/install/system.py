"""EFFECT: what the system must be told after an installation: groups, folders below /run, units, rules, profiles."""

import os
import shutil
import subprocess
from pathlib import Path

from layout import PROFILE, Role


def make_groups(root: Path, role: Role) -> str:
    """Creates the role's group in the system below `root` and says what was done.

    A folder without /etc/group is a package in the making: there the package's own installation does it.
    """
    if not role.sysusers:
        return ""
    if not (root / "etc/group").exists():
        return f"no /etc/group below {root}: the group of {role.sysusers} is made where the package is installed"
    if os.geteuid() != 0:
        return f"not root: the group of {role.sysusers} was not made"
    if shutil.which("systemd-sysusers"):
        subprocess.run(["systemd-sysusers", f"--root={root}", role.sysusers], check=True)
    else:
        for group in _groups(root / "usr/lib/sysusers.d" / role.sysusers):
            subprocess.run(["groupadd", "--system", "--force", "--prefix", str(root), group], check=True)
    return f"groups of {role.sysusers} are there"


def _groups(file: Path) -> list[str]:
    lines = (line.split() for line in file.read_text(encoding="utf-8").splitlines())
    return [words[1] for words in lines if words and words[0] == "g"]


def make_run_folders(roles: tuple[Role, ...]) -> None:
    """Makes the folders below /run that the next boot would make."""
    for role in roles:
        if role.tmpfiles and shutil.which("systemd-tmpfiles"):
            subprocess.run(["systemd-tmpfiles", "--create", role.tmpfiles], check=True)


def reload_running_system() -> None:
    """Lets systemd, udev and AppArmor, where they run, read again what they have read before; nothing is started.

    The compiled profile is kept, so that the next boot has it before the first container. A profile that was removed
    stays loaded until then: what runs in it would be free without it.
    """
    if Path("/run/systemd/system").is_dir():
        subprocess.run(["systemctl", "daemon-reload"], check=True)
    if Path("/run/udev/control").exists():
        subprocess.run(["udevadm", "control", "--reload"], check=True)
    if Path(PROFILE).exists() and Path("/sys/kernel/security/apparmor/.replace").exists():
        subprocess.run(["apparmor_parser", "--replace", "--write-cache", PROFILE], check=True)
