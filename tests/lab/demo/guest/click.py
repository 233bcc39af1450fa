#!/usr/bin/python3
"""EFFECT: finds a control of the picker by its accessible name and clicks it with the mouse of the X server.

click.py NAME            moves the pointer there as a hand would and presses button 1
click.py --where NAME    only prints the place, as "X Y"
"""

import subprocess
import sys
import time
from collections.abc import Iterable
from typing import Any

import pyatspi

PATIENCE = 90  # seconds until the control must be there


def search(node: Iterable[Any], name: str) -> Any:
    """Returns the first check box or button of this name at or below a node."""
    for child in node:
        if child is None:
            continue
        if child.name == name and child.getRole() in (
            pyatspi.ROLE_CHECK_BOX,
            pyatspi.ROLE_PUSH_BUTTON,
        ):
            return child
        found = search(child, name)
        if found is not None:
            return found
    return None


def place(name: str) -> tuple[int, int]:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        control = search(pyatspi.Registry.getDesktop(0), name)
        if control is not None and control.getState().contains(pyatspi.STATE_SHOWING):
            box = control.queryComponent().getExtents(pyatspi.DESKTOP_COORDS)
            return box.x + box.width // 2, box.y + box.height // 2
        time.sleep(0.2)
    sys.exit(f"no control named {name!r} in the picker")


def main() -> None:
    *option, name = sys.argv[1:]
    x, y = place(name)
    if option == ["--where"]:
        print(x, y)
        return
    print(x, y, time.time())
    # Not --sync: it waits 15 s for a pointer that is there already.
    subprocess.run(["xdotool", "mousemove", str(x), str(y), "click", "1"], check=True, timeout=20)


if __name__ == "__main__":
    main()
