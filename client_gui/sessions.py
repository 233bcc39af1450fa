"""EFFECT: the sessions that are stored: a file each, made by pairing, used by name; `qvd-usb sessions`, `forget`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from client_gui.session import SIZE_LIMIT, format_session, parse_session
from client_gui.settings import Files
from qvd_usbip.errors import CONFIG_UNREADABLE, SESSION_UNKNOWN, QvdUsbError, printable, report
from qvd_usbip.pairing import is_name
from qvd_usbip.system.files import read_text, remove, save_atomic
from qvd_usbip.system.folder_lock import locked_folder

if TYPE_CHECKING:
    from client_gui.session import Session

SUFFIX = ".json"


def folder_of(files: Files) -> Path:
    """Where the sessions of this user are."""
    return Path(files.own_folder) / "sessions"


def load(files: Files, name: str) -> Session:
    """The session that is stored under this name.

    Raises:
        QvdUsbError: session-unknown, session-malformed, config-….
    """
    try:
        return parse_session(read_text(_path(files, name), SIZE_LIMIT))
    except FileNotFoundError:
        raise QvdUsbError(SESSION_UNKNOWN, name=name) from None


def save(files: Files, session: Session) -> None:
    """Stores a session under its name, in place of one that was there.

    Raises:
        QvdUsbError: config-unwritable.
    """
    with locked_folder(folder_of(files)):
        save_atomic(_path(files, session.name), format_session(session).encode(), 0o600)


def names(files: Files) -> list[str]:
    """What is stored, in order; a file that is no session can only be found out by reading it.

    Raises:
        QvdUsbError: config-unreadable.
    """
    folder = folder_of(files)
    try:
        found = [path.stem for path in folder.iterdir() if path.suffix == SUFFIX and not path.name.startswith(".")]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise QvdUsbError(CONFIG_UNREADABLE, path=folder, reason=error.strerror) from error
    return sorted(found)


def _path(files: Files, name: str) -> Path:
    if not is_name(name):
        raise QvdUsbError(SESSION_UNKNOWN, name=name)
    return folder_of(files) / f"{name}{SUFFIX}"


def show(*, as_json: bool) -> int:
    """Prints the stored sessions; a file that is none is named, and its problem is the exit status."""
    files = Files.of_user()
    found: dict[str, Session] = {}
    faults: list[QvdUsbError] = []
    for name in names(files):
        try:
            found[name] = load(files, name)
        except QvdUsbError as error:
            faults.append(error)
            print(f"{printable(name)}: {report(error)}", file=sys.stderr)
    if as_json:
        print(json.dumps({"v": 1, "sessions": [_json_of(name, session) for name, session in found.items()]}))
    else:
        for name, session in found.items():
            safety = f"host {session.host_fingerprint}" if session.host_fingerprint else session.encryption
            print(f"{name:24} {printable(str(session.address)):24} {safety}")
        if not found:
            print("no session is stored; make one with: qvd-usb pair HOST")
    return faults[0].problem.exit_status if faults else 0


def _json_of(name: str, session: Session) -> dict[str, str]:
    return {
        "name": name,
        "address": str(session.address),
        "encryption": session.encryption,
        "host_fingerprint": session.host_fingerprint,
    }


def forget(name: str, *, as_json: bool) -> int:
    """Removes a stored session; what the host knows of us is the host's.

    Raises:
        QvdUsbError: session-unknown, config-unwritable.
    """
    files = Files.of_user()
    try:
        remove(_path(files, name))
    except FileNotFoundError:
        raise QvdUsbError(SESSION_UNKNOWN, name=name) from None
    if as_json:
        print(json.dumps({"v": 1, "forgotten": name}))
    else:
        print(f"{name} is forgotten here. The host still knows this computer until there: qvd-usb-agent unpair NAME")
    return 0
