"""EFFECT: what `make coverage` needs of us: the names of the modules, or the table of a report.

python -m tests.covered names | REPORT.json; exit status 1 when a module is below the goal.
"""

from __future__ import annotations

import ast
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tests.covered.judgement import LEAST, judged, table

if TYPE_CHECKING:
    from collections.abc import Iterator

REPOSITORY = Path(__file__).resolve().parents[2]
PACKAGES = ("qvd_usbip", "client_gui", "server_agent", "vma_hooks")


def pure_modules(repository: Path) -> Iterator[str]:
    """The modules whose docstring begins with PURE, as paths in the repository."""
    for package in PACKAGES:
        for path in sorted((repository / package).rglob("*.py")):
            if (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").startswith("PURE"):
                yield path.relative_to(repository).as_posix()


def main(words: list[str]) -> int:
    """Print what is asked for; the exit status."""
    modules = list(pure_modules(REPOSITORY))
    if words == ["names"]:
        print(",".join(modules))
        return 0
    found = judged(json.loads(Path(words[0]).read_text(encoding="utf-8")), modules)
    print(table(found))
    below = [each for each in found if not each.is_enough]
    print(f"coverage: {len(found)} pure modules, {len(below)} below {LEAST:.0f} % of their lines or branches")
    return 1 if below else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
