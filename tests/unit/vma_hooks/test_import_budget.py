"""The hook starts once per event, under root: what it may import is counted."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
TOO_DEAR = set("argparse collections dataclasses enum logging pathlib re socket subprocess typing".split())
LIST = f"import sys; sys.path.insert(0, {str(ROOT)!r}); import {{}}; print(*sys.modules)"


def imported(module: str) -> set[str]:
    shown = subprocess.run(
        [sys.executable, "-I", "-S", "-c", LIST.format(module)], capture_output=True, text=True, check=True
    )
    return set(shown.stdout.split())


def test_the_hook_imports_nothing_dear() -> None:
    assert imported("vma_hooks.create_device") & TOO_DEAR == set()


def test_the_hook_imports_only_what_comes_with_python_and_the_light_modules() -> None:
    ours = {name for name in imported("vma_hooks.create_device") if name.startswith("qvd_usbip.")}
    assert ours == {f"qvd_usbip.{name}" for name in (
        "errors", "ids", "port_range", "printable", "problem", "properties", "system", "system.files", "uevent",
    )}  # fmt: skip
    assert not imported("vma_hooks.create_device") & {"h11", "qvd_usbip.wire"}


def test_what_looks_for_h11_runs_without_it() -> None:
    assert not {name for name in imported("vma_hooks.image") if name.partition(".")[0] == "h11"}


def test_a_dear_import_would_be_noticed() -> None:
    assert imported("vma_hooks.readiness") & TOO_DEAR
