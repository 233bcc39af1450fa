"""The lab's own QEMU: how it is started."""

import subprocess
from pathlib import Path

from tests.lab import emulator


def test_it_is_started_by_the_linker_and_with_the_libraries_of_its_own_root_wherever_that_was_moved(
    tmp_path: Path,
) -> None:
    made, moved = tmp_path / "made", tmp_path / "moved"
    libraries = made / "root/usr/lib/x86_64-linux-gnu"
    libraries.mkdir(parents=True)
    linker = libraries / "ld-linux-x86-64.so.2"
    linker.write_text('#!/bin/sh\necho "$QEMU_MODULE_DIR"; printf "%s\\n" "$@"\n')
    linker.chmod(0o755)
    emulator.write_start(made)
    made.rename(moved)
    said = subprocess.run([moved / "qemu", "-name", "two words"], check=True, capture_output=True, text=True).stdout
    usr = moved / "root/usr"
    assert said.splitlines() == [
        str(usr / "lib/x86_64-linux-gnu/qemu"),
        "--library-path",
        str(usr / "lib/x86_64-linux-gnu"),
        str(usr / "bin/qemu-system-x86_64"),
        *("-L", str(usr / "share/seabios"), "-L", str(usr / "share/qemu")),
        *("-name", "two words"),
    ]
