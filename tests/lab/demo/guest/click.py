#!/usr/bin/python3
"""EFFECT: finds a control of the picker by its accessible name and clicks it with the mouse of the X server.

click.py NAME            moves the pointer there as a hand would and presses button 1; prints "X Y MOMENT" of the press
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


def place(name: str) -> tuple[int, int, int]:
    """Returns where the middle of the control is, and the process whose window it is in."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        control = search(pyatspi.Registry.getDesktop(0), name)
        if control is not None and control.getState().contains(pyatspi.STATE_SHOWING):
            box = control.queryComponent().getExtents(pyatspi.DESKTOP_COORDS)
            return box.x + box.width // 2, box.y + box.height // 2, control.get_process_id()
        time.sleep(0.2)
    sys.exit(f"no control named {name!r} in the picker")


def click(x: int, y: int) -> int:
    """Presses button 1 at a place; returns the process whose window was under the pointer."""
    # Not --sync: it waits 15 s for a pointer that is there already.
    window = xdotool("mousemove", str(x), str(y), "getmouselocation", "click", "1").rpartition("window:")[2]
    return int(xdotool("getwindowpid", window.strip()))


def xdotool(*words: str) -> str:
    """Returns what it says."""
    return subprocess.run(["xdotool", *words], check=True, timeout=20, stdout=subprocess.PIPE, text=True).stdout


def main() -> None:
    *option, name = sys.argv[1:]
    x, y, owner = place(name)
    if option == ["--where"]:
        print(x, y)
        return
    moment = time.time()
    if click(x, y) != owner:
        sys.exit(f"another window lies over {name!r} at {x} {y}")
    print(x, y, moment)


if __name__ == "__main__":
    main()
