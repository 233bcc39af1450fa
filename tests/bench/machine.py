"""EFFECT: what a run is measured on, in words: this machine, and the guests."""

import os
import platform
from collections.abc import Mapping

from tests.lab import Lab, emulator

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
        "QEMU": emulator.version().splitlines()[0].removeprefix("QEMU emulator version "),
        f"guests, {lab.suite}": f"{lab.server.qemu.machine.accelerator}; "
        f"kernel {kernel}, Python {python}; processors: {processors}",
    }
