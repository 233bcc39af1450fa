"""EFFECT: the part of the build that needs root, as a program of its own.

`python3 -m tests.lab.rootwork archives|image|emulator|discard SUITE FOLDER ARCHIVES UID GID`. The end of its
standard input is the order to stop: it then ends everything it started. What it leaves belongs to UID:GID.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.lab import bootstrap, customise, emulator, image, processes
from tests.lab.errors import LabError
from tests.lab.recipe import Suite, suite_named


def _unpack(archive: Path, root: Path) -> None:
    root.mkdir(parents=True)
    tar = ["tar", "-C", str(root), "--numeric-owner", "--xattrs", "--xattrs-include=*", "--exclude=./dev/*", "-xf"]
    subprocess.run([*tar, str(archive)], check=True)


def _make_image(folder: Path, archives: Path) -> None:
    work = folder / "work"
    guest = work / "guest"
    _unpack(archives / "guest.tar", guest)
    customise.make_guest_root(guest)
    container = guest / "srv/ctroot"
    _unpack(archives / "container.tar", container)
    customise.make_container_root(container)
    image.make_image(guest, work / "initrd", folder)
    shutil.rmtree(work)


def _hand_over(folder: Path, uid: int, gid: int) -> None:
    for path in [folder, *folder.rglob("*")]:
        os.chown(path, uid, gid, follow_symlinks=False)


def _work(verb: str, suite: Suite, folder: Path, archives: Path) -> None:
    if verb == "archives":
        bootstrap.make_archives(suite, folder)
    elif verb == "image":
        _make_image(folder, archives)
    elif verb == "emulator":
        emulator.unpack(folder)
    elif verb == "discard":
        shutil.rmtree(folder)
    else:
        raise LabError(f"unknown work {verb!r}")


def main(argv: list[str]) -> int:
    """Does one piece of work; the exit status says whether it is complete."""
    verb, suite, folder, archives, uid, gid = argv
    try:
        with processes.stopped_with_stdin():
            _work(verb, suite_named(suite), Path(folder), Path(archives))
            if verb != "discard":
                _hand_over(Path(folder), int(uid), int(gid))
    except LabError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except subprocess.CalledProcessError as error:
        sys.stderr.write(f"{error}\n{(error.stderr or b'').decode(errors='replace')}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
