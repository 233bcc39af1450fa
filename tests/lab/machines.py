"""EFFECT: both guests together: started at once, stored at once, ended at once."""

import contextlib
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Self

from tests.lab import qemu
from tests.lab.build import Image
from tests.lab.errors import GuestStopped, LabError
from tests.lab.guest import Guest
from tests.lab.link import Link
from tests.lab.recipe import ROLES
from tests.lab.runs import Folders

_BOOT_LIMIT = 600.0
_WAKE_LIMIT = 120.0
#: A command in each guest that ends when nothing is left to start.
_SETTLED = "systemctl is-system-running --wait || true; udevadm settle"


class Pair:
    """The two guests, running. The context ends them, whatever happens."""

    def __init__(self, image: Image, base: Path, folders: Folders, accelerator: str, append: str = "") -> None:
        """Starts both guests.

        Args:
            image: the kernel and the disk below everything.
            base: a stored level to go on from, or the image's folder to boot.
            folders: where sockets, logs and disks go.
            accelerator: `tcg` or `kvm`.
            append: more kernel arguments.
        """
        self.folders = folders
        self.guests: dict[str, Guest] = {}
        stored = (base / "server.state").exists()
        with contextlib.ExitStack() as undo:
            undo.callback(self.end)
            for name, role in ROLES.items():
                disk = folders.disks / f"{name}.qcow2"
                qemu.make_overlay(
                    disk, base / f"{name}.qcow2" if stored else base / "disk.ext4", "qcow2" if stored else "raw"
                )
                machine = qemu.Machine(
                    role=role,
                    kernel=image.folder / "vmlinuz",
                    initrd=image.folder / "initrd",
                    disk=disk,
                    run=folders.short,
                    accelerator=accelerator,
                    append=append,
                    state=base / f"{name}.state" if stored else None,
                )
                self.guests[name] = Guest(role, Link(name, machine.socket("agent")), qemu.Qemu(machine))
            self.both(self._wait)
            undo.pop_all()

    def _wait(self, guest: Guest) -> None:
        woken = bool(guest.qemu.machine.state or guest.qemu.machine.checkpoint)
        if woken:
            guest.qemu.go_on()
        kvm = guest.qemu.machine.accelerator == "kvm"
        deadline = time.monotonic() + (_WAKE_LIMIT if woken or kvm else _BOOT_LIMIT)
        while True:
            try:
                guest.link.wait_until_it_answers(5)
                break
            except LabError as error:
                late = time.monotonic() > deadline
                if kvm and (late or guest.qemu.broken()):
                    problem = f"on KVM the {guest.name} guest does not get on\n{guest.qemu.last_words()}"
                    raise GuestStopped(problem, "QVD_LAB_ACCEL=tcg runs the guests without KVM") from error
                if late or not guest.qemu.alive():
                    raise LabError(f"{error}\n{guest.qemu.last_words()}") from error
        guest.set_clock()

    def both(self, action: Callable[[Guest], object]) -> None:
        """Does `action` with both guests at the same time; the first error comes out."""
        with ThreadPoolExecutor(len(self.guests)) as pool:
            list(pool.map(action, self.guests.values()))

    def settle(self) -> None:
        """Waits until both guests have nothing left to start, and their disks are written."""
        self.both(lambda guest: guest.run(_SETTLED, timeout=_BOOT_LIMIT))

    def pause(self) -> None:
        """Stops both guests' processors; a message is on its way in neither direction then."""
        for guest in self.guests.values():
            guest.link.reset()
            guest.qmp("stop")

    def resume(self) -> None:
        """Lets both go on, with today's time."""
        for guest in self.guests.values():
            guest.qmp("cont")
        self.both(lambda guest: guest.set_clock())

    def restore(self, name: str) -> None:
        """Puts both back into the checkpoint `name`; call it on the main thread, as all that starts a QEMU."""
        for guest in self.guests.values():
            guest.link.reset()
            guest.qemu.end()
        for guest in self.guests.values():
            guest.load_state(name)
        self.both(self._wait)

    def store(self, folder: Path) -> None:
        """Ends both guests and leaves their memory, devices and disks in `folder`, to go on from as often as wanted."""
        self.both(lambda guest: guest.run("sync; fstrim / || true; echo 3 >/proc/sys/vm/drop_caches", timeout=120))
        self.pause()
        self.both(lambda guest: guest.qemu.store_state(folder / f"{guest.name}.state"))
        self.end()  # a disk is complete when its QEMU is gone
        for name in self.guests:
            (self.folders.disks / f"{name}.qcow2").rename(folder / f"{name}.qcow2")

    def end(self) -> None:
        """Ends both."""
        for guest in self.guests.values():
            guest.link.reset()
            guest.qemu.end()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()
