"""EFFECT: the stored levels a lab goes on from: `base` (booted and settled) and `product` (with ours installed)."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from tests.lab import cache, emulator, product, runs
from tests.lab.accelerator import accelerator, give_up_kvm
from tests.lab.build import Image, ensure_image
from tests.lab.errors import GuestStopped, LabError
from tests.lab.machines import Pair
from tests.lab.progress import say, stage
from tests.lab.recipe import Suite

_HERE = Path(__file__).parent
#: What decides the state of a guest that has booted, beside its image.
_INGREDIENTS = ("qemu.py", "machines.py", "levels.py")
#: What decides, beside the product itself, how it is installed.
_PRODUCT_INGREDIENTS = ("product.py", "first_loan.py", "containers.py")


def base_key(image: Image, append: str) -> str:
    """The key of the level `base`: a stored state belongs to one image, one QEMU and one accelerator."""
    files = cache.key_of_files(_HERE, [_HERE / name for name in _INGREDIENTS])
    return cache.key_of([image.key, files, emulator.version(), accelerator(image.folder), append])


def store_from(image: Image, base: Path, append: str, prepare: Callable[[Pair], None], folder: Path) -> None:
    """Starts a pair from `base`, lets `prepare` change it, and stores it into `folder`."""
    with runs.folders("store") as folders, Pair(image, base, folders, accelerator(image.folder), append) as pair:
        prepare(pair)
        pair.store(folder)


def _boot(image: Image, append: str, folder: Path) -> None:
    with stage(f"booting both guests of {image.suite.name} and storing them"):
        store_from(image, image.folder, append, Pair.settle, folder)


def ensure_base(image: Image, append: str) -> Path:
    """The folder of the level `base`, booted without KVM where KVM turns out to stop a guest."""
    try:
        return _ensure_base(image, append)
    except GuestStopped as stopped:
        if not give_up_kvm(image.folder):
            raise
        say(f"{stopped.problem.splitlines()[0]}; going on without KVM")
        return _ensure_base(image, append)


def _ensure_base(image: Image, append: str) -> Path:
    root = cache.cache_root()
    folder = root / f"base-{image.suite.name}-{base_key(image, append)}"
    cache.ensure(folder, "the booted guests", partial(_boot, image, append), cache.remove)
    cache.prune(root, f"base-{image.suite.name}-", 2)
    return folder


def _install(image: Image, base: Path, append: str, folder: Path) -> None:
    with stage(f"installing the product in both guests of {image.suite.name} and storing them"):
        store_from(image, base, append, product.install, folder)


def ensure(suite: Suite, level: str, append: str) -> tuple[Image, Path, Path]:
    """The image, the folder of its level `base`, and that of `level`: the same, or the product of the working tree.

    Raises:
        LabError: there is no such level, or it cannot be built.
    """
    if level not in {"base", "product"}:
        raise LabError(f"the lab knows no level {level!r}", "known: base, product")
    image = ensure_image(suite)
    base = ensure_base(image, append)
    return image, base, _ensure_product(image, base, append) if level == "product" else base


def _ensure_product(image: Image, base: Path, append: str) -> Path:
    root = cache.cache_root()
    ways = cache.key_of_files(_HERE, [_HERE / name for name in _PRODUCT_INGREDIENTS])
    key = cache.key_of([base_key(image, append), ways, product.tree_key()])
    folder = root / f"product-{image.suite.name}-{key}"
    with cache.in_use(base):
        cache.ensure(folder, "the guests with the product", partial(_install, image, base, append), cache.remove)
    cache.prune(root, f"product-{image.suite.name}-", 3)
    return folder
