"""EFFECT: the commands of `qvd-usb` about what is remembered of one device: when it is shared, its name, its port."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from client_gui import memory, settings
from client_gui.advisor import Advisor
from client_gui.memory import LONGEST_FOLLOW, LONGEST_NICKNAME, NOTHING
from client_gui.mirror import give_order
from client_gui.orders import Order
from client_gui.presence import runtime_folder
from client_gui.scan import Scanner
from client_gui.selection import listed
from client_gui.settings import Files
from client_gui.state import Mode
from client_gui.targets import one_of, parse_target
from client_gui.wishes import identity_of
from qvd_usbip.errors import DEVICE_UNKNOWN, USAGE, QvdUsbError, printable

if TYPE_CHECKING:
    from collections.abc import Callable

    from client_gui.memory import Remembered
    from qvd_usbip.usb import UsbDevice


_DIGITS = 10
"""A time with so many digits is too long, whichever they are."""


def mode(target: str, wanted: str | None, *, as_json: bool) -> int:
    """Prints when the device is shared; before that changes it, where a word of `Mode` is given."""
    about = _About(target)
    if wanted is not None:
        about.change(lambda known: memory.with_mode(known, Mode(wanted)))
    now = about.known().mode
    _print(about, "mode", str(now), str(now), as_json=as_json)
    return 0


def name(target: str, wanted: str | None, *, as_json: bool) -> int:
    """Prints the device's nickname; before that changes it, where one is given; "" takes it away.

    Raises:
        QvdUsbError: usage, for one that is too long.
    """
    about = _About(target)
    if wanted is not None:
        if len(" ".join(wanted.split())) > LONGEST_NICKNAME:
            raise QvdUsbError(USAGE, reason=f"a nickname has at most {LONGEST_NICKNAME} letters")
        about.change(lambda known: memory.with_nickname(known, wanted))
    now = about.known().nickname
    _print(about, "nickname", now, printable(now) or "(none)", as_json=as_json)
    return 0


def follow(target: str, wanted: str | None, *, as_json: bool) -> int:
    """Prints for how long the device's port is followed after it goes; before that changes it, where seconds are given.

    Raises:
        QvdUsbError: usage, for what is no such time.
    """
    about = _About(target)
    if wanted is not None:
        seconds = (
            int(wanted) if wanted.isascii() and wanted.isdecimal() and len(wanted) < _DIGITS else LONGEST_FOLLOW + 1
        )
        if seconds > LONGEST_FOLLOW:
            raise QvdUsbError(USAGE, reason=f"a port is followed for 0 to {LONGEST_FOLLOW} seconds")
        about.change(lambda known: memory.with_follow(known, seconds))
    now = about.known().follow
    _print(about, "follows_port", now, f"for {now} s" if now else "no", label="port followed", as_json=as_json)
    return 0


def _print(about: _About, what: str, value: str | int, words: str, *, as_json: bool, label: str = "") -> None:
    if as_json:
        busid = None if about.device is None else str(about.device.busid)
        print(json.dumps({"v": 1, "device": about.identity, "busid": busid, what: value}))
    else:
        print(f"{label or what}: {words}")


class _About:
    """One device that somebody named, and what is remembered of it.

    Raises:
        QvdUsbError: device-unknown, device-ambiguous, …-malformed; config-…, where nothing can be remembered.
    """

    def __init__(self, target: str) -> None:
        meant = parse_target(target)
        files = Files.of_user()
        read = settings.load(files)
        devices = Scanner(Path(read.usbroot)).scan()
        self._advisor = Advisor(files, read.database)
        self._advisor.reload()
        if self._advisor.memory_fault is not None:
            raise self._advisor.memory_fault
        self._advisor.assess(devices, read.wishes, Path(read.usbroot))
        self.device: UsbDevice | None = one_of(meant, listed(devices))
        self.identity = str(meant) if self.device is None else identity_of(self.device)
        if self.device is None and not self._may_be_absent(meant in read.wishes.share_list.entries):
            raise QvdUsbError(DEVICE_UNKNOWN, device=meant)

    def _may_be_absent(self, on_list: bool) -> bool:
        """Whether the name stands for one device alone: without a serial number it may be that of others too."""
        return self.known() != NOTHING or (on_list and "@" in self.identity)

    def known(self) -> Remembered:
        """What is remembered now."""
        if self.device is None:
            return self._advisor.of_absent(self.identity)
        return self._advisor.of_present(self.device)

    def change(self, change: Callable[[Remembered], Remembered]) -> None:
        """Changes it in the file, and has the engine that shares read that at once."""
        if self.device is None:
            self._advisor.change_absent(self.identity, change)
        else:
            self._advisor.change(self.device, change)
        give_order(Path(runtime_folder(os.environ, os.geteuid())), Order(op="rescan"))
