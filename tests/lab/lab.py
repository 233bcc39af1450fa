"""EFFECT: the lab as a test or a person uses it."""

import contextlib
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from tests.lab import cache, evidence, health, levels, qemu, runs
from tests.lab.accelerator import accelerator
from tests.lab.containers import Container
from tests.lab.errors import LabError, Unhealthy
from tests.lab.guest import Guest
from tests.lab.machines import Pair
from tests.lab.progress import say, stage
from tests.lab.recipe import CONTAINERS, suite_named

#: What makes a Debian 12 boot with cgroup v1; see `Lab.boot_anew`.
CGROUP_V1 = "systemd.unified_cgroup_hierarchy=0 systemd.legacy_systemd_cgroup_controller"
_BOOT_LIMIT = 300.0


class Lab:
    """Both guests, running. Make it with `Lab.open`."""

    def __init__(self, pair: Pair, level: str, suite: str) -> None:
        self.pair = pair
        self._append = {guest: guest.qemu.machine.append for guest in pair.guests.values()}
        self.level = level
        self.suite = suite
        self.expected_failures: set[str] = set()
        """Units (`name.service`) that the scenario breaks on purpose; emptied by `restore`."""

    @classmethod
    @contextlib.contextmanager
    def open(
        cls, suite: str = "trixie", level: str = "product", name: str = "lab", append: str = ""
    ) -> Iterator["Lab"]:
        """A running lab, from the cache where nothing changed; everything it started ends with the context.

        Args:
            suite: `trixie` or `bookworm`.
            level: `base`: booted and settled; `product`: ours installed, the agent and both containers running.
            name: shows in the name of the run's folder.
            append: more kernel arguments for both guests (another base level belongs to them).
        """
        image, base, folder = levels.ensure(suite_named(suite), level, append)
        with contextlib.ExitStack() as stack:
            for used in {image.folder, base, folder}:
                stack.enter_context(cache.in_use(used))
            folders = stack.enter_context(runs.folders(name))
            with stage(f"starting the lab from the level {level}"):
                pair = stack.enter_context(Pair(image, folder, folders, accelerator(image.folder), append))
            yield cls(pair, level, suite)

    @property
    def server(self) -> Guest:
        """The guest that runs the containers; 10.9.0.1, and 10.9.1.1 on their bridge."""
        return self.pair.guests["server"]

    @property
    def client(self) -> Guest:
        """The guest the user sits at; 10.9.0.2."""
        return self.pair.guests["client"]

    @property
    def guests(self) -> tuple[Guest, Guest]:
        """Both."""
        return self.server, self.client

    def alive(self) -> bool:
        """Whether both guests still run."""
        return all(guest.qemu.alive() for guest in self.guests)

    def container(self, name: str) -> Container:
        """The container `one` (the user's) or `two` (the other tenant's)."""
        if name not in CONTAINERS:
            raise LabError(f"the lab has no container {name!r}", f"known: {', '.join(CONTAINERS)}")
        return Container(self.server, name)

    # checkpoints

    def checkpoint(self, name: str) -> None:
        """Keeps the present state of both guests under `name`, in memory and on disk, while they run on."""
        began = time.monotonic()
        self.pair.pause()
        for guest in self.guests:
            guest.save_state(name)
        self.pair.resume()
        say(f"checkpoint {name}: {time.monotonic() - began:.1f} s")

    def restore(self, name: str) -> None:
        """Puts both guests back into the state `name`, QEMU's own devices included."""
        began = time.monotonic()
        for guest, append in self._append.items():
            guest.qemu.machine = replace(guest.qemu.machine, append=append)
        self.pair.restore(name)
        self.expected_failures.clear()
        say(f"restored {name}: {time.monotonic() - began:.1f} s")

    def boot_anew(self, guest: Guest, append: str, devices: tuple[str, ...] = ()) -> None:
        """Boots a guest from its disk as it is, with more kernel arguments, until `restore`.

        QEMU's own devices are gone afterwards; `devices` are words of its command line that plug others in.
        """
        began = time.monotonic()
        guest.run("sync; echo u >/proc/sysrq-trigger; until grep -q ' / ext4 ro' /proc/mounts; do sleep 0.1; done")
        guest.link.reset()
        guest.qemu.end()
        machine = replace(guest.qemu.machine, append=append, state=None, checkpoint="", devices=devices)
        guest.qemu = qemu.Qemu(machine)
        deadline = time.monotonic() + _BOOT_LIMIT
        while True:
            try:
                guest.link.wait_until_it_answers(5)
                break
            except LabError:
                if not guest.qemu.alive() or time.monotonic() > deadline:
                    raise
        guest.set_clock()
        guest.run("systemctl is-system-running --wait || true", timeout=_BOOT_LIMIT)
        say(f"booted {guest.name} anew: {time.monotonic() - began:.1f} s")

    # health

    def health(self) -> None:
        """Raises Unhealthy for a kernel's complaint, a core dump, or a unit of ours that restarted or failed."""
        found: list[str] = []
        self.pair.both(lambda guest: found.extend(self._complaints(guest)))
        if found:
            raise Unhealthy("the lab is not healthy:\n" + "\n".join(sorted(found)))

    def _complaints(self, guest: Guest) -> list[str]:
        """What is wrong in a guest and its containers."""
        found = guest.vitals()
        said = [f"{guest.name}: kernel: {line}" for line in health.kernel_problems(found["log"])]
        said += [f"{guest.name}: core dump {name}" for name in found["cores"]]
        for where, show in found["units"].items():
            said += [f"{where}: {line}" for line in health.restarted_units(show, self.expected_failures)]
        return said

    def collect(self, folder: Path | str) -> Path:
        """Leaves everything one needs to understand what happened in `folder`; returns it."""
        return evidence.collect(self.pair, Path(folder))
