"""What the hook and the helper import at each start stays light: measured in a bare interpreter of its own."""

import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = (
    *("dataclasses", "enum", "typing", "re", "pathlib", "socket", "argparse", "collections", "functools"),
    *("subprocess", "logging", "json", "__future__"),
)
LIGHT = (
    *("qvd_usbip.errors", "qvd_usbip.ids", "qvd_usbip.uevent", "qvd_usbip.vhci", "qvd_usbip.properties"),
    *(
        "qvd_usbip.bitmaps",
        "qvd_usbip.printable",
        "qvd_usbip.classes",
        "qvd_usbip.boundaries",
        "qvd_usbip.device_line",
        "qvd_usbip.system.files",
    ),
)


def loaded(repository: Path, *modules: str) -> set[str]:
    program = f"import sys; sys.path.insert(0, {str(repository)!r}); before = set(sys.modules)\n"
    program += "".join(f"import {module}\n" for module in modules)
    program += "print(*sorted(set(sys.modules) - before), sep='\\n')"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-B", "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    return set(done.stdout.split())


@pytest.mark.parametrize("module", LIGHT)
def test_a_light_module_imports_nothing_heavy(repository: Path, module: str) -> None:
    found = loaded(repository, module)
    assert module in found
    assert found & set(HEAVY) == set()


@pytest.mark.parametrize("module", ["qvd_usbip.errors", "qvd_usbip.ids", "qvd_usbip.uevent", "qvd_usbip.vhci"])
def test_what_every_start_needs_imports_only_our_own(repository: Path, module: str) -> None:
    assert {name.split(".")[0] for name in loaded(repository, module)} == {"qvd_usbip"}


def test_json_messages_cost_json_and_what_it_brings(repository: Path) -> None:
    ours = {name for name in loaded(repository, "qvd_usbip.json_object") if name.startswith("qvd_usbip")}
    names = ("errors", "json_object", "printable", "problem")
    assert ours == {"qvd_usbip", *(f"qvd_usbip.{name}" for name in names)}


def test_only_the_wire_needs_a_package_that_is_not_pythons(repository: Path) -> None:
    names = [
        f"qvd_usbip.{path.stem}"
        for path in sorted((repository / "qvd_usbip").glob("*.py"))
        if path.stem not in {"__init__", "wire"}
    ]
    found = {name.split(".")[0] for name in loaded(repository, *names)}
    assert found - sys.stdlib_module_names == {"qvd_usbip"}
