"""EFFECT: what each container was told is there, kept for as long as the host runs: a file per thing, on a tmpfs.

Its removal has to repeat the properties of its coming, and the agent may have been restarted between the two.
"""

import hashlib
import json
import logging
import shutil
from dataclasses import dataclass
from pathlib import Path

from qvd_usbip.errors import QvdUsbError
from qvd_usbip.ids import DevNum, VmId
from server_agent.kernel.container_names import container_names
from server_agent.state import Right, Thing

LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """The records of all containers.

    Args:
        root: a folder with one folder per container.
    """

    root: Path

    def note(self, name: VmId, thing: Thing) -> None:
        """The container is about to hear that this is there.

        Raises:
            OSError: it could not be written down.
        """
        path = self._path(name, thing.devpath)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        begun = path.with_suffix(".part")
        right = [thing.right.kind, str(thing.right.number)] if thing.right else None
        begun.write_text(json.dumps([thing.devpath, thing.properties, right]), encoding="ascii")
        begun.rename(path)

    def forget(self, name: VmId, thing: Thing) -> None:
        """The container has heard that this is gone."""
        self._path(name, thing.devpath).unlink(missing_ok=True)

    def remove(self, name: VmId) -> None:
        """The container is gone."""
        folder = self.root / str(name)
        if folder.is_dir():
            shutil.rmtree(folder)

    def of(self, name: VmId) -> tuple[Thing, ...]:
        """What a container was told is there, parents first."""
        found = [thing for path in (self.root / str(name)).glob("*.json") if (thing := _thing(path)) is not None]
        return tuple(sorted(found, key=lambda thing: thing.devpath))

    def known(self) -> frozenset[VmId]:
        """Every container with records."""
        return container_names(self.root)

    def _path(self, name: VmId, devpath: str) -> Path:
        return self.root / str(name) / f"{hashlib.sha256(devpath.encode()).hexdigest()}.json"


def _thing(path: Path) -> Thing | None:
    try:
        return parse_record(path.read_text(encoding="ascii"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        LOG.warning("record left out path=%s error=%s", path, error)
        return None


def parse_record(text: str) -> Thing:
    """Read what was written down of one thing.

    Raises:
        ValueError: it is no record of ours.
    """
    try:
        match json.loads(text):
            case [str(devpath), list(properties), None] if all(isinstance(each, str) for each in properties):
                return Thing(devpath=devpath, properties=tuple(properties), right=None, told=True)
            case [str(devpath), list(properties), ["b" | "c" as kind, str(number)]] if all(
                isinstance(each, str) for each in properties
            ):
                right = Right(kind="b" if kind == "b" else "c", number=DevNum.parse(number))
                return Thing(devpath=devpath, properties=tuple(properties), right=right, told=True)
    except (RecursionError, QvdUsbError) as error:
        raise ValueError(str(error)) from error
    raise ValueError("it does not say of what it is")
