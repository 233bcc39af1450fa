"""EFFECT: one guest: commands, files, USB devices, time."""

import io
import itertools
import json
import shlex
import tarfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tests.lab import qemu
from tests.lab.errors import CommandFailed, LabError, TimedOut
from tests.lab.link import Link
from tests.lab.recipe import Role

_TOOLS = "/usr/local/lib/lab"
_PORTS = 8


@dataclass(frozen=True, slots=True)
class Result:
    """How a command in a guest ended: exit status and output (standard output and error, stripped)."""

    rc: int
    out: str

    def __bool__(self) -> bool:
        return self.rc == 0


@dataclass(frozen=True, slots=True)
class _Plugged:
    """One of QEMU's USB devices as it was plugged, and its medium, if it has one."""

    device: dict[str, Any]
    medium: dict[str, Any]

    def arguments(self) -> list[str]:
        """The same for QEMU's command line."""
        medium = ["-blockdev", json.dumps(self.medium)] if self.medium else []
        return [*medium, "-device", json.dumps(self.device)]


def _dashed(arguments: dict[str, Any]) -> dict[str, Any]:
    return {key.replace("_", "-"): value for key, value in arguments.items()}


class Guest:
    """A running machine of the lab; made by Lab."""

    def __init__(self, role: Role, link: Link, machine: qemu.Qemu) -> None:
        self.name = role.name
        self.role = role
        self.link = link
        self.qemu = machine
        self._plugged: dict[str, _Plugged] = {}
        self._kept: dict[str, dict[str, _Plugged]] = {}
        self._media = itertools.count()

    # commands and files

    def run(
        self, cmd: str | Sequence[str], timeout: float = 60, *, check: bool = True, stdin: bytes | str | None = None
    ) -> Result:
        """Runs a bash command (or an argument list) as root, and waits until its output is closed: see also `spawn`.

        Args:
            cmd: a bash command line, or a list of arguments.
            timeout: seconds; its status is 124 after that.
            check: raise CommandFailed for a status other than 0.
            stdin: what it reads; nothing by default.
        """
        line = cmd if isinstance(cmd, str) else shlex.join(cmd)
        feed = stdin.encode() if isinstance(stdin, str) else stdin
        status, out = self.link.run(line, timeout, feed)
        text = out.decode(errors="replace").strip()
        if check and status:
            raise CommandFailed(self.name, line, status, text)
        return Result(status, text)

    def run_as(self, user: str, cmd: str, timeout: float = 60, *, check: bool = True) -> Result:
        """Runs a bash command as `user` with their own home and groups."""
        return self.run(f"runuser -u {shlex.quote(user)} -- env HOME=/home/{user} bash -c {shlex.quote(f'cd; {cmd}')}",
                        timeout, check=check)  # fmt: skip

    def until(self, cmd: str, timeout: float = 30, every: float = 0.1) -> Result:
        """Repeats a bash command in the guest until it succeeds; raises TimedOut with its last output.

        Who asks must not take the processor from what is waited for: twice the time that the question took is pause.

        Args:
            cmd: a bash command line.
            timeout: seconds.
            every: the shortest pause, in seconds.
        """
        loop = (
            f"exec {{nap}}<> <(:); end=$((SECONDS+{timeout:.0f})); while :; do began=${{EPOCHREALTIME/[.,]/}}; "
            f'out=$({cmd}) && {{ echo "$out"; exit 0; }}; [ $SECONDS -ge $end ] && {{ echo "$out"; exit 125; }}; '
            f"pause=$(((${{EPOCHREALTIME/[.,]/}} - began) / 500)); least={every * 1000:.0f}; "
            "[ $pause -ge $least ] || pause=$least; [ $pause -le 2000 ] || pause=2000; "
            "printf -v pause %d.%03d $((pause / 1000)) $((pause % 1000)); read -rt $pause -u $nap; done"
        )
        result = self.run(loop, timeout + 30, check=False)
        if result.rc in {124, 125}:
            raise TimedOut(f"{self.name}: not within {timeout:.0f} s: {cmd}\n{result.out}")
        if result.rc:
            raise CommandFailed(self.name, cmd, result.rc, result.out)
        return result

    def spawn(self, cmd: str, unit: str) -> None:
        """Starts a bash command in the background as the transient service `unit`; its output is in the journal."""
        literal = cmd.replace("$", "$$")  # systemd expands variables itself
        self.run(["systemd-run", "--quiet", "--collect", f"--unit={unit}", "bash", "-c", literal])

    def push(self, src: Path | str, dst: str) -> None:
        """Copies a file to the path `dst`, or the content of a folder into the folder `dst`; owner root."""
        source = Path(src)
        buffer = io.BytesIO()
        target = dst if source.is_dir() else str(Path(dst).parent)
        with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
            tar.add(source, arcname="." if source.is_dir() else Path(dst).name)
        self.unpack(buffer.getvalue(), target)

    def unpack(self, archive: bytes, folder: str) -> None:
        """Unpacks a compressed tar archive into a folder of the guest."""
        quoted = shlex.quote(folder)
        self.run(f"mkdir -p {quoted} && tar -xzf - --no-same-owner -C {quoted}", timeout=120, stdin=archive)

    def read(self, path: str) -> bytes:
        """The content of a file of the guest, up to a few MiB."""
        status, out = self.link.run(f"cat {shlex.quote(path)}", 60)
        if status:
            raise CommandFailed(self.name, f"cat {path}", status, out.decode(errors="replace"))
        return out

    def pull(self, src: str, dst: Path | str) -> Path:
        """Copies a file from the guest; returns where it is now."""
        target = Path(dst)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(self.read(src))
        return target

    # QEMU's own devices

    def qmp(self, cmd: str, **args: Any) -> Any:
        """A command to the guest's QEMU (QMP); an underscore in an argument's name stands for a dash."""
        return self.qemu.monitor.command(cmd, **_dashed(args))

    def usb_add(self, driver: str, id: str, **props: Any) -> None:  # noqa: A002 - QEMU's own word
        """Plugs one of QEMU's USB devices, such as usb-kbd, usb-storage (with a 32 MiB medium of its own), usb-audio.

        Args:
            driver: QEMU's name of the device.
            id: how `usb_del` will call it.
            props: its properties, `serial="1234"` for one.
        """
        taken = {plugged.device["port"] for plugged in self._plugged.values()}
        port = next((number for number in map(str, range(1, _PORTS + 1)) if number not in taken), None)
        if id in self._plugged or port is None:
            raise LabError(f"{self.name}: {id!r} is plugged already, or all {_PORTS} ports are taken")
        device = {"driver": driver, "id": id, "bus": "xhci.0", "port": port, **_dashed(props)}
        medium: dict[str, Any] = {}
        if driver == "usb-storage" and "drive" not in device:
            medium = self._new_medium()
            device["drive"] = medium["node-name"]
            self.qmp("blockdev-add", **medium)
        self.qmp("device_add", **device)
        self._plugged[id] = _Plugged(device, medium)

    def _new_medium(self) -> dict[str, Any]:
        """A scratch disk: qcow2, since a raw one cannot be part of a checkpoint."""
        node = f"medium{next(self._media)}"
        path = self.qemu.machine.disk.with_name(f"{self.name}.{node}.qcow2")
        qemu.make_scratch_disk(path, 32 << 20)
        return {"driver": "qcow2", "node-name": node, "file": {"driver": "file", "filename": str(path)}}

    def usb_del(self, id: str) -> None:  # noqa: A002 - QEMU's own word
        """Unplugs a device that `usb_add` plugged."""
        gone = self._plugged.pop(id, None)
        if gone is None:
            raise LabError(f"{self.name}: no device {id!r} was plugged with usb_add")
        self.qmp("device_del", id=id)
        deadline = time.monotonic() + 10
        while gone.medium:
            try:
                self.qmp("blockdev-del", node_name=gone.medium["node-name"])
            except LabError:  # the guest has not let go of the device yet
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
            else:
                return

    def plugged(self) -> list[str]:
        """The ids of QEMU's devices that are plugged."""
        return list(self._plugged)

    # its whole state

    def save_state(self, name: str) -> None:
        """Keeps the paused guest's state under `name`, in its disk."""
        if answer := self.qemu.monitor.human(f"savevm {name}", limit=120).strip():
            raise LabError(f"{self.name}: its state cannot be kept: {answer}")
        self._kept[name] = dict(self._plugged)

    def load_state(self, name: str) -> None:
        """Puts the guest back into the state `name`, with QEMU's devices as they were plugged then.

        A new QEMU reads it: within one, the emulated processor's time stamp counter never goes back, so that the guest
        would see its clock leap by all the time since the checkpoint.
        """
        if name not in self._kept:
            raise LabError(f"{self.name}: there is no checkpoint {name!r}")
        self.link.reset()
        self.qemu.end()
        self._plugged = dict(self._kept[name])
        devices = tuple(word for plugged in self._plugged.values() for word in plugged.arguments())
        machine = replace(self.qemu.machine, state=None, checkpoint=name, devices=devices)
        self.qemu = qemu.Qemu(machine)

    # gadgets on dummy_hcd

    def gadget(
        self, name: str, kind: str, vid: str, pid: str, serial: str = "", product: str = "", controller: str = ""
    ) -> str:
        """Plugs a gadget with any identity; returns its busid, once the kernel has it.

        Args:
            name: its name, for `gadget_remove`.
            kind: `acm` (serial port), `mass` (memory stick) or `hid` (keyboard).
            vid: four hexadecimal digits.
            pid: four hexadecimal digits.
            serial: its serial number; empty: it has none.
            product: what it calls itself.
            controller: such as `dummy_udc.0`; by default the first that is free.
        """
        words = ["add", name, kind, vid, pid, serial, product or f"Lab {kind}", controller]
        return self.run([f"{_TOOLS}/gadget.sh", *words]).out

    def gadget_remove(self, name: str) -> None:
        """Unplugs a gadget and forgets it."""
        self.run([f"{_TOOLS}/gadget.sh", "remove", name])

    # health and time

    def vitals(self) -> dict[str, Any]:
        """What its health is judged by: `log`, `cores`, and `units` by where they run."""
        return self.link.vitals(180)

    def set_clock(self) -> None:
        """Gives the guest today's time: a stored state brings its own."""
        self.run(f"date -s @{time.time():.3f}")
