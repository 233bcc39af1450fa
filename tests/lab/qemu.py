"""EFFECT: one QEMU process: its command line, its start, its stored state."""

import contextlib
import shlex
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from tests.lab import emulator, processes
from tests.lab.errors import LabError, TimedOut
from tests.lab.qmp import Monitor
from tests.lab.recipe import Role

_QUIET = "loglevel=5 net.ifnames=0 systemd.show_status=0 random.trust_cpu=on log_buf_len=4M"
#: What a kernel does to be safe from its own users, and finds none of its defects by: dear under emulation.
_QUICK = "mitigations=off init_on_alloc=0 randomize_kstack_offset=off"
#: The processors guests have. Without KVM one that kernel and C library know few ways of copying memory for: those of
#: newer ones (a byte at a time, or AVX) take twice as long when they are emulated. It has AES, for the kernel's TLS.
_PROCESSORS = {"kvm": "max", "tcg": "Westmere,+rdrand"}
#: kvm_amd panicked once while loading on an emulated CPU that announces every feature.
_BLACKLIST = "modprobe.blacklist=kvm_amd,kvm_intel,kvm"


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What a QEMU is started with."""

    role: Role
    kernel: Path
    initrd: Path
    disk: Path
    run: Path
    accelerator: str
    append: str = ""
    state: Path | None = None
    """A stored state to go on from; none: boot."""
    checkpoint: str = ""
    """A checkpoint inside the disk to go on from."""
    devices: tuple[str, ...] = ()
    """Arguments for the USB devices that were plugged at that checkpoint."""

    def socket(self, name: str) -> Path:
        """The path of one of its sockets; short, since a unix socket's path has 107 bytes at most."""
        return self.run / f"{self.role.name}.{name}"


def kernel_command_line(role: Role, append: str) -> str:
    """The guest's kernel arguments: its role is its host name."""
    masked = " ".join(f"systemd.mask={unit}" for unit in role.masked)
    machine = f"console=ttyS0 root=/dev/vda rw systemd.hostname={role.name}"
    return " ".join(f"{machine} {_QUIET} {_QUICK} {_BLACKLIST} {masked} {append}".split())


def _chardev(machine: Machine, name: str) -> str:
    return f"socket,id={name},path={machine.socket(name)},server=on,wait=off"


def command_line(machine: Machine, qemu: str) -> list[str]:
    """The QEMU command line of `machine`; the same but for paths each time, as a stored state needs it."""
    role = machine.role
    peer = "client" if role.name == "server" else "server"
    fast = "tcg,thread=multi,tb-size=512" if machine.accelerator == "tcg" else machine.accelerator
    lan = (
        f"dgram,id=lan,local.type=unix,local.path={machine.run}/{role.name}.lan,"
        f"remote.type=unix,remote.path={machine.run}/{peer}.lan"
    )
    return [
        *(qemu, "-name", f"lab-{role.name}", "-machine", "q35", "-accel", fast),
        *("-cpu", _PROCESSORS[machine.accelerator]),
        *("-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"),
        *("-m", str(role.memory_mib), "-smp", str(role.cpus)),
        *("-kernel", str(machine.kernel), "-initrd", str(machine.initrd)),
        *("-append", kernel_command_line(role, machine.append)),
        *("-drive", f"file={machine.disk},if=none,id=root,format=qcow2,cache=unsafe,discard=unmap"),
        *("-device", "virtio-blk-pci,drive=root", "-device", "virtio-rng-pci"),
        *(
            "-chardev",
            f"file,id=serial,path={machine.run}/{role.name}.serial.log,append=on",
            "-serial",
            "chardev:serial",
        ),
        *("-device", "qemu-xhci,id=xhci,p2=8,p3=8"),
        *("-device", "virtio-serial-pci"),
        *("-chardev", _chardev(machine, "console"), "-device", "virtconsole,chardev=console"),
        *("-chardev", _chardev(machine, "agent"), "-device", "virtserialport,chardev=agent,name=lab.agent"),
        *("-chardev", _chardev(machine, "people"), "-device", "virtserialport,chardev=people,name=lab.people"),
        *("-chardev", _chardev(machine, "qmp"), "-mon", "chardev=qmp,mode=control"),
        *("-chardev", _chardev(machine, "qmp2"), "-mon", "chardev=qmp2,mode=control"),
        *("-netdev", lan, "-device", f"virtio-net-pci,netdev=lan,mac={role.mac},romfile="),
        *machine.devices,
        *(("-incoming", f"exec:cat {shlex.quote(str(machine.state))}") if machine.state else ()),
        *(("-loadvm", machine.checkpoint) if machine.checkpoint else ()),
    ]


def make_overlay(disk: Path, base: Path, form: str) -> None:
    """A new disk whose content is that of `base` (of the format `form`: raw or qcow2) until it is written to."""
    command = ["qemu-img", "create", "-q", "-f", "qcow2", "-b", str(base.resolve()), "-F", form, str(disk)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        raise LabError(f"no disk could be made over {base}: {done.stderr}")


class Qemu:
    """A running QEMU. It is killed when this process ends, whatever ends it."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self._log = machine.run / f"{machine.role.name}.qemu.log"
        with self._log.open("ab") as log:
            # A kernel that boots waits for its timer's ticks by counting, and panics where they come late.
            stored = machine.state is not None or bool(machine.checkpoint)
            self._process = processes.start(command_line(machine, emulator.program()), output=log, long_turns=stored)
        self._monitor: Monitor | None = None

    @property
    def monitor(self) -> Monitor:
        """QEMU's control socket, opened at the first use."""
        if self._monitor is None:
            try:
                self._monitor = Monitor(machine_socket(self.machine))
            except LabError as error:
                raise LabError(f"{error}\n{self.last_words()}") from error
        return self._monitor

    def alive(self) -> bool:
        """Whether the process still runs."""
        return self._process.poll() is None

    def broken(self) -> bool:
        """Whether its accelerator has stopped it, with no way to go on."""
        return self.alive() and self.monitor.command("query-status")["status"] == "internal-error"

    def last_words(self) -> str:
        """What QEMU and the guest's serial line said last."""
        serial = self.machine.run / f"{self.machine.role.name}.serial.log"
        parts = [path.read_text(errors="replace")[-2000:] for path in (self._log, serial) if path.exists()]
        return "\n".join(part.strip() for part in parts if part.strip())

    def store_state(self, path: Path) -> None:
        """Writes the paused machine's memory and devices to `path`. The disk belongs to it: end QEMU afterwards."""
        self.monitor.command("migrate-set-parameters", **{"max-bandwidth": 1 << 40})
        self.monitor.command("migrate", uri=f"exec:cat > {shlex.quote(str(path))}")
        while (answer := self.monitor.command("query-migrate")).get("status") not in {"completed", "failed"}:
            if not self.alive():
                raise LabError(f"QEMU ended while its state was stored: {self.last_words()}")
        if answer["status"] == "failed":
            raise LabError(f"the state of {self.machine.role.name} cannot be stored: {answer.get('error-desc', '?')}")

    def go_on(self, limit: float = 60.0) -> None:
        """Lets a machine that was started from a stored state run, once it is read."""
        deadline = time.monotonic() + limit
        while (status := self.monitor.command("query-status")["status"]) == "inmigrate":
            if time.monotonic() > deadline:
                raise TimedOut(f"the stored state of {self.machine.role.name} was not read in {limit:.0f} s")
            time.sleep(0.02)
        if status != "running":
            self.monitor.command("cont")

    def end(self) -> None:
        """Ends the process; its disk is complete then."""
        if self._monitor:
            with contextlib.suppress(LabError):
                self._monitor.command("quit", limit=5)
            self._monitor.close()
            self._monitor = None
        processes.end(self._process)


def machine_socket(machine: Machine) -> Path:
    """The control socket that the library itself uses; people's tools have the other one."""
    return machine.socket("qmp")


def make_scratch_disk(path: Path, size: int) -> None:
    """A new empty disk of `size` bytes."""
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", str(path), str(size)], check=True)
