"""EFFECT: what is remembered of single devices in a file of our own: nickname, mode, what they were, what was agreed.

QVD's own client knows nothing of it: which devices are shared stands in `client.usb.share_list` alone.
"""

from __future__ import annotations

import os
import time

from client_gui.state import Mode
from qvd_usbip.errors import SETTINGS_MALFORMED, QvdUsbError
from qvd_usbip.kinds import Kind
from qvd_usbip.system.files import read_text, save_atomic
from qvd_usbip.system.folder_lock import locked_folder
from qvd_usbip.values import dataclass, replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from qvd_usbip.system.files import Location

AGAIN = 10.0
"""After how many seconds is tried again what could not be written."""
LONGEST_NICKNAME = 60
LONGEST_NAME = 126
"""Longest name that a device can give itself, in characters. Source: USB 2.0, 9.6.7: 255 bytes, two a character."""
LONGEST_FOLLOW = 600
"""Longest time for which a port may be followed, in seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """What is known of one device from before.

    `fingerprint` and `faces` are what it was when it was chosen ("" if it never was), `product` and `vendor` what it
    called itself and its maker; `consent` holds the words of what was agreed to then, `follow` for how many seconds its
    port is followed.
    """

    nickname: str = ""
    mode: Mode = Mode.AUTOMATIC
    fingerprint: str = ""
    faces: tuple[Kind, ...] = ()
    product: str = ""
    vendor: str = ""
    consent: frozenset[str] = frozenset()
    follow: int = 0


NOTHING = Remembered()


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A change of what is remembered of one device: see `Memory.change`."""

    key: str
    known_as: tuple[str, ...]
    change: Callable[[Remembered], Remembered]


def parse(text: str) -> dict[str, Remembered]:
    """Reads the file's content; a device that a later version described otherwise keeps what is understood.

    Raises:
        QvdUsbError: settings-malformed, where it is no JSON object of ours.
    """
    import json

    try:
        content: object = json.loads(text) if text.strip() else {"v": 1, "devices": {}}
    except (ValueError, RecursionError) as error:
        raise _malformed() from error
    devices = content.get("devices") if isinstance(content, dict) and content.get("v") == 1 else None
    if not isinstance(devices, dict):
        raise _malformed()
    return {key: _device(value) for key, value in devices.items() if isinstance(value, dict)}


def _malformed() -> QvdUsbError:
    reason = "devices.json in ~/.config/qvd-usbip is not what this program wrote; nicknames and modes are not known"
    return QvdUsbError(SETTINGS_MALFORMED, reason=reason)


def _device(value: Mapping[str, object]) -> Remembered:
    nickname, mode, follow = value.get("nickname"), value.get("mode"), value.get("follow")
    fingerprint = value.get("fingerprint")
    known_faces = {str(kind): kind for kind in Kind}
    return Remembered(
        nickname=nickname[:LONGEST_NICKNAME] if isinstance(nickname, str) else "",
        mode=next((each for each in Mode if each == mode), Mode.AUTOMATIC),
        fingerprint=fingerprint if isinstance(fingerprint, str) and len(fingerprint) == 64 else "",
        faces=tuple(known_faces[face] for face in _texts(value.get("faces")) if face in known_faces),
        product=_name(value.get("product")),
        vendor=_name(value.get("vendor")),
        consent=frozenset(_texts(value.get("consent"))),
        follow=min(max(follow, 0), LONGEST_FOLLOW) if isinstance(follow, int) else 0,
    )


def _name(value: object) -> str:
    return value[:LONGEST_NAME] if isinstance(value, str) else ""


def _texts(value: object) -> list[str]:
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []


def format_memory(known: Mapping[str, Remembered]) -> str:
    """Formats what `parse` reads; a device of which nothing is known is left out."""
    import json

    devices = {key: _fields(each) for key, each in sorted(known.items()) if each != NOTHING}
    return json.dumps({"v": 1, "devices": devices}, indent=1, ensure_ascii=True) + "\n"


def _fields(each: Remembered) -> dict[str, object]:
    fields: dict[str, object] = {
        "nickname": each.nickname,
        "mode": str(each.mode) if each.mode is not Mode.AUTOMATIC else "",
        "fingerprint": each.fingerprint,
        "faces": [str(face) for face in each.faces],
        "product": each.product,
        "vendor": each.vendor,
        "consent": sorted(each.consent),
        "follow": each.follow,
    }
    return {name: value for name, value in fields.items() if value}


class Memory:
    """The file, and what stood in it when it was last read; what could not be written yet stands before that.

    `fault` says why it cannot be read or written, if that is so.
    """

    def __init__(self, path: Location) -> None:
        self._path = os.fspath(path)
        self._signature: object = None
        self._known: dict[str, Remembered] = {}
        self._unwritten: dict[str, Remembered] = {}
        self._write_again_at = 0.0
        self._read_fault: QvdUsbError | None = None
        self._write_fault: QvdUsbError | None = None

    @property
    def fault(self) -> QvdUsbError | None:
        """Why nothing can be remembered now."""
        return self._read_fault or self._write_fault

    def reload(self) -> None:
        """Reads the file if it is another one than before, and writes what could not be written; nothing is lost."""
        news = self._read_news()
        if self._unwritten and (news or time.monotonic() >= self._write_again_at):
            try:  # noqa: SIM105  # contextlib is dear to load
                self._write()
            except QvdUsbError:
                pass  # that is `fault` still

    def _read_news(self) -> bool:
        signature = self._signature_now()
        if signature == self._signature and self._signature is not None:
            return False
        self._signature = signature
        try:
            self._known = {**self._read(), **self._unwritten}
        except QvdUsbError as error:
            self._read_fault = error
        else:
            self._read_fault = None
        return True

    def _signature_now(self) -> object:
        try:
            found = os.stat(self._path)
        except OSError:
            return ()
        return found.st_ino, found.st_mtime_ns, found.st_size

    def _read(self) -> dict[str, Remembered]:
        try:
            text = read_text(self._path)
        except FileNotFoundError:
            return {}
        return parse(text)

    def of(self, *keys: str) -> Remembered:
        """What is known under the first of these keys that is known."""
        return next((self._known[key] for key in keys if key in self._known), NOTHING)

    def change(self, key: str, known_as: tuple[str, ...], change: Callable[[Remembered], Remembered]) -> None:
        """Changes what is remembered under `key`, and only that, in the file as it is now.

        Args:
            key: where it is written.
            known_as: other keys under which the same device may be known already.
            change: from what is known to what shall be.

        Raises:
            QvdUsbError: config-…, settings-malformed; the change holds all the same, and is written when it can be.
        """
        self.change_all([Change(key=key, known_as=known_as, change=change)])

    def change_all(self, changes: Sequence[Change]) -> None:
        """Makes all of these changes with one write: each write waits for the disk.

        Raises:
            QvdUsbError: as `change` does.
        """
        self._known = dict(self._known)
        for each in changes:
            after = each.change(self.of(each.key, *each.known_as))
            self._unwritten[each.key] = self._known[each.key] = after
        self._write()

    def _write(self) -> None:
        try:
            self._write_into_file(self._unwritten)
        except QvdUsbError as error:
            self._write_fault = error
            self._write_again_at = time.monotonic() + AGAIN
            raise
        self._unwritten = {}
        self._write_fault = None

    def _write_into_file(self, after: Mapping[str, Remembered]) -> None:
        with locked_folder(os.path.dirname(self._path)):
            now = self._read()
            if any(now.get(key, NOTHING) != new for key, new in after.items()):
                now.update(after)
                save_atomic(self._path, format_memory(now).encode(), 0o600)
            self._known = now
            self._signature = self._signature_now()


def with_nickname(known: Remembered, nickname: str) -> Remembered:
    """Decides what is remembered after the device was named: one line, of bounded length; "" for its own name again."""
    return replace(known, nickname=" ".join(nickname.split())[:LONGEST_NICKNAME])


def with_mode(known: Remembered, mode: Mode) -> Remembered:
    """Decides what is remembered after the user chose when the device is shared."""
    return replace(known, mode=mode)


def with_follow(known: Remembered, seconds: int) -> Remembered:
    """Decides what is remembered after the user chose for how long its port is followed; 0 for not at all."""
    return replace(known, follow=min(max(seconds, 0), LONGEST_FOLLOW))
