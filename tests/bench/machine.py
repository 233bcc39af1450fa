"""EFFECT: what a run is measured on, in words: this machine, and the guests."""

import os
import platform
import subprocess
from collections.abc import Mapping

from tests.lab import Lab
from tests.lab.needs import system_program

_GUEST = "uname -r; python3 -c 'import platform; print(platform.python_version())'; nproc"


def this_one() -> Mapping[str, str]:
    """This machine, as it is at this moment."""
    load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    return {
        "processors": str(os.cpu_count()),
        "busy with (1, 5, 15 minutes), at the end": load,
        "kernel": platform.release(),
        "Python": platform.python_version(),
    }


def guests(lab: Lab) -> Mapping[str, str]:
    """The machines of a lab that runs."""
    kernel, python, _ = lab.server.run(_GUEST).out.split()
    processors = " and ".join(f"{guest.run(_GUEST).out.split()[2]} of the {guest.name}" for guest in lab.guests)
    return {
        "QEMU": _version_of_qemu(),
        f"guests, {lab.suite}": f"{lab.server.qemu.machine.accelerator}; "
        f"kernel {kernel}, Python {python}; processors: {processors}",
    }


def _version_of_qemu() -> str:
    program = system_program("qemu-system-x86_64")
    if not program:
        return "none"
    said = subprocess.run([program, "--version"], check=True, capture_output=True, text=True).stdout
    return said.splitlines()[0].removeprefix("QEMU emulator version ")
