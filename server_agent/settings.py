"""EFFECT: the keys of /etc/qvd/node.conf that the agent uses, with their defaults; and setting one of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from qvd_usbip import properties
from qvd_usbip.errors import SETTINGS_MALFORMED, QvdUsbError
from qvd_usbip.system.files import read_text, save_atomic

NODE_CONF = Path("/etc/qvd/node.conf")
USE_VHCI_HUBS = "vm.lxc.use_vhci_hubs"
DEVICEFS = "path.storage.devicefs"
DEFAULTS: Mapping[str, str] = {
    "vm.hypervisor": "lxc",
    USE_VHCI_HUBS: "0",
    "path.storage.root": "/var/lib/qvd/storage",
    DEVICEFS: "${path.storage.root}/devicefs",
}
WORDS_IGNORED = frozenset({"tenant_id"})  # the guide's command has it; a node has one value for all


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What an administrator decides for this host."""

    use_vhci_hubs: bool
    devicefs: Path


def load(path: Path = NODE_CONF) -> Settings:
    """The settings in force; a file that is not there means the defaults.

    Raises:
        QvdUsbError: the file cannot be read, or a value makes no sense.
    """
    return settings_of(values(path))


def values(path: Path = NODE_CONF) -> dict[str, str]:
    """Every key with its value, `${…}` filled in.

    Raises:
        QvdUsbError: the file cannot be read or refers to itself in a circle.
    """
    try:
        text = read_text(path)
    except FileNotFoundError:
        text = ""
    return dict(properties.expand(properties.layered(DEFAULTS, properties.parse(text))))


def settings_of(found: Mapping[str, str]) -> Settings:
    """Typed settings from plain values.

    Raises:
        QvdUsbError: settings-malformed, naming the key.
    """
    hubs = found[USE_VHCI_HUBS].strip()
    if hubs not in {"0", "1"}:
        raise QvdUsbError(SETTINGS_MALFORMED, reason=f"{USE_VHCI_HUBS}={hubs} is neither 0 nor 1")
    devicefs = found[DEVICEFS].strip()
    plain = devicefs.isascii() and devicefs.isprintable() and not set(devicefs) & set(" \\'\"#")
    if not devicefs.startswith("/") or not plain or ".." in devicefs.split("/"):
        raise QvdUsbError(SETTINGS_MALFORMED, reason=f"{DEVICEFS}={devicefs} is no absolute path without blanks")
    return Settings(use_vhci_hubs=hubs == "1", devicefs=Path(devicefs))


def parse_assignment(text: str) -> tuple[str, str]:
    """The key and value of "key=vm.lxc.use_vhci_hubs,value=1,tenant_id=-1", the guide's own way to say it.

    Raises:
        QvdUsbError: usage, for anything else.
    """
    words = {}
    for part in text.split(","):
        word, equals, value = part.partition("=")
        if not equals:
            raise QvdUsbError(SETTINGS_MALFORMED, reason=f"'{part}' is not word=value")
        words[word.strip()] = value.strip()
    unknown = set(words) - {"key", "value"} - WORDS_IGNORED
    if unknown or not words.get("key") or "value" not in words:
        raise QvdUsbError(SETTINGS_MALFORMED, reason=f"'{text}' is not key=…,value=…")
    return words["key"], words["value"]


def save(key: str, value: str, path: Path = NODE_CONF) -> None:
    """Set one key in the file; every other byte of it stays.

    Raises:
        QvdUsbError: the value makes no sense, or the file cannot be read or written.
    """
    settings_of({**values(path), key: value})
    try:
        text = read_text(path)
        mode = path.stat().st_mode & 0o777
    except FileNotFoundError:
        text, mode = "", 0o644
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    save_atomic(path, properties.edit(text, key, value).encode(), mode)
