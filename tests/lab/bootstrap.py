"""EFFECT (as root): unpacks Debian packages into two archives, the guests' root and the containers' root."""

import os
import shlex
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests.lab import apt_sources
from tests.lab.errors import LabError
from tests.lab.recipe import PATHS_LEFT_OUT, Suite

#: Which of the machine's own apt settings reach the package archive with the lab's apt.
_ACQUIRE = ("Check-", "Retries", "http", "https", "Proxy", "ForceIPv")


def _apt_options() -> list[str]:
    """The machine's settings for fetching packages (proxy, certificates, clock), as mmdebstrap's options."""
    dump = ["apt-config", "dump", "--format", '%f "%v";%n', "Acquire"]
    lines = subprocess.run(dump, check=True, capture_output=True, text=True).stdout.splitlines()
    kept = [
        line for line in lines if line.startswith(tuple(f"Acquire::{word}" for word in _ACQUIRE)) and '""' not in line
    ]
    return [f"--aptopt={line}" for line in [*kept, 'Acquire::Languages "none";', 'Acquire::Retries "3";']]


def _dpkg_options() -> list[str]:
    left_out = [f"--dpkgopt=path-exclude={pattern}" for pattern in PATHS_LEFT_OUT]
    return [*left_out, "--dpkgopt=path-include=/usr/share/doc/*/copyright"]


def _mmdebstrap(
    suite: str, packages: tuple[str, ...], archive: Path, sources: list[Path], more: list[str]
) -> subprocess.Popen[bytes]:
    temporary = archive.with_suffix(".tmp")
    temporary.mkdir()
    command = [
        *(
            "mmdebstrap",
            "--quiet",
            "--mode=root",
            "--variant=minbase",
            "--format=tar",
            f"--include={','.join(packages)}",
        ),
        *_apt_options(),
        *more,
        *(suite, str(archive), *map(str, sources)),
    ]
    log = archive.with_suffix(".log")
    log.write_text(shlex.join(command) + "\n", encoding="utf-8")
    # INITRD=No: the kernel's package makes no initramfs; ours is made by image.py.
    environment = {**os.environ, "TMPDIR": str(temporary), "INITRD": "No", "LC_ALL": "C.UTF-8"}
    with log.open("ab") as file:
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=file, stderr=file, env=environment)


def make_archives(suite: Suite, folder: Path) -> None:
    """Fills `folder` with `guest.tar` and `container.tar`; raises LabError with the end of the log when apt fails."""
    wanted = {"guest": suite.guest_packages, "container": suite.container_packages}
    unpack(suite.name, wanted, folder, _dpkg_options())


def unpack(suite: str, wanted: Mapping[str, tuple[str, ...]], folder: Path, more: list[str]) -> None:
    """Makes an archive of a root with these packages for each name, all at the same time.

    Args:
        suite: the code name of the release.
        wanted: `name` makes `name.tar`; the packages beside the essential ones.
        folder: where they go.
        more: options of mmdebstrap.

    Raises:
        LabError: with the end of the log, when apt fails.
    """
    here = apt_sources.code_name(Path("/etc/os-release").read_text(encoding="utf-8"))
    (folder / "sources").mkdir()
    sources = []
    for name, text in apt_sources.machine_sources(Path("/etc"), here, suite).items():
        path = folder / "sources" / name
        path.write_text(text, encoding="utf-8")
        sources.append(path)
    running = {
        name: _mmdebstrap(suite, packages, folder / f"{name}.tar", sources, more) for name, packages in wanted.items()
    }
    failed = [name for name, process in running.items() if process.wait()]
    for name in failed:
        tail = "\n".join((folder / f"{name}.log").read_text(errors="replace").strip().splitlines()[-12:])
        raise LabError(
            f"the packages of the lab's {name} could not be fetched and unpacked:\n{tail}",
            "see that the network and this machine's apt sources work: `apt-get update`",
        )
    for name in wanted:
        shutil.rmtree(folder / f"{name}.tmp")
