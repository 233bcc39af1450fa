"""EFFECT: the client's configuration: read in layers, and the user's own file changed without losing anything.

Source: guide §1.3; the layers are /etc/qvd/client.conf, then ~/.qvd/client.conf.
"""

from __future__ import annotations

import os
import stat

from client_gui.wishes import Wishes, format_ports, parse_ports
from qvd_usbip import properties, share_list
from qvd_usbip.errors import CONFIG_NOT_TEXT, CONFIG_UNREADABLE, CONFIG_UNWRITABLE, SETTINGS_MALFORMED, QvdUsbError
from qvd_usbip.system.files import read_bounded, save_atomic
from qvd_usbip.system.folder_lock import locked_folder
from qvd_usbip.values import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

TRIES = 5
"""How often a change is made anew because another program wrote the file meanwhile."""
LAYERS = ("/etc/qvd/client.conf", "~/.qvd/client.conf")
ABOUT = """The keys of QVD's client that are about USB devices. A key of the user's own file comes before the machine's,
and ${key} in a value stands for the value of that key.
The picker and qvd-usb change client.usb.share_list and client.usb.share_ports in it, and nothing else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One key: what holds where no file sets it, and what it is about."""

    default: str
    about: str


KEYS: Mapping[str, Key] = {
    "client.slave.command.qvd-client-slaveclient-usbip": Key(
        default="${path.qvd.bin}/qvd-client-slaveclient-usbip",
        about="The setuid helper that takes a device from its driver and gives it back.",
    ),
    "client.slave.enable": Key(default="1", about="Whether the session may have channels beside its screen, as USB's."),
    "client.usb.allow_plaintext": Key(
        default="0", about="1: devices may go over an unencrypted way that leaves this computer, for all to read."
    ),
    "client.usb.enable": Key(default="0", about="Whether USB devices are shared at all: 1 or 0."),
    "client.usb.implementation": Key(default="USBIP", about="How they are shared; we are USBIP."),
    "client.usb.on-fail": Key(
        default="",
        about="A command that is run when a device could not be shared. It finds what happened in its environment: "
        "QVD_USB_EVENT, QVD_USB_BUSID, QVD_USB_DEVICE, QVD_USB_VIDPID, QVD_USB_NAME, QVD_USB_KIND, QVD_USB_STATE, "
        "QVD_USB_PROBLEM.",
    ),
    "client.usb.on-return": Key(
        default="", about="A command that is run when a device is back on this computer; not for one that was pulled."
    ),
    "client.usb.on-share": Key(default="", about="A command that is run when a device is in the remote desktop."),
    "client.usb.share_all": Key(default="0", about="1: every device is shared that may be, whatever the list says."),
    "client.usb.share_list": Key(
        default="",
        about="The devices that are shared with each session: vid:pid or vid:pid@serial, separated by commas.",
    ),
    "client.usb.share_ports": Key(
        default="",
        about="Entries of the list that stand for the device at one port only, as entry/busid, separated by commas: "
        "for devices that are alike.",
    ),
    "path.qvd.bin": Key(default="/usr/lib/qvd/bin", about="Where QVD's programs are."),
    "path.usb.database": Key(
        default="/usr/share/hwdata/usb.ids,/var/lib/usbutils/usb.ids",
        about="Names of vendors and products, for devices that do not say theirs.",
    ),
    "path.usb.usbroot": Key(default="/sys/bus/usb/devices", about="Where the kernel shows USB devices."),
}
DEFAULTS: Mapping[str, str] = {name: key.default for name, key in KEYS.items()}

_YES = frozenset({"1", "yes", "true", "on"})
_NO = frozenset({"0", "no", "false", "off", ""})

Signature = tuple[tuple[int, int, int, int] | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The client's settings in force; `needed_to_enable` is the setting that would switch sharing on, if it is off.

    `commands` are the user's own for what happens to a device: share, return, fail; "" for none.
    """

    wishes: Wishes
    needed_to_enable: str
    allow_plaintext: bool
    helper: str
    usbroot: str
    database: str
    commands: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """The configuration files: the machine's, and the user's own, which alone is ever written.

    Paths are plain texts here and wherever `qvd-usb list` comes by: pathlib would be a third of its whole time.
    """

    system: str
    user: str

    @classmethod
    def of_user(cls) -> Files:
        """The files of whoever runs this program.

        Raises:
            QvdUsbError: config-unreadable, where there is no home folder.
        """
        system, user = LAYERS
        found = os.path.expanduser(user)
        if found == user:
            raise QvdUsbError(CONFIG_UNREADABLE, path=user, reason="there is no home folder")
        return cls(system=system, user=found)

    @property
    def policy(self) -> str:
        """What the administrator lets users lend, as the helper reads it."""
        return beside(self.system, "usbip-policy.conf")

    @property
    def rules(self) -> tuple[str, str]:
        """The rules of which devices may be lent: the administrator's and the user's."""
        return beside(self.system, "usbip-rules.conf"), os.path.join(self.own_folder, "rules.conf")

    @property
    def own_folder(self) -> str:
        """Where we keep what is ours alone and no other QVD program reads."""
        return os.path.join(os.path.dirname(os.path.dirname(self.user)), ".config", "qvd-usbip")

    def signature(self) -> Signature:
        """What changes when one of the files does; costs two system calls."""
        return tuple(_signature(path) for path in (self.system, self.user))


def beside(path: str, name: str) -> str:
    """Names another file of the same folder."""
    return os.path.join(os.path.dirname(path), name)


def _signature(path: str) -> tuple[int, int, int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None  # whatever the reason is, reading the file will tell it
    return found.st_ino, found.st_dev, found.st_mtime_ns, found.st_size


def load(files: Files) -> Settings:
    """Reads the settings in force.

    Raises:
        QvdUsbError: config-…, settings-malformed, share-list-malformed.
    """
    return _settings_in(files, _texts(files))


def _texts(files: Files) -> tuple[str, str]:
    return _read(files.system), _read(files.user)


def _settings_in(files: Files, texts: tuple[str, str]) -> Settings:
    layers = [_layer(path, text) for path, text in zip((files.system, files.user), texts, strict=True)]
    return interpret(properties.expand(properties.layered(DEFAULTS, *layers)))


def _layer(path: str, text: str) -> dict[str, str]:
    """One file's settings; what is no text is nobody's business but in a value that is ours."""
    values = properties.parse(text)
    for key in DEFAULTS:
        if not _is_text(values.get(key, "")):
            start, end = properties.places(text)[key]
            at = next((at for at in range(start, end) if not _is_text(text[at])), start)  # or it is an escape's doing
            offset = len(text[:at].encode("utf-8", "surrogateescape"))
            raise QvdUsbError(CONFIG_NOT_TEXT, path=path, offset=offset)
    return values


def _is_text(value: str) -> bool:
    """Whether it has no NUL and no half of a character, as which `surrogateescape` keeps a byte that is no UTF-8."""
    return not any(char == "\0" or 0xD800 <= ord(char) <= 0xDFFF for char in value)


def defaults() -> Settings:
    """The settings where no file says anything."""
    return interpret(properties.expand(DEFAULTS))


def interpret(values: Mapping[str, str]) -> Settings:
    """Decides the settings from expanded `key = value` pairs that hold every key of DEFAULTS.

    Raises:
        QvdUsbError: settings-malformed, share-list-malformed.
    """
    for key in DEFAULTS:
        if not _is_text(values[key]):  # by way of ${another.key}
            raise QvdUsbError(SETTINGS_MALFORMED, reason=f"{key} is no text once what it refers to is filled in")
    needed = ""
    if not _switch(values, "client.usb.enable"):
        needed = "client.usb.enable=1"
    elif not _switch(values, "client.slave.enable"):
        needed = "client.slave.enable=1"
    elif values["client.usb.implementation"].strip().upper() != "USBIP":
        needed = "client.usb.implementation=USBIP"
    return Settings(
        wishes=Wishes(
            share_list=share_list.parse(values["client.usb.share_list"]),
            ports=parse_ports(values["client.usb.share_ports"]),
            share_all=_switch(values, "client.usb.share_all"),
        ),
        needed_to_enable=needed,
        allow_plaintext=_switch(values, "client.usb.allow_plaintext"),
        helper=values["client.slave.command.qvd-client-slaveclient-usbip"].strip(),
        usbroot=values["path.usb.usbroot"].strip(),
        database=values["path.usb.database"],
        commands={event: values[f"client.usb.on-{event}"].strip() for event in ("share", "return", "fail")},
    )


def _switch(values: Mapping[str, str], key: str) -> bool:
    word = values[key].strip().lower()
    if word in _YES:
        return True
    if word in _NO:
        return False
    raise QvdUsbError(SETTINGS_MALFORMED, reason=f"{key} is '{values[key]}', not 0 or 1")


def change_wishes(files: Files, change: Callable[[Settings], Wishes]) -> Settings:
    """Changes what is shared in the user's file, and nothing else in it, while no other program of ours does.

    An editor or QVD's client does not know our lock: what they write meanwhile is read anew, and changed.

    Args:
        files: where to read and write.
        change: from the settings in force to the new wishes; called again where the file changed meanwhile.

    Returns:
        The settings after the change.

    Raises:
        QvdUsbError: config-…, or what `change` raises; the file is then as it was.
    """
    with locked_folder(os.path.dirname(os.path.realpath(files.user))):
        for _ in range(TRIES):
            after = _change_once(files, change)
            if after is not None:
                return after
    raise QvdUsbError(CONFIG_UNWRITABLE, path=files.user, reason="another program writes it all the time")


def _change_once(files: Files, change: Callable[[Settings], Wishes]) -> Settings | None:
    """Changes what stands in the files now; None, and nothing is written, where they changed meanwhile."""
    texts = _texts(files)
    before = _settings_in(files, texts)
    after = change(before)
    if after == before.wishes:
        return before
    text = texts[1]
    if after.share_list != before.wishes.share_list:
        text = properties.edit(text, "client.usb.share_list", str(after.share_list))
    if after.ports != before.wishes.ports:
        text = properties.edit(text, "client.usb.share_ports", format_ports(after.ports))
    saved = _save(files.user, text, lambda: _texts(files) == texts)
    return load(files) if saved else None


def _read(path: str) -> str:
    """A configuration file's text; one that does not exist is empty. Bytes that are no UTF-8 are kept for saving."""
    try:
        data = read_bounded(path)
    except FileNotFoundError:
        return ""
    if (offset := data.find(b"\0")) >= 0:
        raise QvdUsbError(CONFIG_NOT_TEXT, path=path, offset=offset)
    return data.decode("utf-8", "surrogateescape")


def _save(path: str, text: str, still: Callable[[], bool]) -> bool:
    """Replaces the file, unless right before that it is not `still` the one that was read; whether it did."""
    mode, owner = 0o600, None
    if os.path.exists(path):
        found = os.stat(path)
        mode, owner = stat.S_IMODE(found.st_mode), (found.st_uid, found.st_gid)
        if not os.access(path, os.W_OK):  # replacing it would go behind the back of whoever made it read-only
            raise QvdUsbError(CONFIG_UNWRITABLE, path=path, reason="it is read-only")
    return save_atomic(path, text.encode("utf-8", "surrogateescape"), mode, owner, still)
