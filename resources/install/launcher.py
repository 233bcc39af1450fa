"""EFFECT: compiles the setuid launcher for the place and the interpreter it will have."""

import os
import platform
import shutil
import subprocess
import tempfile
from pathlib import Path

from errors import InstallError
from layout import PYTHON_HOME

WARNINGS = ("-Wall", "-Wextra", "-Werror", "-Wformat=2", "-Wconversion", "-Wshadow", "-Wstrict-prototypes")
HARDENING = (
    "-O2",
    "-D_FORTIFY_SOURCE=2",
    "-fPIE",
    "-pie",
    "-fstack-protector-strong",
    "-fstack-clash-protection",
    "-Wl,-z,relro,-z,now,-z,noexecstack",
)


def constants(interpreter: str) -> tuple[str, ...]:
    """The build constants: no path of the launcher comes from who calls it."""
    words = {
        "INTERPRETER": os.path.realpath(interpreter),
        "SCRIPT": f"{PYTHON_HOME}/client_gui/helper/main.py",
        "PACKAGE": f"{PYTHON_HOME}/client_gui/helper",
    }
    return tuple(f'-D{name}="{value}"' for name, value in words.items())


def compile_launcher(source: Path, *, interpreter: str, cc: str) -> bytes:
    """The compiled program.

    Args:
        source: launcher.c.
        interpreter: absolute path of the Python that will run the helper; links are resolved, because the launcher
            refuses to follow any.
        cc: the C compiler's name or path.

    Raises:
        InstallError: there is no compiler, or it refused.
    """
    if shutil.which(cc) is None:
        raise InstallError(
            f"the setuid launcher is written in C and there is no {cc}: install gcc, or name a compiler: CC="
        )
    flow = ("-fcf-protection",) if platform.machine() in {"x86_64", "i686"} else ()
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder, "launcher")
        argv = [cc, "-std=c17", *WARNINGS, *HARDENING, *flow, *constants(interpreter), "-o", str(program), str(source)]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise InstallError(f"{cc} refused {source}:\n{done.stderr}")
        return program.read_bytes()
