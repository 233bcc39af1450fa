"""EFFECT: users_view.py: what its user may do with the devices below /dev: a JSON object, node → "ok" or why not.

Opens each node by its usual name for reading and writing, through the link where there is one.
"""

import errno
import json
import os
import sys
from pathlib import Path

DEV, NODES = Path("/dev"), Path("/dev/qvd")


def tried(path: Path) -> str:
    try:
        os.close(os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_NOCTTY))
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, "?")
    return "ok"


def main() -> None:
    found = {}
    for path in sorted(NODES.rglob("*")):
        if path.is_block_device() or path.is_char_device():
            name = path.relative_to(NODES)
            found[str(name)] = tried(DEV / name)
    json.dump(found, sys.stdout)


main()
