"""The launcher, compiled as it is installed but for a place in a temporary folder; it is never made setuid here."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SOURCE = ROOT / "resources/launcher/launcher.c"
FLAGS = (
    "-std=c17",
    "-O1",
    "-Wall",
    "-Wextra",
    "-Werror",
    "-Wformat=2",
    "-Wconversion",
    "-Wshadow",
    "-Wstrict-prototypes",
)
Compile = Callable[..., Path]


@pytest.fixture(scope="session")
def compile_launcher(tmp_path_factory: pytest.TempPathFactory) -> Compile:
    """Returns a function that compiles it for an interpreter, a script and a package folder."""
    compiler = shutil.which("cc")
    assert compiler is not None, "there is no C compiler: make setup installs one"

    def build(*, interpreter: str, script: str, package: str, flags: tuple[str, ...] = ()) -> Path:
        program = tmp_path_factory.mktemp("launcher") / "launcher"
        constants = [f'-DINTERPRETER="{interpreter}"', f'-DSCRIPT="{script}"', f'-DPACKAGE="{package}"']
        subprocess.run([compiler, *FLAGS, *flags, *constants, "-o", program, SOURCE], check=True)
        return program

    return build
