"""Every module keeps the word it gives in its docstring: PURE ones touch nothing, light ones stay light."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGES = ("qvd_usbip", "client_gui", "server_agent", "vma_hooks")
REPOSITORY = Path(__file__).resolve().parents[3]
EFFECTS = {"os", "socket", "subprocess", "pyudev", "psutil", "prctl", "PySide6", "shutil", "fcntl", "ctypes", "asyncio"}
# Modules that run under root at each event; each of these costs more to import than the work that is done there.
HEAVY = {"dataclasses", "enum", "typing", "re", "pathlib", "argparse", "collections", "logging", "json", "tempfile"}
LIGHT = (
    "qvd_usbip/bitmaps.py",
    "qvd_usbip/errors.py",
    "qvd_usbip/printable.py",
    "qvd_usbip/ids.py",
    "qvd_usbip/uevent.py",
    "qvd_usbip/vhci.py",
    "qvd_usbip/properties.py",
)


def modules() -> list[Path]:
    return [path for package in PACKAGES for path in sorted((REPOSITORY / package).rglob("*.py"))]


def name_of(path: Path) -> str:
    return str(path.relative_to(REPOSITORY))


def imports(tree: ast.Module) -> Iterator[str]:
    """The full names that a module imports when it runs; what stands below `if TYPE_CHECKING` never does."""
    todo: list[ast.AST] = [tree]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            todo += node.orelse
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""
        todo += ast.iter_child_nodes(node)


def parsed(path: Path) -> tuple[ast.Module, str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return tree, ast.get_docstring(tree) or ""


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_docstring_says_pure_or_effect(path: Path) -> None:
    tree, docstring = parsed(path)
    if path.name == "__init__.py" and len(tree.body) == 1:
        return
    assert docstring.startswith(("PURE", "EFFECT")), f"{name_of(path)} says neither PURE: nor EFFECT:"


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_pure_module_imports_no_effect(path: Path) -> None:
    tree, docstring = parsed(path)
    if docstring.startswith("PURE"):
        assert {name.split(".")[0] for name in imports(tree)} & EFFECTS == set()


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_pure_module_takes_no_function_from_one_with_effects(path: Path) -> None:
    tree, docstring = parsed(path)
    if docstring.startswith("PURE"):
        assert list(functions_with_effects(tree)) == []


def functions_with_effects(tree: ast.Module) -> Iterator[str]:
    """The names that are neither types nor constants and come from a module of ours that says EFFECT."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] in PACKAGES:
            target = REPOSITORY / (node.module.replace(".", "/") + ".py")
            if target.is_file() and not parsed(target)[1].startswith("PURE"):
                yield from (f"{node.module}.{alias.name}" for alias in node.names if not alias.name[0].isupper())


def test_only_the_windows_import_qt() -> None:
    users = [
        name_of(path)
        for path in modules()
        if "PySide6" in {name.split(".")[0] for name in imports(parsed(path)[0])} and "ui" not in path.parts
    ]
    assert users == []


def test_shared_package_has_effects_only_in_system() -> None:
    effects = [
        name_of(path)
        for path in sorted((REPOSITORY / "qvd_usbip").rglob("*.py"))
        if parsed(path)[1].startswith("EFFECT") and "system" not in path.parts
    ]
    assert effects == []


@pytest.mark.parametrize("name", LIGHT)
def test_light_module_imports_nothing_heavy(name: str) -> None:
    tree, _ = parsed(REPOSITORY / name)
    assert {imported.split(".")[0] for imported in imports(tree)} & HEAVY == set()


@pytest.mark.parametrize("package", ["client_gui/helper", "vma_hooks"])
def test_root_side_names_no_third_party_module(package: str) -> None:
    outside = {"pyudev", "psutil", "prctl", "PySide6", "prometheus_client"}
    for path in sorted((REPOSITORY / package).rglob("*.py")):
        tree, _ = parsed(path)
        assert {name.split(".")[0] for name in imports(tree)} & outside == set(), name_of(path)
