"""EFFECT (as root): a clean root of a suite with the tools, and the packages built and looked at by lintian in it.

`python3 -m tests.lab.packagework root|build|discard SUITE FOLDER ROOT UID GID`. The end of its standard input is the
order to stop. What it leaves belongs to UID:GID.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.lab import bootstrap, packages, processes, product
from tests.lab.errors import LabError
from tests.lab.recipe import Suite, suite_named

#: Who builds in there: nobody in particular, and not root.
_BUILDER = "1000:1000"
#: In a mount namespace of its own, and in memory: hundreds of megabytes are read there once and written never. The
#: helper's launcher names the interpreter of the release, so the packages of two releases are not the same.
_OUTSIDE = """
set -eu
mkdir root
mount -t tmpfs -o mode=0755 tmpfs root
tar -C root --numeric-owner --exclude='./dev/*' -xf "$1"
cp -a tree root/build
chown -R "$2" root/build
mount --rbind /dev root/dev
mount -t proc proc root/proc
chroot --userspec="$2" root env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/build LC_ALL=C.UTF-8 \\
  DEB_BUILD_PROFILES="$3" sh -c "$4"
cp root/build/*.deb .
"""
_INSIDE = """
set -eu
cd /build/qvd-usbip
. /etc/os-release
sed -i "1s/)/~deb$VERSION_ID)/" debian/changelog
dpkg-buildpackage --build=binary --unsigned-changes --unsigned-buildinfo >../log 2>&1 || { tail -n 40 ../log; exit 1; }
lintian --fail-on=error,warning ../*.deb
case "$DEB_BUILD_PROFILES" in *nopicker) exit ;; esac
desktop-file-validate resources/desktop/*.desktop
appstreamcli validate --no-net --override=url-homepage-missing=info resources/desktop/*.xml
"""


def _unpack(suite: Suite, folder: Path) -> None:
    bootstrap.unpack(suite.name, {"build": packages.TOOLS}, folder, [])


def _build(suite: Suite, folder: Path, archives: Path) -> None:
    _copy_tree(folder / "tree/qvd-usbip")
    profiles = "" if suite.pyside else "pkg.qvd-usbip.nopicker"
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", _OUTSIDE, "sh", str(archives / "build.tar"), _BUILDER, profiles, _INSIDE],
        cwd=folder,
        check=False,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    sys.stderr.write(done.stdout + done.stderr)
    shutil.rmtree(folder / "tree")
    (folder / "root").rmdir()
    if done.returncode:
        raise LabError(f"no packages for {suite.name}: not built, or lintian has a word about them (see above)")


def _copy_tree(tree: Path) -> None:
    """The working tree's files, and debian/ where Debian's tools look for it."""
    for path in packages.files():
        place = tree / path.relative_to(product.REPOSITORY)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, place)
    shutil.copytree(tree / "resources/packaging/debian", tree / "debian")


def main(argv: list[str]) -> int:
    """Does one piece of work; the exit status says whether it is complete."""
    verb, name, folder, archives, uid, gid = argv
    suite, place = suite_named(name), Path(folder)
    try:
        with processes.stopped_with_stdin():
            if verb == "root":
                _unpack(suite, place)
            elif verb == "build":
                _build(suite, place, Path(archives))
            else:
                shutil.rmtree(place)
                return 0
            for path in (place, *place.rglob("*")):
                os.chown(path, int(uid), int(gid), follow_symlinks=False)
    except LabError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except subprocess.CalledProcessError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
