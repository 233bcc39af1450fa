"""EFFECT: unmounts the volumes of a memory stick, and finds out who keeps them busy.

Through udisks2 by its own program, `udisksctl`: engine and command line have no Qt and thus no D-Bus, and udisks2 never
comes without it.
"""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

from client_gui.troubles import Fault
from qvd_usbip.errors import printable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from client_gui.volumes import Filesystem

UDISKSCTL = "/usr/bin/udisksctl"
UNMOUNT_LIMIT = 60.0
"""How long one unmount may take, in seconds: what was not written yet is written now."""
SEARCH_LIMIT = 2.0
"""How long is looked for the program that keeps a volume busy, in seconds."""


def unmount(filesystems: Iterable[Filesystem]) -> Fault | None:
    """Unmounts every volume, and closes what was opened of encrypted ones; waits for it. The fault that it met first.

    Each mount is undone; one that its user may not undo, or that is busy, ends it, and the rest stays as it is.
    """
    mounted = [each for each in filesystems if each.places]
    if mounted and not Path(UDISKSCTL).exists():
        places = ", ".join(each.volume.path for each in mounted)
        return Fault(
            code="storage-in-use",
            text=f"{places} is mounted here, and there is no udisks2 that could unmount it.",
            remedy=f"Unmount it, as root: {'; '.join(f'umount {each.node}' for each in mounted)}",
        )
    for each in mounted:
        for _ in each.places:
            fault = _udisksctl("unmount", each.node, each)
            if fault is not None:
                return fault
        if each.crypt and (fault := _udisksctl("lock", each.crypt, each)) is not None:
            return fault
    return None


def _udisksctl(verb: str, node: str, filesystem: Filesystem) -> Fault | None:
    try:
        ended = subprocess.run(
            [UDISKSCTL, verb, "--no-user-interaction", "--block-device", node],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=UNMOUNT_LIMIT,
            check=False,
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
            cwd="/",
        )
    except subprocess.TimeoutExpired:
        return _not_unmounted(filesystem, f"udisks2 did not answer within {UNMOUNT_LIMIT:.0f} s")
    except OSError as error:
        return _not_unmounted(filesystem, os.strerror(error.errno or 0))
    if ended.returncode == 0:
        return None
    said = ended.stderr.decode(errors="replace").strip()
    if "DeviceBusy" in said or "target is busy" in said:
        return busy(filesystem)
    reason = said.rpartition("GDBus.Error:")[2].rpartition(": ")[2] if "GDBus.Error:" in said else said
    return _not_unmounted(filesystem, reason.splitlines()[0] if reason else f"udisksctl ended with {ended.returncode}")


def _not_unmounted(filesystem: Filesystem, reason: str) -> Fault:
    return Fault(
        code="storage-in-use",
        text=f"{filesystem.volume.name} could not be unmounted: {printable(reason[:300])}.",
        remedy=f"Eject it, then share it; as root: umount {filesystem.node}",
    )


def busy(filesystem: Filesystem) -> Fault:
    """The fault that this volume is in use, with the program that uses it, as far as its user may know."""
    holder = holder_of(filesystem.places)
    who = "A program" if holder is None else f"{printable(holder[0])} ({holder[1]})"
    return Fault(
        code="storage-in-use",
        text=f"{who} still uses {filesystem.volume.name}.",
        remedy="Close it and try again.",
    )


def holder_of(places: Iterable[str]) -> tuple[str, int] | None:
    """Looks for a program with an open file or its working folder there; name and process id of the first."""
    import psutil  # noqa: PLC0415  # needed once in a while, and costs more to read than the rest of the engine

    prefixes = tuple(place.rstrip("/") for place in places)
    deadline = time.monotonic() + SEARCH_LIMIT
    for process in psutil.process_iter():
        if time.monotonic() > deadline:
            return None
        try:
            used = [process.cwd(), *(file.path for file in process.open_files())]
            if any(path == prefix or path.startswith(prefix + "/") for path in used for prefix in prefixes):
                return process.name(), process.pid
        except (psutil.Error, OSError):
            continue  # another user's, or gone by now
    return None
