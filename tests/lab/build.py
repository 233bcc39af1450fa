"""EFFECT: the disk image of a suite, from the cache or built now."""

import os
import subprocess
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.lab import cache, needs, processes, recipe
from tests.lab.errors import LabError
from tests.lab.progress import stage
from tests.lab.recipe import Suite

_HERE = Path(__file__).parent
_REPOSITORY = _HERE.parent.parent
#: The files that decide what is in an image.
_INGREDIENTS = ("recipe.py", "customise.py", "image.py", "rootwork.py")


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """A complete image: the folder holds `vmlinuz`, `initrd` and `disk.ext4`; the key stands for its content."""

    folder: Path
    key: str
    suite: Suite


def archives_key(suite: Suite) -> str:
    """The key of the unpacked packages."""
    words = (*suite.guest_packages, "|", *suite.container_packages, "|", *recipe.PATHS_LEFT_OUT)
    return cache.key_of([str(recipe.EDITION), suite.name, *words, unpacking_key()])


def unpacking_key() -> str:
    """The key of how packages are unpacked."""
    return cache.key_of_files(_HERE, [_HERE / "bootstrap.py"])


def image_key(suite: Suite) -> str:
    """The key of the image made from them."""
    inside = [path for path in (_HERE / "inside").iterdir() if path.is_file()]
    files = cache.key_of_files(_HERE, [*(_HERE / name for name in _INGREDIENTS), *inside])
    return cache.key_of([archives_key(suite), files])


def _as_root(verb: str, suite: Suite, folder: Path, archives: Path) -> None:
    run_as_root("tests.lab.rootwork", verb, suite, folder, archives)


def run_as_root(program: str, verb: str, suite: Suite, folder: Path, source: Path) -> None:
    """Runs a module of the lab as root; it ends with this process, whatever ends it. Raises LabError if it failed."""
    arguments = [verb, suite.name, str(folder), str(source), str(os.getuid()), str(os.getgid())]
    path = f"PATH={os.environ.get('PATH', '')}:/usr/local/sbin:/usr/sbin:/sbin"
    command = ["env", path, f"PYTHONPATH={_REPOSITORY}", sys.executable, "-B", "-m", program, *arguments]
    process = processes.start(needs.as_root(command), stdin=subprocess.PIPE)
    try:
        status = process.wait()
    finally:
        assert process.stdin
        process.stdin.close()  # the order to stop, where it still runs
        process.wait()
    if status:
        raise LabError(f"the lab's {verb} of {suite.name} could not be made (see above)")


def _discard(suite: Suite, folder: Path) -> None:
    _as_root("discard", suite, folder, folder)


def _build(verb: str, what: str, suite: Suite, archives: Path, folder: Path) -> None:
    needs.install_needs()
    with stage(what):
        _as_root(verb, suite, folder, archives)


def ensure_image(suite: Suite) -> Image:
    """The image of `suite`: costs nothing when no ingredient changed since it was built."""
    root = cache.cache_root()
    key = image_key(suite)
    folder = root / f"image-{suite.name}-{key}"
    if not folder.is_dir():
        archives = cache.ensure(
            root / f"packages-{suite.name}-{archives_key(suite)}",
            f"the packages of {suite.name}",
            partial(_build, "archives", f"fetching and unpacking {suite.name}", suite, root),
            partial(_discard, suite),
        )
        cache.ensure(
            folder,
            f"the image of {suite.name}",
            partial(_build, "image", f"making the disk image of {suite.name}", suite, archives),
            partial(_discard, suite),
        )
        cache.prune(root, f"packages-{suite.name}-", 1)
        cache.prune(root, f"image-{suite.name}-", 2)
    needs.install_needs()
    return Image(folder=cache.ensure(folder, "the image", lambda _: None, lambda _: None), key=key, suite=suite)
