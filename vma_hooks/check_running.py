"""EFFECT: what only a container that runs can show: udevd, access lists in /dev, its hub, the way to the agent."""

import errno
import os
from importlib.util import find_spec
from pathlib import Path

from qvd_usbip import broker as messages
from qvd_usbip.errors import (
    ACL_UNSUPPORTED,
    AGENT_UNREACHABLE,
    BROKER_MISSING,
    NO_FREE_HUB,
    NODE_REFUSED,
    SLAVE_UNREACHABLE,
    QvdUsbError,
)
from qvd_usbip.finding import Finding
from vma_hooks.acl import ATTRIBUTE
from vma_hooks.broker_client import BROKER_SOCKET, BrokerClient
from vma_hooks.create_device import HOST_NODES
from vma_hooks.mounted_hub import find_hub

_NO_ACL = frozenset((errno.EOPNOTSUPP, errno.ENOSYS))
_LXC_CONFIG = "On the server: qvd-usb-agent lxc-config NAME, put its lines in force, then restart the container."


def modules() -> list[Finding]:
    """Whether the receiver's one library is there; the hook needs none."""
    if find_spec("h11") is not None:
        return [Finding(name="modules", text="python3-h11 is there")]
    text = "python3-h11 is missing: the receiver cannot start"
    return [
        Finding(name="modules", text=text, remedy="apt install python3-h11", exit_status=SLAVE_UNREACHABLE.exit_status)
    ]


def udevd(root: Path) -> list[Finding]:
    """Whether udevd runs: it calls the hook, and tells the user's programs of devices."""
    if (root / "run/udev/control").exists():
        return [Finding(name="udevd", text="it runs")]
    remedy = (
        "systemctl start systemd-udevd; if its condition on /sys fails, put the lines of lxc-config in force first."
    )
    if host_makes_nodes(root):
        text = "it does not run: nodes come from the host, but programs that ask udev hear of no device"
        return [Finding(name="udevd", text=text, remedy=remedy)]
    text = "it does not run: no node is made"
    return [Finding(name="udevd", text=text, remedy=remedy, exit_status=NODE_REFUSED.exit_status)]


def dev(root: Path, *, wanted: bool) -> list[Finding]:
    """Whether nodes can be made in /dev, and whether it keeps access lists.

    Args:
        root: the image's root.
        wanted: whether the settings ask for access lists.
    """
    folder = root / "dev"
    if host_makes_nodes(root):
        return [Finding(name="dev", text="the host makes the nodes: this container is in a user namespace")]
    if os.statvfs(folder).f_flag & os.ST_RDONLY:
        text, remedy = "/dev is read-only: no node can be made", "Mount it writable (lxc.autodev = 1)."
        return [Finding(name="dev", text=text, remedy=remedy, exit_status=NODE_REFUSED.exit_status)]
    if not wanted:
        return [Finding(name="dev", text="nodes can be made in /dev")]
    try:
        os.getxattr(folder, ATTRIBUTE)
    except OSError as error:
        if error.errno in _NO_ACL:
            problem = QvdUsbError(ACL_UNSUPPORTED, node="/dev")
            text = "the file system of /dev keeps no access lists: nodes stay with root only"
            return [Finding(name="dev", text=text, remedy=problem.remedy(), exit_status=ACL_UNSUPPORTED.exit_status)]
        if error.errno != errno.ENODATA:  # no list there, which is the answer of a file system that has them
            raise QvdUsbError(NODE_REFUSED, node="/dev", reason=error.strerror) from error
    return [Finding(name="dev", text="nodes can be made in /dev, which keeps access lists")]


def hub(root: Path) -> list[Finding]:
    """Whether the container sees a virtual hub."""
    found = sorted(path.name for path in (root / "sys/devices/platform").glob("vhci_hcd.*"))
    if found:
        return [Finding(name="hub", text=f"it sees {', '.join(found)}")]
    text = "the container sees no virtual hub: devices of its users stay invisible"
    remedy = f"{_LXC_CONFIG} If every hub was lent when it started: qvd-usb-agent hubs"
    return [Finding(name="hub", text=text, remedy=remedy, exit_status=NO_FREE_HUB.exit_status)]


def broker(root: Path, agent: BrokerClient, gid: int | None) -> list[Finding]:
    """Whether the agent on the host answers, and whether the receiver may ask it once it has given root up.

    Args:
        root: the image's root.
        agent: the way to it.
        gid: the number of the group of the devices; None where there is no such group.

    Raises:
        QvdUsbError: BROKER_MISSING, AGENT_UNREACHABLE, BROKER_PROTOCOL.
    """
    found = None if agent.is_there() else find_hub(root / "sys")
    if found is not None:
        found.close()
        return [Finding(name="broker", text="this host has no agent; the hub that is mounted here takes devices")]
    try:
        agent.ask(messages.Ping())
    except QvdUsbError as error:
        if error.problem is AGENT_UNREACHABLE and os.geteuid() != 0:
            text = f"it cannot be asked by you ({error.context.get('reason', '')})"
            return [Finding(name="broker", text=text, remedy="Run it as root: sudo qvd-usb-image check")]
        raise
    owner = (root / BROKER_SOCKET.relative_to("/")).stat().st_gid
    if gid is not None and owner != gid:
        text = f"the agent answers root, but its socket is group {owner}'s, not {gid}'s: the receiver may not ask it"
        remedy = (
            f"On the server: qvd-usb-agent lxc-config --broker-gid {gid} NAME, put its lines in force, then restart."
        )
        return [Finding(name="broker", text=text, remedy=remedy, exit_status=BROKER_MISSING.exit_status)]
    return [Finding(name="broker", text="the agent on the host answers")]


def host_makes_nodes(root: Path) -> bool:
    """Whether this container is in a user namespace, where it can make none itself."""
    return (root / "dev" / HOST_NODES).is_dir()
