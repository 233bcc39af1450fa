"""A container's /dev, /sys and /run in a folder, and nodes an ordinary user can make."""

import os
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from qvd_usbip.ids import DevNum
from vma_hooks.create_device import Places, run
from vma_hooks.nodes import Nodes


class FakeNodes(Nodes):
    """Stands in for mknod(2), which only root may call: a plain file, its number kept in its time of change."""

    owner = os.getuid(), os.getgid()

    def __init__(self) -> None:
        self.acls: dict[int, bytes] = {}
        self.refuse_make: OSError | None = None
        self.refuse_acl: OSError | None = None

    def make(self, name: str, folder: int, kind: str, number: DevNum) -> None:
        if self.refuse_make:
            raise self.refuse_make
        made = os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600, dir_fd=folder)
        seconds = 1 + "cb".index(kind)
        os.utime(made, ns=(0, seconds * 10**9 + number.major * 10**5 + number.minor))
        self.acls.pop(os.fstat(made).st_ino, None)
        os.close(made)

    def identify(self, found: os.stat_result) -> tuple[str, DevNum] | None:
        seconds, number = divmod(found.st_mtime_ns, 10**9)
        return ("cb"[seconds - 1], DevNum(*divmod(number, 10**5))) if seconds in {1, 2} else None

    def set_acl(self, descriptor: int, value: bytes) -> None:
        if self.refuse_acl:
            raise self.refuse_acl
        self.acls[os.fstat(descriptor).st_ino] = value
        Path(f"/proc/self/fd/{descriptor}").chmod(0o600 | value[22] << 3)


@dataclass
class Image:
    """One container's file tree and the program run in it."""

    top: Path
    nodes: FakeNodes = field(default_factory=FakeNodes)

    @property
    def dev(self) -> Path:
        return self.top / "dev"

    @property
    def records(self) -> Path:
        return self.top / "run"

    @property
    def places(self) -> Places:
        return Places(
            str(self.dev), str(self.top / "sys"), str(self.records), str(self.top / "vma.conf"), str(self.top / "ports")
        )

    def plug(self, devpath: str, name: str, number: str, subsystem: str = "usb") -> dict[str, str]:
        """Show a device in /sys; returns its `add` event as udevd passes it."""
        folder = self.top / "sys" / devpath.strip("/")
        folder.mkdir(parents=True)
        major, minor = number.split(":")
        (folder / "dev").write_text(number + "\n")
        (folder / "uevent").write_text(f"MAJOR={major}\nMINOR={minor}\nDEVNAME={name}\n")
        (folder / "subsystem").symlink_to(f"../../../../class/{subsystem}")
        self.number_link(number, subsystem).parent.mkdir(parents=True, exist_ok=True)
        self.number_link(number, subsystem).symlink_to(f"../..{devpath}")
        return {
            "ACTION": "add", "DEVPATH": devpath, "DEVNAME": f"/dev/{name}", "MAJOR": major, "MINOR": minor,
            "SUBSYSTEM": subsystem,
        }  # fmt: skip

    def unplug(self, event: dict[str, str]) -> dict[str, str]:
        """Take a device out of /sys; returns its `remove` event."""
        (self.top / "sys" / event["DEVPATH"].strip("/") / "dev").unlink()
        self.number_link(f"{event['MAJOR']}:{event['MINOR']}", event["SUBSYSTEM"]).unlink()
        return event | {"ACTION": "remove"}

    def number_link(self, number: str, subsystem: str) -> Path:
        """Where /sys says which device has a number."""
        return self.top / "sys/dev" / ("block" if subsystem == "block" else "char") / number

    def settings(self, text: str) -> None:
        (self.top / "vma.conf").write_text(text)

    def on(self, event: dict[str, str]) -> int:
        """Run the hook for one event; returns its exit status."""
        return self.run("--from-env", environment=event)

    def run(self, *arguments: str, environment: dict[str, str] | None = None) -> int:
        before = os.umask(0o022)
        try:
            return run(arguments, environment or {}, self.places, self.nodes)
        finally:
            os.umask(before)

    def acl(self, name: str) -> bytes | None:
        return self.nodes.acls.get((self.dev / name).stat().st_ino)

    def left(self) -> list[str]:
        """Everything in /dev and among the records, to see that nothing is left over."""
        return sorted(
            str(path.relative_to(self.top)) for place in (self.dev, self.records) for path in place.rglob("*")
        )


@pytest.fixture
def image(tmp_path: Path) -> Image:
    for name in ("dev", "sys"):
        (tmp_path / name).mkdir()
    (tmp_path / "vma.conf").write_text(f"createdevice.acl.group={own_group()}\n")
    return Image(tmp_path)


def own_group() -> str:
    """A group that exists on any machine."""
    return "daemon"
