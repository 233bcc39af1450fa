"""EFFECT: the product's Debian packages of a suite, from the cache or built now in a clean root of that suite.

`python3 -m tests.lab.packages FOLDER [SUITE…]` leaves them in FOLDER/SUITE (without a suite: of all the lab knows).
"""

import shutil
import sys
from functools import partial
from pathlib import Path

from tests.lab import cache, needs, processes, product
from tests.lab.build import run_as_root
from tests.lab.errors import LabError
from tests.lab.progress import say, stage
from tests.lab.recipe import EDITION, SUITES, Suite, suite_named

_HERE = Path(__file__).parent
_WORK = "tests.lab.packagework"
#: What a package is built and looked at with; its own build dependencies stand in debian/control.
TOOLS = tuple("appstream build-essential debhelper desktop-file-utils dh-apparmor dh-python lintian python3".split())
#: What the packages are made of beside what an installation reads.
_MORE = ("LICENSE", "CHANGELOG.md")
_LEFT_OUT = tuple(f"resources/{name}/" for name in ("doc", "examples", "requirements", "screenshots"))


def files(repository: Path = product.REPOSITORY) -> list[Path]:
    """The working tree's files that the packages are built from."""
    read = product.files(repository)
    packed = (path for path in read if not path.relative_to(repository).as_posix().startswith(_LEFT_OUT))
    return sorted([*packed, *(repository / name for name in _MORE)])


def ensure_packages(suite: Suite) -> Path:
    """The folder with the packages of the working tree: costs nothing when nothing of them changed."""
    root = cache.cache_root()
    steps = cache.key_of_files(_HERE, [_HERE / "packagework.py", _HERE / "packageroot.py"])
    key = cache.key_of([cache.key_of_files(product.REPOSITORY, files()), steps, _root_key(suite)])
    folder = root / f"debs-{suite.name}-{key}"
    cache.ensure(folder, f"the packages for {suite.name}", partial(_build, suite), partial(_discard, suite))
    cache.prune(root, f"debs-{suite.name}-", 2)
    return folder


def _root_key(suite: Suite) -> str:
    return cache.key_of([str(EDITION), suite.name, *TOOLS])


def _build(suite: Suite, folder: Path) -> None:
    root = cache.cache_root()
    archives = cache.ensure(
        root / f"buildroot-{suite.name}-{_root_key(suite)}",
        f"the root that builds for {suite.name}",
        partial(_unpack, suite),
        partial(_discard, suite),
    )
    cache.prune(root, f"buildroot-{suite.name}-", 1)
    with stage(f"building the packages for {suite.name}"):
        run_as_root(_WORK, "build", suite, folder, archives)


def _unpack(suite: Suite, folder: Path) -> None:
    needs.install_needs()
    with stage(f"fetching and unpacking what builds packages for {suite.name}"):
        run_as_root(_WORK, "root", suite, folder, folder)


def _discard(suite: Suite, folder: Path) -> None:
    run_as_root(_WORK, "discard", suite, folder, folder)


def main(argv: list[str]) -> int:
    """Leaves the packages where the command line says; 1 with a sentence where they cannot be built."""
    target, *names = argv
    processes.signals_raise_exit()
    try:
        for suite in map(suite_named, names or SUITES):
            built = ensure_packages(suite)
            place = Path(target, suite.name)
            shutil.rmtree(place, ignore_errors=True)
            shutil.copytree(built, place)
            for path in sorted(place.glob("*.deb")):
                say(str(path))
    except LabError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
