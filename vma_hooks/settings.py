"""EFFECT: the image's settings, /etc/qvd/vma.conf."""

import grp

from qvd_usbip import properties
from qvd_usbip.errors import GROUP_UNKNOWN, SETTINGS_MALFORMED, QvdUsbError
from qvd_usbip.system.files import read_text
from vma_hooks.acl import parse_permissions

TYPE_CHECKING = False  # importing typing or collections.abc would cost more than an event's work
if TYPE_CHECKING:
    from collections.abc import Mapping

SETTINGS_FILE = "/etc/qvd/vma.conf"
USER_GROUPS = "vma.user.default.groups"
DEFAULTS = {
    USER_GROUPS: "qvduser",
    "createdevice.acl.enable": "1",
    "createdevice.acl.group": "qvduser",
    "createdevice.acl.permissions": "rw",
    "internal.vma.slave.config": "/etc/qvd/slave.key",
}
_YES, _NO = frozenset(("1", "yes", "true", "on")), frozenset(("0", "no", "false", "off", ""))


class Access:
    """Who besides root may open the container's devices: a group, by name, and its rights as bits."""

    __slots__ = ("bits", "group")

    def __init__(self, group: str, bits: int) -> None:
        self.group = group
        self.bits = bits


class Settings:
    """`access` is what a device node gives and to whom (None: root only); `key_file` holds the slave key.

    `group` may speak with the agent, whether nodes give it anything or not; `user_groups` are those that the VMA puts
    the accounts in that it makes.
    """

    __slots__ = ("access", "group", "key_file", "user_groups")

    def __init__(self, access: Access | None, group: str, key_file: str, user_groups: tuple[str, ...] = ()) -> None:
        self.access = access
        self.group = group
        self.key_file = key_file
        self.user_groups = user_groups


def load_settings(path: str = SETTINGS_FILE) -> Settings:
    """Read and check the settings; a file that is not there means the defaults.

    Args:
        path: a Java properties file.

    Raises:
        QvdUsbError: SETTINGS_MALFORMED names the key; CONFIG_* when the file cannot be read as text.
    """
    try:
        text = read_text(path)
    except FileNotFoundError:
        text = ""
    return parse_settings(properties.expand(properties.layered(DEFAULTS, properties.parse(text))), path)


def parse_settings(values: "Mapping[str, str]", path: str) -> Settings:
    """Check the keys the image's programs use.

    Args:
        values: defaults and file, expanded.
        path: where they come from, for the message.

    Raises:
        QvdUsbError: SETTINGS_MALFORMED.

    Source: guide §3.2.
    """

    def refuse(key: str, wanted: str) -> QvdUsbError:
        reason = f"{key} in {path} is '{values[key]}', it must be {wanted}"
        return QvdUsbError(SETTINGS_MALFORMED, reason=reason)

    enable = values["createdevice.acl.enable"].strip().lower()
    group = values["createdevice.acl.group"].strip()
    bits = parse_permissions(values["createdevice.acl.permissions"].strip())
    key_file = values["internal.vma.slave.config"].strip()
    if enable not in _YES | _NO:
        raise refuse("createdevice.acl.enable", "1 or 0")
    if not group or not group.isascii() or not group.isprintable():
        raise refuse("createdevice.acl.group", "the name of a group")
    if bits is None:
        raise refuse("createdevice.acl.permissions", "r, w and x, as in rw or rw-")
    if not key_file.startswith("/"):
        raise refuse("internal.vma.slave.config", "the full path of a file")
    user_groups = tuple(filter(None, (each.strip() for each in values[USER_GROUPS].split(","))))
    return Settings(Access(group, bits) if enable in _YES else None, group, key_file, user_groups)


def group_number(name: str) -> int:
    """Look a group up.

    Raises:
        QvdUsbError: GROUP_UNKNOWN.
    """
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        raise QvdUsbError(GROUP_UNKNOWN, group=name) from None
