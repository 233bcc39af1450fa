"""EFFECT: whether a keyboard or a mouse is the only one that this computer has."""

from __future__ import annotations

import os

from qvd_usbip import classes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from qvd_usbip.system.files import Location
    from qvd_usbip.usb import UsbDevice

_HANDLERS = {"kbd": classes.KEYBOARD, "mouse": classes.MOUSE}
_EVERY_KEY = "120013"
"""EV bits of a full keyboard with its lights, as the kernel prints them; power buttons have others."""


def is_only_one(device: UsbDevice, root: Location = "/") -> bool:
    """Decides whether the device is a keyboard or a mouse and there is no other of that kind, built-in ones included.

    Source: /proc/bus/input/devices, lines S (sysfs), H (handlers) and B (EV bits).
    """
    kinds = [handler for handler, patterns in _HANDLERS.items() if classes.has(device.interfaces, patterns)]
    if not kinds:
        return False
    try:
        with open(os.path.join(root, "proc/bus/input/devices"), encoding="utf-8", errors="replace") as file:
            text = file.read()
    except OSError:
        return False  # nobody can tell
    others = [block for block in text.split("\n\n") if f"/{device.busid}/" not in block]
    return any(not any(_is(kind, block) for block in others) for kind in kinds)


def _is(kind: str, block: str) -> bool:
    handlers = next((line for line in block.splitlines() if line.startswith("H: ")), "")
    if kind not in handlers.replace("mouse", "mouse ").replace("=", " ").split():
        return False
    return kind != "kbd" or f"B: EV={_EVERY_KEY}" in block
