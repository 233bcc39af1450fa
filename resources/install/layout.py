"""PURE: what an installation holds: every file of each role, its place and its mode.

All of it belongs to root. The lab installs from this list, packages are built from it, and a test compares it with what
an installation really leaves.
"""

from dataclasses import dataclass
from enum import StrEnum

PYTHON_HOME = "/usr/lib/qvd-usbip/python"
QVD_BIN = "/usr/lib/qvd/bin"
UNITS = "/usr/lib/systemd/system"
APPARMOR = "/etc/apparmor.d"
PROFILE = f"{APPARMOR}/lxc-container-qvd"
SHARED_PACKAGE = "qvd_usbip"


class Kind(StrEnum):
    """How an item comes to its place."""

    COPY = "copy"
    SETTINGS = "settings"  # copied only where there is none: an administrator's file is never overwritten
    START = "start"  # a start script, made from resources/scripts/start.in
    LINK = "link"
    PACKAGE = "package"  # a folder of Python modules, byte-compiled
    TRANSLATION = "translation"  # compiled from resources/i18n
    LAUNCHER = "launcher"  # compiled from resources/launcher
    MAN = "man"  # made of what programs and settings files say of themselves


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One thing to install.

    `source` is a path in the repository, for LINK what the link says, for START "module:function", for MAN the page.
    `flags` are the interpreter's, for START only.
    """

    kind: Kind
    target: str
    source: str
    mode: int = 0o644
    flags: str = "-I"


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """One side of the product: its items, its group, and what `ENABLE=1` starts at boot."""

    name: str
    package: str
    items: tuple[Item, ...]
    sysusers: str = ""
    tmpfiles: str = ""
    enable: tuple[tuple[str, str], ...] = ()  # (unit, target that wants it)

    @property
    def packages(self) -> tuple[Item, ...]:
        """The role's own Python package and the shared one."""
        return tuple(_package(name) for name in (SHARED_PACKAGE, self.package))


def _package(name: str) -> Item:
    return Item(kind=Kind.PACKAGE, target=f"{PYTHON_HOME}/{name}", source=name, mode=0o755)


def _copy(target: str, source: str) -> Item:
    return Item(kind=Kind.COPY, target=target, source=f"resources/{source}")


def _settings(name: str) -> Item:
    return Item(kind=Kind.SETTINGS, target=f"/etc/qvd/{name}", source=f"resources/conf/{name}")


def _start(target: str, source: str, flags: str = "-I") -> Item:
    return Item(kind=Kind.START, target=target, source=source, mode=0o755, flags=flags)


def _man(*pages: str) -> tuple[Item, ...]:
    """Manual pages by their file names, and the one that belongs to every role."""
    return tuple(
        Item(kind=Kind.MAN, target=f"/usr/share/man/man{page[-1]}/{page}", source=page)
        for page in (*pages, "qvd-usbip-problems.7")
    )


CLIENT = Role(
    name="client",
    package="client_gui",
    sysusers="qvd-usbip-client.conf",
    tmpfiles="qvd-usbip-client.conf",
    enable=(("qvd-usb-recover.service", "multi-user.target"),),
    items=(
        _start("/usr/bin/qvd-usb", "client_gui.cli:main", "-IS"),
        _start("/usr/bin/qvd-usb-picker", "client_gui.ui.main:main"),
        Item(
            kind=Kind.LAUNCHER,
            target=f"{QVD_BIN}/qvd-client-slaveclient-usbip-aux",
            source="resources/launcher/launcher.c",
            mode=0o4755,
        ),
        Item(
            kind=Kind.LINK,
            target=f"{QVD_BIN}/qvd-client-slaveclient-usbip",
            source="qvd-client-slaveclient-usbip-aux",
            mode=0o777,
        ),
        _copy(f"{UNITS}/qvd-usb-recover.service", "systemd/qvd-usb-recover.service"),
        _copy("/usr/lib/modules-load.d/qvd-usbip-client.conf", "modules-load.d/qvd-usbip-client.conf"),
        _settings("usbip-policy.conf"),
        _settings("usbip-rules.conf"),
        _copy("/usr/share/bash-completion/completions/qvd-usb", "completion/qvd-usb.bash"),
        _copy("/usr/share/zsh/vendor-completions/_qvd-usb", "completion/qvd-usb.zsh"),
        _copy("/usr/share/fish/vendor_completions.d/qvd-usb.fish", "completion/qvd-usb.fish"),
        _copy("/usr/share/applications/qvd-usb-picker.desktop", "desktop/qvd-usb-picker.desktop"),
        _copy("/usr/share/icons/hicolor/scalable/apps/qvd-usb-picker.svg", "desktop/qvd-usb-picker.svg"),
        _copy("/usr/share/metainfo/org.qvd_usbip.Picker.metainfo.xml", "desktop/org.qvd_usbip.Picker.metainfo.xml"),
        Item(kind=Kind.TRANSLATION, target="/usr/share/qvd-usbip/i18n/es.qm", source="resources/i18n/picker_es.ts"),
        _copy("/usr/lib/sysusers.d/qvd-usbip-client.conf", "sysusers.d/qvd-usbip-client.conf"),
        _copy("/usr/lib/tmpfiles.d/qvd-usbip-client.conf", "tmpfiles.d/qvd-usbip-client.conf"),
        *_man(
            *("qvd-usb.1", "qvd-usb-picker.1", "qvd-client-slaveclient-usbip.8"),
            *("qvd-usbip-client.conf.5", "usbip-policy.conf.5", "usbip-rules.conf.5"),
        ),
    ),
)

SERVER = Role(
    name="server",
    package="server_agent",
    sysusers="qvd-usbip-server.conf",
    enable=(("qvd-usb-agent.service", "multi-user.target"),),
    items=(
        _start("/usr/sbin/qvd-usb-agent", "server_agent.cli:main"),
        _copy(f"{UNITS}/qvd-usb-agent.service", "systemd/qvd-usb-agent.service"),
        _copy(f"{UNITS}/qvd-usb-endpoint.service", "systemd/qvd-usb-endpoint.service"),
        _copy("/usr/lib/sysusers.d/qvd-usbip-server.conf", "sysusers.d/qvd-usbip-server.conf"),
        _copy("/usr/share/qvd-usbip/lxc/container.seccomp", "lxc/container.seccomp"),
        # Copied over an older one, unlike settings: what an administrator adds belongs into local/.
        _copy(f"{APPARMOR}/abstractions/qvd-container", "apparmor.d/abstractions/qvd-container"),
        _copy(PROFILE, "apparmor.d/lxc-container-qvd"),
        _copy("/usr/lib/systemd/network/05-qvd-usbip-host.network", "network/05-qvd-usbip-host.network"),
        _copy("/usr/lib/modules-load.d/qvd-usbip.conf", "modules-load.d/qvd-usbip.conf"),
        _copy("/usr/lib/udev/rules.d/10-qvd-usbip-host.rules", "udev/10-qvd-usbip-host.rules"),
        _settings("node.conf"),
        *_man("qvd-usb-agent.8", "qvd-usbip-node.conf.5"),
    ),
)

VMA = Role(
    name="vma",
    package="vma_hooks",
    sysusers="qvd-usbip-vma.conf",
    enable=(
        ("qvd-usb-slaveserver.socket", "sockets.target"),
        ("qvd-create-device-coldplug.service", "multi-user.target"),
    ),
    items=(
        # No site packages: the hook runs once per event, and half its time would go into looking for them.
        _start(f"{QVD_BIN}/qvd-create-device", "vma_hooks.create_device:start", "-IS"),
        _start(f"{QVD_BIN}/qvd-usb-slaveserver", "vma_hooks.slave_server:main"),
        _start(f"{QVD_BIN}/qvd-vma-slaveserver-usbip", "vma_hooks.attach:main"),
        _start("/usr/sbin/qvd-usb-image", "vma_hooks.image:main"),
        _copy(f"{UNITS}/qvd-create-device-coldplug.service", "systemd/qvd-create-device-coldplug.service"),
        _copy(f"{UNITS}/qvd-usb-slaveserver.service", "systemd/qvd-usb-slaveserver.service"),
        _copy(f"{UNITS}/qvd-usb-slaveserver.socket", "systemd/qvd-usb-slaveserver.socket"),
        _copy("/usr/lib/udev/rules.d/70-qvd-create-device.rules", "udev/70-qvd-create-device.rules"),
        _copy("/usr/share/bash-completion/completions/qvd-usb-image", "completion/qvd-usb-image.bash"),
        _copy("/usr/share/zsh/vendor-completions/_qvd-usb-image", "completion/qvd-usb-image.zsh"),
        _copy("/usr/share/fish/vendor_completions.d/qvd-usb-image.fish", "completion/qvd-usb-image.fish"),
        _copy("/usr/lib/sysusers.d/qvd-usbip-vma.conf", "sysusers.d/qvd-usbip-vma.conf"),
        _settings("vma.conf"),
        *_man(
            *("qvd-create-device.8", "qvd-usb-slaveserver.8", "qvd-vma-slaveserver-usbip.8"),
            *("qvd-usb-image.8", "qvd-usbip-vma.conf.5"),
        ),
    ),
)

ROLES = {role.name: role for role in (CLIENT, SERVER, VMA)}


def roles_of(name: str) -> tuple[Role, ...]:
    """The roles that ROLE=name installs; none for a word that is no role."""
    if name == "all":
        return tuple(ROLES.values())
    return (ROLES[name],) if name in ROLES else ()


def start_script(template: str, item: Item, interpreter: str) -> str:
    """The text of a start script: `interpreter` is an absolute path."""
    module, _, function = item.source.partition(":")
    words = {
        "INTERPRETER": interpreter,
        "FLAGS": item.flags,
        "MODULE": module,
        "FUNCTION": function,
        "HOME": PYTHON_HOME,
    }
    for word, value in words.items():
        template = template.replace(f"@{word}@", value)
    return template
