"""EFFECT: what an image needs so that its users can open lent devices, looked at one by one; each lack has its remedy.

An image that runs is looked at whole; of one that lies in a folder, what its files say.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from qvd_usbip import properties
from qvd_usbip.errors import GROUP_UNKNOWN, NODE_UNUSABLE, USAGE, QvdUsbError
from qvd_usbip.finding import Finding, finding_of
from qvd_usbip.system.files import read_text
from vma_hooks import accounts, check_installed, check_running
from vma_hooks.accounts import Accounts
from vma_hooks.acl import READ, WRITE, format_permissions
from vma_hooks.broker_client import BROKER_SOCKET, BrokerClient
from vma_hooks.settings import DEFAULTS, SETTINGS_FILE, USER_GROUPS, Settings, load_settings, parse_settings

CREATE_DEVICE = "createdevice."
_NAMED = 5  # users in one sentence

Look = Callable[[], list[Finding]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """An image: the folder that is its root, whether it runs, its accounts, and whose its files have to be."""

    root: Path
    runs: bool
    accounts: Accounts
    owner: int = 0


def image_at(folder: str) -> Image:
    """The image in a folder, or, for "", the one that this program runs in.

    Raises:
        QvdUsbError: USAGE when there is no such folder.
    """
    if not folder:
        return Image(root=Path("/"), runs=True, accounts=accounts.running())
    root = Path(folder)
    if not (root / "etc").is_dir():
        raise QvdUsbError(USAGE, reason=f"{folder} holds no image: it has no folder etc")
    return Image(root=root, runs=False, accounts=accounts.at_rest(root))


def examine(image: Image, user: str = "") -> list[Finding]:
    """Look at everything, in the order in which it is needed.

    Args:
        image: where.
        user: whose access to look at besides; "" looks at the ordinary users that there are.
    """
    root = image.root
    path = str(root / SETTINGS_FILE.lstrip("/"))
    settings = _settings_or_defaults(path)
    looks: list[tuple[str, Look]] = [
        ("settings", lambda: _settings(path)),
        ("keys", lambda: _unknown_keys(path)),
        ("group", lambda: _groups(settings, image.accounts)),
        ("member", lambda: _members(settings, image.accounts, user)),
        ("program", lambda: check_installed.programs(root, image.owner)),
        ("receiver", lambda: [check_installed.receiver(root)]),
        ("key", lambda: [check_installed.key(root, settings.key_file, image.owner)]),
    ]
    if not (image.runs and check_running.host_makes_nodes(root)):
        looks += [("rule", lambda: [check_installed.rule(root)]), ("boot", lambda: [check_installed.boot(root)])]
    if image.runs:
        agent = BrokerClient(root / BROKER_SOCKET.relative_to("/"))
        looks += [
            ("modules", check_running.modules),
            ("udevd", lambda: check_running.udevd(root)),
            ("dev", lambda: check_running.dev(root, wanted=settings.access is not None)),
            ("hub", lambda: check_running.hub(root)),
            ("broker", lambda: check_running.broker(root, agent, _gid(settings, image.accounts))),
        ]
    return [line for name, look in looks for line in _looked(name, look)]


def _looked(name: str, look: Look) -> list[Finding]:
    try:
        return look()
    except QvdUsbError as error:
        return [finding_of(name, error)]


def _settings_or_defaults(path: str) -> Settings:
    """The settings; broken ones have a line of their own, and all else is looked at by the defaults."""
    try:
        return load_settings(path)
    except QvdUsbError:
        return parse_settings(DEFAULTS, path)


def _settings(path: str) -> list[Finding]:
    access = load_settings(path).access
    if access is None:
        text = "createdevice.acl.enable=0: only root may open devices"
        return [Finding(name="settings", text=text, remedy=f"Set createdevice.acl.enable=1 in {path}.")]
    shown = format_permissions(access.bits)
    if access.bits & (READ | WRITE) != READ | WRITE:
        text = f"createdevice.acl.permissions gives {shown}: most programs open a device to read and to write"
        return [Finding(name="settings", text=text, remedy=f"Set createdevice.acl.permissions=rw in {path}.")]
    return [Finding(name="settings", text=f"devices are opened to the group {access.group} ({shown})")]


def _unknown_keys(path: str) -> list[Finding]:
    """Keys of ours that nothing reads: most often a slip of the pen, with the default in force instead."""
    try:
        written = properties.parse(read_text(path))
    except FileNotFoundError:
        return []
    known = ", ".join(sorted(key for key in DEFAULTS if key.startswith(CREATE_DEVICE)))
    return [
        Finding(name="keys", text=f"{key} in {path} is read by nothing", remedy=f"What there is: {known}.")
        for key in written
        if key.startswith(CREATE_DEVICE) and key not in DEFAULTS
    ]


def _groups(settings: Settings, there: Accounts) -> list[Finding]:
    """The group of the devices, and those that the VMA puts new accounts in."""
    wanted = dict.fromkeys((settings.group, *settings.user_groups))
    missing = [name for name in wanted if name not in there.groups]
    lines = [
        Finding(
            name="group",
            text=str(QvdUsbError(GROUP_UNKNOWN, group=name)),
            remedy=f"As root in the image: groupadd --system {name}",
            exit_status=GROUP_UNKNOWN.exit_status,
        )
        for name in missing
    ]
    if settings.access is not None and settings.group not in settings.user_groups:
        text = f"{USER_GROUPS} does not name {settings.group}: accounts that the VMA makes may not open devices"
        remedy = f"Set {USER_GROUPS}={','.join((*settings.user_groups, settings.group))} in {SETTINGS_FILE}."
        lines.append(Finding(name="group", text=text, remedy=remedy, exit_status=NODE_UNUSABLE.exit_status))
    return lines or [
        Finding(name="group", text=f"{', '.join(wanted)}: there, and joined by accounts that the VMA makes")
    ]


def _members(settings: Settings, there: Accounts, user: str) -> list[Finding]:
    group = settings.group
    if settings.access is None or group not in there.groups:
        return []  # said by `settings` or `group`
    if user:
        return [_member(group, there, user)]
    outside = sorted(name for name in there.users if not there.is_member(name, group))
    inside = sorted(there.users.keys() - outside)
    if not there.users:
        return [Finding(name="member", text="no ordinary user is here yet: the VMA makes the accounts")]
    if not inside:
        return [_outsider(group, each) for each in outside[:_NAMED]]
    lines = [Finding(name="member", text=f"in the group {group}: {_list(inside)}")]
    if outside:
        remedy = f"If one is to use devices, as root in the image: usermod -aG {group} USER"
        lines.append(Finding(name="member", text=f"not in the group {group}: {_list(outside)}", remedy=remedy))
    return lines


def _member(group: str, there: Accounts, user: str) -> Finding:
    if user not in there.users:
        text, remedy = (
            f"there is no ordinary user '{user}' in this image",
            f"As root in the image: useradd -mG {group} {user}",
        )
        return Finding(name="member", text=text, remedy=remedy, exit_status=NODE_UNUSABLE.exit_status)
    if there.is_member(user, group):
        return Finding(name="member", text=f"{user} is in the group {group}")
    return _outsider(group, user)


def _outsider(group: str, user: str) -> Finding:
    return Finding(
        name="member",
        text=f"{user} is not in the group {group} and may not open devices",
        remedy=f"As root in the image: usermod -aG {group} {user}; then log in again.",
        exit_status=NODE_UNUSABLE.exit_status,
    )


def _list(names: list[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{', '.join(names[:_NAMED])}{more}"


def _gid(settings: Settings, there: Accounts) -> int | None:
    found = there.groups.get(settings.group)
    return None if found is None else found.gid
