"""EFFECT: the QEMU that guests run on: Debian 13's, unpacked in the cache, whatever this machine's own release is.

A stored state belongs to one QEMU; and without KVM Debian 12's takes half as much processor time again for a guest that
has run for a while. It is started by its own dynamic linker with its own libraries; nothing of it is installed.
"""

import subprocess
from pathlib import Path

from tests.lab import bootstrap, cache, needs
from tests.lab.build import run_as_root, unpacking_key
from tests.lab.progress import stage
from tests.lab.recipe import EDITION, SUITES

_SUITE = SUITES["trixie"]
_PACKAGES = ("qemu-system-x86",)
_WORK = "tests.lab.rootwork"
#: The program beside the folder `root`; the two may be moved together.
START = """#!/bin/sh
root=${0%/*}/root
libraries=$root/usr/lib/x86_64-linux-gnu
export QEMU_MODULE_DIR="$libraries/qemu"
exec "$libraries/ld-linux-x86-64.so.2" --library-path "$libraries" "$root/usr/bin/qemu-system-x86_64" \\
  -L "$root/usr/share/seabios" -L "$root/usr/share/qemu" "$@"
"""


def program() -> str:
    """The path of the program that starts QEMU; it is fetched and unpacked where it is not in the cache."""
    root = cache.cache_root()
    folder = root / f"emulator-{cache.key_of([str(EDITION), _SUITE.name, *_PACKAGES, START, unpacking_key()])}"
    cache.ensure(folder, "the lab's QEMU", _build, _discard)
    cache.prune(root, "emulator-", 2)
    return str(folder / "qemu")


def version() -> str:
    """What it says of its version, in its own words."""
    return subprocess.run([program(), "--version"], check=True, capture_output=True, text=True).stdout


def _build(folder: Path) -> None:
    needs.install_needs()
    with stage("fetching and unpacking QEMU"):
        run_as_root(_WORK, "emulator", _SUITE, folder, folder)


def _discard(folder: Path) -> None:
    run_as_root(_WORK, "discard", _SUITE, folder, folder)


def unpack(folder: Path) -> None:
    """Fills `folder` with the program and its root, as root."""
    bootstrap.unpack(_SUITE.name, {"emulator": _PACKAGES}, folder, ["--variant=extract"])
    (folder / "root").mkdir()
    archive = folder / "emulator.tar"
    subprocess.run(["tar", "-C", str(folder / "root"), "--exclude=./dev/*", "-xf", str(archive)], check=True)
    archive.unlink()
    write_start(folder)


def write_start(folder: Path) -> None:
    """Writes the program that starts the QEMU in `folder/root`."""
    (folder / "qemu").write_text(START, encoding="ascii")
    (folder / "qemu").chmod(0o755)
