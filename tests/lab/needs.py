"""EFFECT: installs the programs the lab runs on this machine, with apt, asking for nothing."""

import os
import shutil
import subprocess
from pathlib import Path

from tests.lab.cache import cache_root, lock
from tests.lab.errors import LabError
from tests.lab.progress import say, stage

#: Program → the Debian package that brings it.
PROGRAMS = {
    "qemu-img": "qemu-utils",
    "mmdebstrap": "mmdebstrap",
    "mke2fs": "e2fsprogs",
    "modprobe": "kmod",
    "depmod": "kmod",
    "cpio": "cpio",
}

_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def system_program(name: str) -> str | None:
    """The path of a system program, the administrator's folders included."""
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:{_SYSTEM_PATH}")


def missing_packages() -> list[str]:
    """The packages whose programs this machine lacks."""
    return sorted({package for program, package in PROGRAMS.items() if not system_program(program)})


def as_root(command: list[str]) -> list[str]:
    """The command line that runs `command` as root, without a question. Raises LabError where there is no way."""
    if os.geteuid() == 0:
        return command
    sudo = shutil.which("sudo")
    if not sudo:
        raise LabError("building the lab needs root, and sudo is not installed", "run it as root, or install sudo")
    if subprocess.run([sudo, "-n", "true"], check=False, capture_output=True).returncode:
        raise LabError("building the lab needs root, and sudo asks for a password here", "run `sudo -v` first")
    return [sudo, "-n", *command]


def install_needs() -> None:
    """Installs what is missing; says the list first. Raises LabError in one sentence where it cannot."""
    if not missing_packages():
        return
    with lock(cache_root() / "programs.lock", "the lab's programs"):  # two apt at once: the second one gives up
        if packages := missing_packages():
            _install(packages)


def _install(packages: list[str]) -> None:
    say(f"installing with apt: {' '.join(packages)}")
    if not shutil.which("apt-get"):
        raise LabError(
            f"this machine lacks {', '.join(packages)} and has no apt to install them",
            "run the lab on Debian 12 or 13, or install them by hand",
        )
    settings = ["env", "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C.UTF-8"]
    install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages]
    with stage("installing the lab's programs"):
        for command in (["apt-get", "update", "-qq"], install):
            done = subprocess.run(
                as_root([*settings, *command]), check=False, capture_output=True, stdin=subprocess.DEVNULL, text=True
            )
            if done.returncode:
                last = "\n".join((done.stdout + done.stderr).strip().splitlines()[-5:])
                raise LabError(
                    f"`{' '.join(command[:2])}` failed, so {', '.join(packages)} cannot be installed:\n{last}",
                    "see that the network and the machine's apt sources work: `apt-get update`",
                )
    if still := missing_packages():
        raise LabError(f"apt installed no program of {', '.join(still)}", f"look into {Path('/var/log/apt/term.log')}")
