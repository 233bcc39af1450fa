"""EFFECT (as root): an unpacked root → kernel, initial RAM disk and disk image, without a mount or a loop device."""

import lzma
import shutil
import subprocess
from pathlib import Path

from tests.lab.recipe import INITRD_MODULES

_INIT = """#!/bin/sh
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev
for module in /modules/*; do insmod "$module"; done
tries=0
while [ ! -b /dev/vda ] && [ $tries -lt 200 ]; do sleep 0.05; tries=$((tries+1)); done
mount -t ext4 -o rw,noatime /dev/vda /root || exec sh
exec switch_root /root /sbin/init
"""


def _module_files(root: Path, kernel: str) -> list[Path]:
    """The modules of the initial RAM disk with what they need, in the order to load them."""
    found: list[Path] = []
    for name in INITRD_MODULES:
        query = ["modprobe", "-d", str(root), "-S", kernel, "--show-depends", "--ignore-install", name]
        answer = subprocess.run(query, check=False, capture_output=True, text=True)  # fails for one that is built in
        for line in answer.stdout.splitlines():
            verb, _, rest = line.partition(" ")
            path = Path(rest.split()[0]) if rest else Path()
            if verb == "insmod" and path not in found:
                found.append(path)
    return found


def _make_initrd(root: Path, kernel: str, work: Path, target: Path) -> None:
    for name in ("bin", "proc", "sys", "dev", "root", "modules"):
        (work / name).mkdir(parents=True)
    shutil.copy(root / "usr/bin/busybox", work / "bin/busybox")
    for name in ("sh", "mount", "insmod", "switch_root", "sleep"):
        (work / "bin" / name).symlink_to("busybox")
    for number, path in enumerate(_module_files(root, kernel)):
        data = path.read_bytes()
        name = path.name.removesuffix(".xz")
        (work / "modules" / f"{number:02d}-{name}").write_bytes(lzma.decompress(data) if path.suffix == ".xz" else data)
    (work / "init").write_text(_INIT, encoding="ascii")
    (work / "init").chmod(0o755)
    names = "\n".join(str(path.relative_to(work)) for path in sorted(work.rglob("*"))).encode()
    pack = ["cpio", "-o", "-H", "newc", "--quiet", "-D", str(work)]
    target.write_bytes(subprocess.run(pack, input=names, check=True, capture_output=True).stdout)


def make_image(root: Path, work: Path, folder: Path) -> None:
    """Writes `vmlinuz`, `initrd` and `disk.ext4` of `root` into `folder`; `work` is a new folder for scratch files."""
    (modules,) = (root / "usr/lib/modules").iterdir()
    _make_initrd(root, modules.name, work, folder / "initrd")
    shutil.copy(root / f"boot/vmlinuz-{modules.name}", folder / "vmlinuz")
    make = ["mke2fs", "-q", "-t", "ext4", "-O", "^has_journal,^metadata_csum", "-m", "0", "-N", "200000"]
    subprocess.run([*make, "-d", str(root), str(folder / "disk.ext4"), "6G"], check=True)
