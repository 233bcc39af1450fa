"""EFFECT: a scriptlet with what a Debian package's script does by hand put in: python3 scriptlet.py FILE DEBIAN > OUT.

A line `#NAME#` in FILE stands for a function `by_hand` with the words of the script NAME in the folder DEBIAN; it takes
what dpkg gives such a script. What debhelper adds there has its own lines in FILE. So both packages do the same.
"""

import re
import sys
from pathlib import Path

_PREAMBLE = ("#!/bin/sh\nset -e\n", "#DEBHELPER#\n")


def filled(text: str, scripts: dict[str, str]) -> str:
    """PURE: the scriptlet; raises KeyError for a script that is not there."""
    return re.sub(r"^#([\w.-]+)#\n", lambda found: _function(scripts[found[1]]), text, flags=re.MULTILINE)


def _function(script: str) -> str:
    for words in _PREAMBLE:
        script = script.replace(words, "")
    return f"by_hand() {{\n{script.strip()}\n}}\n"


def main() -> None:
    """Prints the scriptlet."""
    scripts = {path.name: path.read_text(encoding="utf-8") for path in Path(sys.argv[2]).glob("*.p*")}
    sys.stdout.write(filled(Path(sys.argv[1]).read_text(encoding="utf-8"), scripts))


if __name__ == "__main__":
    main()
