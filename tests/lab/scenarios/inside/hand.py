#!/usr/bin/python3
"""EFFECT: the eyes and the hand of a person at the X screen: reads what the picker shows, clicks and types.

hand.py PORT      serves on 127.0.0.1: one JSON order a connection, one JSON answer. Orders:

    {"do": "see", "text": RE, "times": N}   waits until something is shown so often whose whole name matches; its name;
                                            with "told": [PRODUCT, STATE] it looks when the engine has said that
    {"do": "miss", "text": RE}              waits until nothing is shown whose name matches
    {"do": "click", "text": RE}             waits for a control of that name that can be used, and clicks it
    {"do": "tray", "button": N}             clicks the picker's icon in the tray
    {"do": "key", "keys": [...]}            presses keys, as xdotool names them
    {"do": "type", "text": WORDS}           types
    {"do": "all"}                           everything that is shown, as "role: name"

Each order is a process of its own, since what the accessibility bus said of a window once is kept for good.
"""

import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import gi  # type: ignore[import-not-found]  # only guests have it

gi.require_version("Atspi", "2.0")
from gi.repository import Atspi, GLib  # type: ignore[import-not-found]  # noqa: E402  # the version comes first

PATIENCE = 60.0
PAUSE, LONGEST_PAUSE = 0.15, 2.0
HEARSAY, PAINTING = 20.0, 0.3  # seconds; what the engine did not say by then is looked for all the same
STATUS = os.path.expandvars("$XDG_RUNTIME_DIR/qvd-usbip/status.json")
PICKER = "qvd-usb-picker"
CONTROLS = {Atspi.Role.CHECK_BOX, Atspi.Role.PUSH_BUTTON, Atspi.Role.RADIO_BUTTON, Atspi.Role.ENTRY, Atspi.Role.TEXT}


def below(node: Any, *, application: bool = False) -> Iterator[Any]:
    """Yields what is shown right below a node; what goes while it is looked at is not there."""
    with suppress(GLib.Error):
        for place in range(node.get_child_count()):
            with suppress(GLib.Error):
                child = node.get_child_at_index(place)
                if child is not None and (application or child.get_state_set().contains(Atspi.StateType.SHOWING)):
                    yield child


def inside(node: Any) -> Iterator[Any]:
    """Yields everything that is shown in a node."""
    for child in below(node):
        yield child
        yield from inside(child)


def everything() -> Iterator[tuple[Any, str]]:
    """Yields everything with a name that the windows of any program show, and the name."""
    for program in below(Atspi.get_desktop(0), application=True):
        for each in inside(program):
            with suppress(GLib.Error):
                if name := each.get_name():
                    yield each, name


def looked(look: Callable[[], Any]) -> Any:
    """One look; what changes while it is looked at counts as not seen."""
    try:
        return look()
    except GLib.Error:
        return None


def wait(look: Callable[[], Any], patience: float) -> Any:
    """Who looks must not take the processor from what is waited for: twice the time of a look is pause."""
    end = time.monotonic() + patience
    while True:
        began = time.monotonic()
        found = looked(look)
        if found is not None or time.monotonic() > end:
            return found
        time.sleep(min(LONGEST_PAUSE, max(PAUSE, 2 * (time.monotonic() - began))))


def name_of(pattern: str, times: int) -> str | None:
    """The last of the names that match, if there are so many."""
    names = [name for _, name in everything() if re.fullmatch(pattern, name, re.DOTALL)]
    return names[-1] if len(names) >= times else None


def usable(pattern: str) -> Any:
    """The first control that matches and can be used."""
    for each, name in everything():
        enabled = re.fullmatch(pattern, name, re.DOTALL) and each.get_state_set().contains(Atspi.StateType.ENABLED)
        if enabled and each.get_role() in CONTROLS:
            return each
    return None


def xdotool(*words: object) -> str:
    done = subprocess.run(["xdotool", *map(str, words)], check=True, timeout=20, capture_output=True, text=True)
    return done.stdout


def click_at(x: int, y: int, button: int) -> str:
    xdotool("mousemove", x, y, "click", button)  # not --sync: it waits 15 s for a pointer that is there already
    return f"{x} {y}"


def click(order: dict[str, Any], patience: float) -> Any:
    control = wait(lambda: usable(order["text"]), patience)
    if control is None:
        return None
    box = control.get_component_iface().get_extents(Atspi.CoordType.SCREEN)
    return click_at(box.x + box.width // 2, box.y + box.height // 2, order.get("button", 1))


def tray_icon() -> tuple[int, int] | None:
    """The middle of the picker's small window inside the tray."""
    tree = subprocess.run(["xwininfo", "-root", "-tree"], check=True, capture_output=True, text=True, timeout=20).stdout
    for line in tree.splitlines():
        found = re.search(r"(\d+)x(\d+)\+-?\d+\+-?\d+\s+\+(\d+)\+(\d+)$", line)
        if PICKER in line and found:
            width, height, x, y = map(int, found.groups())
            if 8 <= width <= 64 and 8 <= height <= 64:
                return x + width // 2, y + height // 2
    return None


def tray(order: dict[str, Any], patience: float) -> Any:
    place = wait(tray_icon, patience)
    return None if place is None else click_at(place[0], place[1], order.get("button", 1))


def told(product: str, state: str) -> bool:
    """Whether the engine says so: asking it costs nothing, and a look at the screen half a second of the processor."""
    try:
        with open(STATUS, encoding="utf-8") as file:
            devices = json.load(file)["devices"]
    except FileNotFoundError:
        return False
    return any((device["product"], device["state"]) == (product, state) for device in devices)


def see(order: dict[str, Any], patience: float) -> Any:
    if "told" in order and wait(lambda: told(*order["told"]) or None, min(patience, HEARSAY)):
        time.sleep(PAINTING)
    return wait(lambda: name_of(order["text"], order.get("times", 1)), patience)


def miss(order: dict[str, Any], patience: float) -> Any:
    return wait(lambda: True if name_of(order["text"], 1) is None else None, patience)


def press(order: dict[str, Any], _patience: float) -> Any:
    return [xdotool("key", "--clearmodifiers", key) for key in order["keys"]]


def write(order: dict[str, Any], _patience: float) -> Any:
    return xdotool("type", "--delay", 30, order["text"])


def tell(_order: dict[str, Any], _patience: float) -> Any:
    return [f"{each.get_role_name()}: {name}" for each, name in everything()]


#: Each takes the order and the seconds it may take; None where its time was up.
DEEDS: dict[str, Callable[[dict[str, Any], float], Any]] = {
    "see": see,
    "miss": miss,
    "click": click,
    "tray": tray,
    "key": press,
    "type": write,
    "all": tell,
}


def answer(connection: socket.socket) -> None:
    with connection, connection.makefile("rw") as stream:
        order = json.loads(stream.readline())
        Atspi.init()
        said = {"done": DEEDS[order["do"]](order, order.get("patience", PATIENCE))}
        if said["done"] is None:
            said["shown"] = looked(lambda: tell(order, 0)) or ["it changes all the time"]
        stream.write(json.dumps(said))


def main() -> None:
    with socket.create_server(("127.0.0.1", int(sys.argv[1]))) as server:
        while True:
            connection, _ = server.accept()
            if os.fork() == 0:
                answer(connection)
                sys.exit()
            connection.close()
            os.wait()


if __name__ == "__main__":
    main()
