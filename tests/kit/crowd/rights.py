"""EFFECT: a back end of device rights in plain files: one folder a container, one file a right; each step is a call."""

from dataclasses import dataclass
from pathlib import Path

from qvd_usbip.errors import QvdUsbError
from qvd_usbip.ids import DevNum, VmId
from server_agent.state import Right


@dataclass(slots=True)
class FileRights:
    """Rights below `root`; a container runs while its folder is there. `written` counts what was changed."""

    root: Path
    written: int = 0

    def create(self, name: VmId) -> None:
        """An empty list."""
        self.written += 1
        folder = self.root / str(name)
        folder.mkdir(parents=True, exist_ok=True)
        for path in folder.iterdir():
            path.unlink()

    def remove(self, name: VmId) -> None:
        """Nothing is left."""
        self.written += 1
        folder = self.root / str(name)
        for path in folder.iterdir() if folder.is_dir() else ():
            path.unlink()
        if folder.is_dir():
            folder.rmdir()

    def allow(self, name: VmId, right: Right) -> None:
        """One more."""
        self.written += 1
        (self.root / str(name) / str(right)).touch()

    def deny(self, name: VmId, right: Right) -> None:
        """One less."""
        self.written += 1
        (self.root / str(name) / str(right)).unlink(missing_ok=True)

    def held(self, name: VmId) -> frozenset[Right] | None:
        """What there is."""
        try:
            return frozenset(parse_right(path.name) for path in (self.root / str(name)).iterdir())
        except FileNotFoundError:
            return None

    def has_processes(self, name: VmId) -> bool:
        """It runs as long as it is known."""
        return self.knows(name)

    def knows(self, name: VmId) -> bool:
        """Whether its folder is there."""
        return (self.root / str(name)).is_dir()

    def known(self) -> frozenset[VmId]:
        """All of them."""
        found = set()
        for path in self.root.iterdir() if self.root.is_dir() else ():
            try:
                found.add(VmId.parse(path.name))
            except QvdUsbError:
                continue
        return frozenset(found)


class AtRest:
    """Containers of which no process is ever in the kernel."""

    def switch(self, name: VmId) -> Path:
        """A file that is there."""
        del name
        return Path("/dev/null")

    def set(self, name: VmId, *, frozen: bool) -> None:
        """At once."""

    def is_frozen(self, name: VmId) -> bool:
        """At once."""
        del name
        return True

    def names(self) -> frozenset[VmId]:
        """None was left so."""
        return frozenset()


def parse_right(text: str) -> Right:
    """A right from its file's name."""
    kind, _, number = text.partition(" ")
    return Right(kind="b" if kind == "b" else "c", number=DevNum.parse(number))
