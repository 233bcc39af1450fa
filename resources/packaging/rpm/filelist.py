"""EFFECT: what one package holds, as %files of a spec file names it: python3 filelist.py FOLDER > LIST."""

import stat
import sys
from collections.abc import Iterable
from pathlib import Path

#: Folders that come with no package but ours on one distribution or another: ours have them, and take them along.
_OWN = ("qvd", "apparmor.d", "bash-completion", "fish", "metainfo", "zsh")


def line_of(name: str, mode: int) -> str:
    """PURE: one line of the list.

    Args: the path below the root; its type and permissions, as lstat(2) has them.
    """
    path = f"/{name}"
    if stat.S_ISDIR(mode):
        return f"%dir {path}"
    if stat.S_ISLNK(mode):
        return path
    if mode & stat.S_ISUID:
        return f"%attr({stat.S_IMODE(mode):04o},root,root) {path}"
    if name.startswith("etc/qvd/"):
        return f"%config(noreplace) {path}"
    if name.startswith("etc/"):  # an older profile would confine less; what an administrator adds has local/
        return f"%config {path}"
    return f"{path}*" if name.startswith("usr/share/man/") else path  # rpmbuild compresses them, or not


def lines_of(found: Iterable[tuple[str, int]]) -> list[str]:
    """PURE: the whole list; of folders those that no other package would have."""
    return [
        line_of(name, mode)
        for name, mode in sorted(found)
        if not stat.S_ISDIR(mode) or any(part.startswith(_OWN) for part in name.split("/"))
    ]


def main() -> None:
    """Prints the list of everything below the folder."""
    root = Path(sys.argv[1])
    print("\n".join(lines_of((str(path.relative_to(root)), path.lstat().st_mode) for path in root.rglob("*"))))


if __name__ == "__main__":
    main()
