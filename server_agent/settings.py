"""EFFECT: the keys of /etc/qvd/node.conf that the agent uses, with their defaults; and setting one of them.

What is wrong is found and said all at once, each with file and line: whoever repairs a file reads it once.
"""

import string
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import ip_address
from pathlib import Path

from qvd_usbip import properties
from qvd_usbip.errors import SETTINGS_MALFORMED, QvdUsbError
from qvd_usbip.ids import decimal
from qvd_usbip.system.files import read_text, save_atomic
from qvd_usbip.system.folder_lock import locked_folder
from server_agent.lending import MOST_HUBS, MOST_PORTS, USUAL, Lending, parse_hubs

NODE_CONF = Path("/etc/qvd/node.conf")
HYPERVISOR = "vm.hypervisor"
USE_VHCI_HUBS = "vm.lxc.use_vhci_hubs"
STORAGE = "path.storage.root"
DEVICEFS = "path.storage.devicefs"
HUBS, SHARED_HUBS, PORTS = "vm.lxc.usb.hubs", "vm.lxc.usb.shared_hubs", "vm.lxc.usb.ports"
STATUS_GROUP = "vm.lxc.usb.status_group"
METRICS = "vm.lxc.usb.metrics"
ISOCHRONOUS = "vm.lxc.usb.isochronous"
LISTEN = "vm.usb.endpoint.listen"
DISK_REQUEST, OFF = "vm.lxc.usb.disk_request_kb", "off"
LEAST_REQUEST, MOST_REQUEST = 128, 32767  # KiB; the kernel counts sectors of 512 bytes in 16 bits
OURS = ("vm.lxc.usb", "vm.usb")  # what begins so is ours alone: a key there that is not known is a mistake
LEAST_PORT, MOST_PORT = 1024, 65535  # below it one needs a right that nothing else here does
ALL_TENANTS = "-1"
GROUP_LETTERS = frozenset(string.ascii_letters + string.digits + "_.-")


class Isochronous(StrEnum):
    """Whether devices with isochronous endpoints (sound, video) may reach a container."""

    AUTO = "auto"  # where this kernel is known to have the fix
    ALLOW = "allow"
    REFUSE = "refuse"


def _lxc(value: str) -> str:
    return "" if value == "lxc" else "is not lxc, which is all this agent serves"


def _switch(value: str) -> str:
    return "" if value in {"0", "1"} else "is neither 0 nor 1"


def _isochronous(value: str) -> str:
    return "" if value in set(Isochronous) else f"is none of: {', '.join(Isochronous)}"


def _path(value: str) -> str:
    plain = value.isascii() and value.isprintable() and not set(value) & set(" \\'\"#")
    if value.startswith("/") and plain and ".." not in value.split("/"):
        return ""
    return "is no absolute path without blanks"


def _path_or_nothing(value: str) -> str:
    return _path(value) if value else ""


def _group(value: str) -> str:
    return "is the name of no group" if set(value) - GROUP_LETTERS or value.startswith("-") else ""


def _hubs(value: str) -> str:
    try:
        parse_hubs(value)
    except ValueError:
        return "is neither 'all' nor numbers of hubs like 1-3,5"
    return ""


def _count(least: int, most: int) -> Callable[[str], str]:
    def wrong(value: str) -> str:
        number = decimal(value, most)
        return f"is no number from {least} to {most}" if number is None or number < least else ""

    return wrong


def _request(value: str) -> str:
    wrong = "" if value == OFF else _count(LEAST_REQUEST, MOST_REQUEST)(value)
    return f"{wrong}, nor {OFF}" if wrong else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listen:
    """Where clients of the network are waited for: an address of this host, and a port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_listen(value: str) -> Listen:
    """Read "0.0.0.0:9020" or "[::]:9020".

    Raises:
        ValueError: it is neither.
    """
    host, _, port = value.rpartition(":")
    number = decimal(port, MOST_PORT)
    plain = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if number is None or number < LEAST_PORT or (plain == host) != (ip_address(plain).version == 4):
        raise ValueError(value)
    return Listen(host=plain, port=number)


def _listen(value: str) -> str:
    try:
        parse_listen(value or "127.0.0.1:1024")
    except ValueError:
        return f"is no address and port ({LEAST_PORT} to {MOST_PORT}) like 0.0.0.0:9020 or [::]:9020"
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One key: what holds when no file sets it, and what is wrong with a value ("" for nothing)."""

    default: str
    wrong: Callable[[str], str]


KEYS: Mapping[str, Key] = {
    HYPERVISOR: Key(default="lxc", wrong=_lxc),
    USE_VHCI_HUBS: Key(default="0", wrong=_switch),
    HUBS: Key(default="all", wrong=_hubs),
    SHARED_HUBS: Key(default="1", wrong=_count(0, MOST_HUBS)),
    PORTS: Key(default="4", wrong=_count(1, MOST_PORTS)),
    STORAGE: Key(default="/var/lib/qvd/storage", wrong=_path),
    DEVICEFS: Key(default="${path.storage.root}/devicefs", wrong=_path),
    STATUS_GROUP: Key(default="", wrong=_group),
    METRICS: Key(default="/run/qvd-usbip/metrics.prom", wrong=_path_or_nothing),
    ISOCHRONOUS: Key(default=Isochronous.AUTO, wrong=_isochronous),
    DISK_REQUEST: Key(default="1024", wrong=_request),
    LISTEN: Key(default="", wrong=_listen),
}
DEFAULTS: Mapping[str, str] = {name: key.default for name, key in KEYS.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What an administrator decides for this host.

    `status_group`: whose members may look at, but not change, what the agent does ("" for root alone).
    `metrics`: the file of figures for Prometheus; None for none.
    `isochronous`: whether devices with isochronous endpoints are let through; see kernel_defects.ISOCHRONOUS.
    `disk_request_kib`: how large requests to lent disks may be; 0 leaves them as they come.
    `endpoint`: where paired clients reach their containers directly, encrypted; None for nowhere.
    """

    use_vhci_hubs: bool
    devicefs: Path
    lending: Lending = USUAL
    status_group: str = ""
    metrics: Path | None = None
    isochronous: Isochronous = Isochronous.AUTO
    disk_request_kib: int = 1024
    endpoint: Listen | None = None


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Fault:
    """Something in the file that cannot be used; line 0 is a default that no line sets."""

    line: int
    key: str
    text: str

    def at(self, path: Path) -> str:
        """The fault with its place."""
        return f"{path}:{self.line}: {self.text}" if self.line else f"{path}: {self.text}"


def load(path: Path = NODE_CONF) -> Settings:
    """The settings in force; a file that is not there means the defaults.

    Raises:
        QvdUsbError: the file cannot be read, or values make no sense: settings-malformed, naming all of them.
    """
    text = _text(path)
    found = faults(text)
    if found:
        raise QvdUsbError(SETTINGS_MALFORMED, reason="; ".join(fault.at(path) for fault in found))
    return settings_of(values_in(text))


def values(path: Path = NODE_CONF) -> dict[str, str]:
    """Every key with its value, `${…}` filled in.

    Raises:
        QvdUsbError: the file cannot be read or refers to itself in a circle.
    """
    return values_in(_text(path))


def settings_of(found: Mapping[str, str]) -> Settings:
    """Typed settings from values in which there is no fault."""
    words = {key: found[key].strip() for key in KEYS}
    return Settings(
        use_vhci_hubs=words[USE_VHCI_HUBS] == "1",
        devicefs=Path(words[DEVICEFS]),
        lending=Lending(hubs=parse_hubs(words[HUBS]), shared=int(words[SHARED_HUBS]), ports=int(words[PORTS])),
        status_group=words[STATUS_GROUP],
        metrics=Path(words[METRICS]) if words[METRICS] else None,
        isochronous=Isochronous(words[ISOCHRONOUS]),
        disk_request_kib=0 if words[DISK_REQUEST] == OFF else int(words[DISK_REQUEST]),
        endpoint=parse_listen(words[LISTEN]) if words[LISTEN] else None,
    )


def faults(text: str) -> list[Fault]:
    """Everything in a node.conf that cannot be used, in the order of its lines."""
    found: list[Fault] = []
    lines: dict[str, int] = {}
    written: dict[str, str] = {}
    for number, piece in properties.numbered(text):
        try:
            ((key, value),) = properties.parse(piece).items()
        except QvdUsbError as error:
            found.append(Fault(line=number, key="", text=error.context["reason"]))
            continue
        lines[key], written[key] = number, value
    found += (
        Fault(line=number, key=key, text=f"{key} is not known here; {_known()}")
        for key, number in lines.items()
        if key.startswith(OURS) and key not in KEYS
    )
    meant = properties.layered(DEFAULTS, written)
    try:
        meant = properties.expand(meant)
    except QvdUsbError as error:
        key = error.context.get("key", "")
        found.append(Fault(line=lines.get(key, 0), key=key, text=error.context["reason"]))
        meant = {name: value for name, value in meant.items() if "${" not in value}
    wrong = list(_wrong(meant, lines))
    found += [fault for fault in wrong if fault.line] or wrong
    return sorted(found)


def _wrong(meant: Mapping[str, str], lines: Mapping[str, int]) -> Iterator[Fault]:
    for name in KEYS.keys() & meant.keys():
        value = meant[name].strip()
        reason = KEYS[name].wrong(value)
        if reason:
            yield Fault(line=lines.get(name, 0), key=name, text=f"{name}={value} {reason}")


def _known() -> str:
    return f"what begins with {' or '.join(OURS)} is: {', '.join(sorted(key for key in KEYS if key.startswith(OURS)))}"


def _text(path: Path) -> str:
    try:
        return read_text(path)
    except FileNotFoundError:
        return ""


def values_in(text: str) -> dict[str, str]:
    """Every key with its value, `${…}` filled in.

    Raises:
        QvdUsbError: settings-malformed.
    """
    return dict(properties.expand(properties.layered(DEFAULTS, properties.parse(text))))


def parse_assignment(words: list[str]) -> tuple[str, str]:
    """The key and value of "key=vm.lxc.use_vhci_hubs,value=1,tenant_id=-1", the guide's own way to say it, or of two.

    Raises:
        QvdUsbError: settings-malformed, for anything else.
    """
    if len(words) == 2 and words[0]:
        return words[0], words[1]
    whole = " ".join(words)
    found = {}
    for part in whole.split(","):
        word, equals, value = part.partition("=")
        if not equals:
            raise QvdUsbError(SETTINGS_MALFORMED, reason=f"'{part}' is not word=value")
        found[word.strip()] = value.strip()
    tenant = found.pop("tenant_id", ALL_TENANTS)
    if tenant != ALL_TENANTS:
        reason = f"tenant_id={tenant}: a host has one value for all its tenants, which is tenant_id={ALL_TENANTS}"
        raise QvdUsbError(SETTINGS_MALFORMED, reason=reason)
    if len(words) != 1 or set(found) != {"key", "value"} or not found["key"]:
        raise QvdUsbError(SETTINGS_MALFORMED, reason=f"'{whole}' is not key=…,value=… nor KEY VALUE")
    return found["key"], found["value"]


def save(key: str, value: str, path: Path = NODE_CONF) -> None:
    """Set one key in the file; every other byte of it, its owner and mode stay. Another line's fault does not matter.

    Raises:
        QvdUsbError: the value makes no sense, or the file cannot be read or written.
    """
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    with locked_folder(path.parent):
        try:
            text, found = read_text(path), path.stat()
            mode, owner = found.st_mode & 0o777, (found.st_uid, found.st_gid)
        except FileNotFoundError:
            text, mode, owner = "", 0o644, None
        edited = properties.edit(text, key, value)
        older = {(fault.key, fault.text) for fault in faults(text)}
        made = [fault for fault in faults(edited) if fault.key == key or (fault.key, fault.text) not in older]
        if made:
            raise QvdUsbError(SETTINGS_MALFORMED, reason="; ".join(fault.text for fault in made))
        save_atomic(path, edited.encode(), mode, owner)
