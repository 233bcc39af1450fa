"""EFFECT: puts items in their places and takes them away again, below a root folder that DESTDIR names."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from launcher import compile_launcher
from layout import PYTHON_HOME, Item, Kind, Role, start_script
from manual import build
from translations import compile_ts

# What belongs to a package: modules, and the data that its windows show.
PACKAGE_SUFFIXES = frozenset({".py", ".typed", ".svg", ".png", ".ttf", ".qm", ".json"})
# Folders that an installation makes for itself and removes when nothing is left in them.
OWN_FOLDERS = (
    *(
        PYTHON_HOME,
        "/usr/lib/qvd-usbip",
        "/usr/share/qvd-usbip/i18n",
        "/usr/share/qvd-usbip/lxc",
        "/usr/share/qvd-usbip",
    ),
    *("/usr/lib/qvd/bin", "/usr/lib/qvd", "/etc/qvd"),
)


class Placement:
    """One installation or removal: from `source` (the repository) to `root` (DESTDIR, or /)."""

    def __init__(self, *, source: Path, root: Path, interpreter: str, cc: str) -> None:
        self.source = source
        self.root = root
        self.interpreter = interpreter
        self.cc = cc
        self.own = os.geteuid() == 0

    def at(self, target: str) -> Path:
        """Where an absolute path of the installed system lies below the root."""
        return self.root / target.lstrip("/")

    def install(self, item: Item) -> str:
        """Puts one item in its place and says what was done."""
        place = self.at(item.target)
        if item.kind is Kind.PACKAGE:
            return self._install_package(item, place)
        if item.kind is Kind.LINK:
            self._link(place, item.source)
            return f"{item.target} -> {item.source}"
        if item.kind is Kind.SETTINGS and place.exists():
            return f"{item.target} is there already and stays as it is"
        self._write(place, self._content(item), item.mode)
        return f"{item.target} ({item.mode:04o})"

    def remove(self, item: Item) -> str:
        """Takes one item away and says what was done; settings that somebody changed stay."""
        place = self.at(item.target)
        if item.kind is Kind.PACKAGE:
            if place.is_dir():
                shutil.rmtree(place)
        elif item.kind is Kind.SETTINGS and place.exists() and place.read_bytes() != self._content(item):
            return f"{item.target} was changed and stays"
        else:
            place.unlink(missing_ok=True)
        return f"{item.target} removed"

    def remove_empty_folders(self) -> None:
        """Removes the product's own folders that nothing is left in."""
        for folder in map(self.at, OWN_FOLDERS):
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()

    def has(self, role: Role) -> bool:
        """Is this role installed below the root?"""
        return self.at(f"{PYTHON_HOME}/{role.package}").is_dir()

    def enable(self, unit: str, wanted_by: str, units: str) -> str:
        """Makes the link that starts a unit at boot, as `systemctl enable` does."""
        link = f"/etc/systemd/system/{wanted_by}.wants/{unit}"
        self._link(self.at(link), f"{units}/{unit}")
        return f"{link} -> {units}/{unit}"

    def disable(self, unit: str, wanted_by: str) -> None:
        """Removes that link."""
        self.at(f"/etc/systemd/system/{wanted_by}.wants/{unit}").unlink(missing_ok=True)

    def _content(self, item: Item) -> bytes:
        if item.kind is Kind.START:
            template = (self.source / "resources/scripts/start.in").read_text(encoding="utf-8")
            return start_script(template, item, self.interpreter).encode()
        if item.kind is Kind.LAUNCHER:
            return compile_launcher(self.source / item.source, interpreter=self.interpreter, cc=self.cc)
        if item.kind is Kind.MAN:
            return build(item.source, self.source).encode("ascii")
        if item.kind is Kind.TRANSLATION:
            return compile_ts((self.source / item.source).read_text(encoding="utf-8"))
        return (self.source / item.source).read_bytes()

    def _install_package(self, item: Item, place: Path) -> str:
        folder = self.source / item.source
        files = sorted(path.relative_to(folder) for path in folder.rglob("*") if path.suffix in PACKAGE_SUFFIXES)
        for name in files:
            self._write(place / name, (folder / name).read_bytes(), 0o644)
        self._remove_others(place, {place / name for name in files})
        self._compile(place)
        return f"{item.target} ({len(files)} files)"

    def _remove_others(self, place: Path, wanted: set[Path]) -> None:
        """An older version's modules must not stay importable."""
        for path in sorted(place.rglob("*"), reverse=True):
            if path.is_dir() and not path.is_symlink():
                if not any(path.iterdir()):
                    path.rmdir()
            elif path not in wanted:
                path.unlink()

    def _compile(self, place: Path) -> None:
        argv = [self.interpreter, "-I", "-m", "compileall", "-q", "-f", "--invalidation-mode", "timestamp"]
        if self.root != Path("/"):
            # The name that a traceback shows is that of the installed file.
            argv += ["-s", str(self.root), "-p", "/"]
        subprocess.run([*argv, str(place)], check=True)
        for folder in place.rglob("__pycache__"):
            for path in (folder, *folder.iterdir()):
                self._take_over(path)

    def _write(self, place: Path, content: bytes, mode: int) -> None:
        self._folder(place.parent)
        descriptor, name = tempfile.mkstemp(prefix=".install-", dir=place.parent)
        temporary = Path(name)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
            # The owner first: a change of owner clears the setuid bit.
            self._take_over(temporary)
            temporary.chmod(mode)
            temporary.replace(place)
        except BaseException:
            temporary.unlink()
            raise

    def _link(self, place: Path, text: str) -> None:
        self._folder(place.parent)
        place.unlink(missing_ok=True)
        place.symlink_to(text)
        self._take_over(place)

    def _folder(self, folder: Path) -> None:
        missing = []
        while not folder.exists():
            missing.append(folder)
            folder = folder.parent
        for path in reversed(missing):
            path.mkdir(mode=0o755)
            self._take_over(path)

    def _take_over(self, path: Path) -> None:
        if self.own:
            os.chown(path, 0, 0, follow_symlinks=False)


def interpreter_path() -> str:
    """The interpreter that start scripts name: the one that runs this installation, as it was called."""
    return str(Path(sys.executable).absolute())
