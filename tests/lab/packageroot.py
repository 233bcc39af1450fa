"""EFFECT (as root): a clean root in memory, with the working tree's files in it, for who builds packages there."""

import shutil
import subprocess
import sys
from pathlib import Path

from tests.lab import packages, product

#: Who builds in there: nobody in particular, and not root.
BUILDER = "1000:1000"
#: In a mount namespace of its own, and in memory: hundreds of megabytes are read there once and written never.
#: Where / is no mount (a chroot) it cannot be made private: then `root` is, and goes by hand, outside as well.
_READY = """
set -eu
mkdir root
mount --make-rprivate / 2>/dev/null || :
mount -t tmpfs -o mode=0755 tmpfs root
trap 'umount -lR root' EXIT
mount --make-private root
tar -C root --numeric-owner --exclude='./dev/*' -xf "$1"
cp -a tree root/build
chown -R "$2" root/build
mount --rbind /dev root/dev
mount --make-rslave root/dev
mount -t proc proc root/proc
"""


def copy_tree(tree: Path) -> None:
    """Copies the working tree's files that packages are built from."""
    for path in packages.files():
        place = tree / path.relative_to(product.REPOSITORY)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, place)


def run(folder: Path, archive: Path, script: str, *words: str) -> bool:
    """Unpacks the root as `root`, puts what is in `tree` into its /build, and runs a script beside both.

    Returns: whether it came to its end; what it said is on standard error. The tree and the root are gone then.

    Args: where it happens; the root's archive; plain sh, with the archive, BUILDER and the words as $1, $2, $3 …
    """
    done = subprocess.run(
        [
            "unshare",
            "--mount",
            "--propagation",
            "unchanged",
            "sh",
            "-c",
            _READY + script,
            "sh",
            str(archive),
            BUILDER,
            *words,
        ],
        cwd=folder,
        check=False,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    sys.stderr.write(done.stdout + done.stderr)
    shutil.rmtree(folder / "tree")
    if (folder / "root").exists():  # else it could not be made, and that was said
        (folder / "root").rmdir()
    return done.returncode == 0
