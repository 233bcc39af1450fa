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


class Inputs:
    """The keyboards and mice of this computer, built-in ones included: read once, when the first device is asked about.

    Source: /proc/bus/input/devices, lines S (sysfs), H (handlers) and B (EV bits).
    """

    def __init__(self, root: Location = "/") -> None:
        self._root = root
        self._blocks: dict[str, list[str]] | None = None

    def has_only(self, device: UsbDevice) -> bool:
        """Decides whether the device is a keyboard or a mouse and there is no other of that kind."""
        kinds = [handler for handler, patterns in _HANDLERS.items() if classes.has(device.interfaces, patterns)]
        if not kinds:
            return False
        if self._blocks is None:
            self._blocks = self._read()
        own, known = f"/{device.busid}/", self._blocks
        return any(kind in known and all(own in block for block in known[kind]) for kind in kinds)

    def _read(self) -> dict[str, list[str]]:
        try:
            with open(os.path.join(self._root, "proc/bus/input/devices"), encoding="utf-8", errors="replace") as file:
                blocks = file.read().split("\n\n")
        except OSError:
            return {}  # nobody can tell
        return {kind: [block for block in blocks if _is(kind, block)] for kind in _HANDLERS}


def _is(kind: str, block: str) -> bool:
    handlers = next((line for line in block.splitlines() if line.startswith("H: ")), "")
    if kind not in handlers.replace("mouse", "mouse ").replace("=", " ").split():
        return False
    return kind != "kbd" or f"B: EV={_EVERY_KEY}" in block
