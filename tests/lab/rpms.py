"""EFFECT: the product's .rpm packages, from the cache or built and tried now in a clean root of the newest suite.

`python3 -m tests.lab.rpms FOLDER` leaves them in FOLDER, the source package too.
"""

import shutil
import sys
from functools import partial
from pathlib import Path

from tests.lab import cache, needs, packages, processes, product
from tests.lab.build import run_as_root
from tests.lab.errors import LabError
from tests.lab.progress import say, stage
from tests.lab.recipe import EDITION, SUITES
from tests.lab.rpmwork import TOOLS

_HERE = Path(__file__).parent
_WORK = "tests.lab.packagework"
_SUITE = next(iter(SUITES.values()))


def ensure_rpms() -> Path:
    """The folder with the packages of the working tree: costs nothing when nothing of them changed."""
    root = cache.cache_root()
    root_key = cache.key_of([str(EDITION), _SUITE.name, *TOOLS])
    steps = cache.key_of_files(_HERE, [_HERE / "rpmwork.py", _HERE / "packageroot.py"])
    key = cache.key_of([cache.key_of_files(product.REPOSITORY, packages.files()), steps, root_key])
    folder = root / f"rpms-{key}"
    discard = partial(_work, "discard", None)
    cache.ensure(folder, "the .rpm packages", partial(_build, root / f"rpmroot-{root_key}"), discard)
    cache.prune(root, "rpms-", 2)
    return folder


def _build(root: Path, folder: Path) -> None:
    discard = partial(_work, "discard", None)
    archives = cache.ensure(root, "the root that builds .rpm packages", _unpack, discard)
    cache.prune(root.parent, "rpmroot-", 1)
    with stage("building the .rpm packages, installing and erasing them"):
        _work("rpmbuild", archives, folder)


def _unpack(folder: Path) -> None:
    needs.install_needs()
    with stage("fetching and unpacking what builds .rpm packages"):
        _work("rpmroot", None, folder)


def _work(verb: str, archives: Path | None, folder: Path) -> None:
    run_as_root(_WORK, verb, _SUITE, folder, archives or folder)


def main(argv: list[str]) -> int:
    """Leaves the packages where the command line says; 1 with a sentence where they cannot be built."""
    (target,) = argv
    processes.signals_raise_exit()
    try:
        built = ensure_rpms()
    except LabError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(built, target)
    for path in sorted(Path(target).glob("*.rpm")):
        say(str(path))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
