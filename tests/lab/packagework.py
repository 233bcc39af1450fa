"""EFFECT (as root): a clean root of a suite with the tools, and the packages built and looked at by lintian in it.

`python3 -m tests.lab.packagework root|build|rpmroot|rpmbuild|discard SUITE FOLDER ROOT UID GID`; `rpmwork` does
what begins with rpm. The end of its standard input is the order to stop. What it leaves belongs to UID:GID.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.lab import bootstrap, packageroot, packages, processes, rpmwork
from tests.lab.errors import LabError
from tests.lab.recipe import Suite, suite_named

#: The helper's launcher names the interpreter of the release, so the packages of two releases are not the same.
_OUTSIDE = """
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
    tree = folder / "tree/qvd-usbip"
    packageroot.copy_tree(tree)
    shutil.copytree(tree / "resources/packaging/debian", tree / "debian")  # where Debian's tools look for it
    profiles = "" if suite.pyside else "pkg.qvd-usbip.nopicker"
    if not packageroot.run(folder, archives / "build.tar", _OUTSIDE, profiles, _INSIDE):
        raise LabError(f"no packages for {suite.name}: not built, or lintian has a word about them (see above)")


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
            elif verb == "rpmroot":
                rpmwork.unpack(suite, place)
            elif verb == "rpmbuild":
                rpmwork.build(place, Path(archives))
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
