"""EFFECT: what each package depends on, as substitution variables: python3 depends.py debian.

The libraries are those of pyproject.toml, under the names of their Debian packages; the window's are the parts of Qt
that its modules import. Source: deb-substvars(5).
"""

import re
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
WINDOW = "pyside6-essentials"


def packaged(requirements: Iterable[str]) -> list[str]:
    """PURE: requirements of pyproject.toml -> Debian's packages, the least version kept; the window's has its own."""
    found = []
    for requirement in requirements:
        match = re.match(r"([A-Za-z0-9.-]+)(?:>=([0-9.]+))?", requirement)
        if match is None:
            raise ValueError(requirement)
        name, least = match[1].lower(), match[2]
        if name != WINDOW:
            package = f"python3-{name.removeprefix('python-')}"
            found.append(f"{package} (>= {least})" if least else package)
    return found


def parts_of_qt(sources: Iterable[str]) -> list[str]:
    """PURE: the texts of modules -> the packages of the parts of PySide6 that they import."""
    found = (re.findall(r"^\s*from PySide6\.(Qt\w+) import", text, re.MULTILINE) for text in sources)
    names = {name for each in found for name in each}
    return sorted(f"python3-pyside6.{name.lower()}" for name in names)


def main() -> None:
    """Writes `qvd:Depends` of every package, and `qvd:Interpreter`: the very one that the launcher names."""
    text = (REPOSITORY / "pyproject.toml").read_text(encoding="utf-8")
    extras = tomllib.loads(text)["project"]["optional-dependencies"]
    depends = {role: packaged(extras[role]) for role in ("client", "server", "vma")}
    modules = (REPOSITORY / "client_gui/ui").rglob("*.py")
    depends["picker"] = parts_of_qt(path.read_text(encoding="utf-8") for path in modules)
    for name, packages in depends.items():
        with Path(sys.argv[1], f"qvd-usbip-{name}.substvars").open("a", encoding="utf-8") as file:
            file.write(f"qvd:Depends={', '.join(packages)}\n")
            if name == "client":
                file.write(f"qvd:Interpreter={Path('/usr/bin/python3').resolve().name}\n")


if __name__ == "__main__":
    main()
