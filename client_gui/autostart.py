"""EFFECT: whether the picker starts with the desktop: an entry in the user's autostart folder, made, read and removed.

Source: the Desktop Application Autostart Specification and the XDG Base Directory Specification.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from client_gui import desktop_entry
from qvd_usbip.errors import AUTOSTART_UNAVAILABLE, QvdUsbError
from qvd_usbip.system.files import read_text, remove, save_atomic

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

NAME = "qvd-usb-picker.desktop"
BACKGROUND = "--background"
"""What the picker is started with by the desktop: it begins as an icon, not as a window in everybody's way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Autostart:
    """The user's own entry; the machine's, which it overrides; the menu's, which says how one starts the picker."""

    own: Path
    machine: tuple[Path, ...]
    menu: tuple[Path, ...]

    @classmethod
    def of_user(cls, environment: Mapping[str, str]) -> Autostart:
        """The entries of whoever has this environment.

        Raises:
            QvdUsbError: autostart-unavailable, where there is no home folder.
        """
        try:
            home = Path.home()
        except RuntimeError as error:
            raise QvdUsbError(AUTOSTART_UNAVAILABLE, reason=str(error)) from error

        def folders(name: str, *default: str | Path) -> list[Path]:
            """What a variable names; a path that is not absolute counts for nothing."""
            named = [Path(each) for each in environment.get(name, "").split(":") if each.startswith("/")]
            return named or [Path(each) for each in default]

        data = folders("XDG_DATA_HOME", home / ".local/share")[:1]
        data += folders("XDG_DATA_DIRS", "/usr/local/share", "/usr/share")
        return cls(
            own=folders("XDG_CONFIG_HOME", home / ".config")[0] / "autostart" / NAME,
            machine=tuple(each / "autostart" / NAME for each in folders("XDG_CONFIG_DIRS", "/etc/xdg")),
            menu=tuple(each / "applications" / NAME for each in data),
        )

    def is_on(self) -> bool:
        """Whether the desktop starts the picker: as its own settings have left the entry.

        Raises:
            QvdUsbError: config-…, where an entry cannot be read.
        """
        found = _first((self.own, *self.machine))
        return found is not None and desktop_entry.starts(found)

    def switch(self, *, on: bool) -> None:
        """Makes it start with the desktop, or not. An entry that somebody has changed is switched on as it is.

        Raises:
            QvdUsbError: autostart-unavailable, config-…; then all is as it was.
        """
        if on and not self.is_on():
            own = _first((self.own,))
            kept = own if own is not None and desktop_entry.can_start(own) else self._made()
            self._save(desktop_entry.switched_on(kept))
        elif not on:
            machines = _first(self.machine)
            if machines is not None and desktop_entry.starts(machines):
                self._save(desktop_entry.HIDDEN)
            else:
                self._remove()

    def _made(self) -> str:
        """The menu's entry, in the background."""
        menu = _first(self.menu)
        command = desktop_entry.value_of(menu, "Exec") if menu is not None else None
        if menu is None or not command:
            raise QvdUsbError(AUTOSTART_UNAVAILABLE, reason=f"there is no {NAME} among this computer's programs")
        return desktop_entry.with_value(menu, "Exec", f"{command} {BACKGROUND}")

    def _save(self, text: str) -> None:
        save_atomic(self.own, text.encode(), 0o644)

    def _remove(self) -> None:
        try:
            remove(self.own)
        except FileNotFoundError:
            return


def _first(paths: Iterable[Path]) -> str | None:
    for path in paths:
        try:
            return read_text(path)
        except FileNotFoundError:
            continue
    return None
