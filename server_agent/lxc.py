"""PURE: what a container's configuration has to say so that the agent decides about its USB.

Every line of it was held against container root's own ways round; together they close them, fewer do not.
"""

from dataclasses import dataclass
from pathlib import Path

from qvd_usbip.ids import VmId
from server_agent.backend import Backend
from server_agent.device_list import BASE

AGENT = "/usr/sbin/qvd-usb-agent"
SECCOMP = "/usr/share/qvd-usbip/lxc/container.seccomp"
BROKERS = "/run/qvd-usbip/broker"
NODES = "/run/qvd-usbip/nodes"
INCLUDES = Path("/var/lib/qvd-usbip/lxc")

WAYS = {
    Backend.MAP: "the agent's device map (cgroup v2)",
    Backend.LXC: "LXC's own device list (cgroup v2)",
    Backend.V1: "the files of cgroup v1",
}

PROFILE_FILE = "/etc/apparmor.d/lxc-container-qvd"
PROFILE, OWN_ATTACH_PROFILE = "lxc-container-qvd", "lxc-container-qvd-own-attach"
OWN_ATTACH_COSTS = (
    "Its root may write its hub's attach and detach without the agent: devices come and go unannounced, though still",
    "judged before they have a driver. For kernels whose hubs have an attach file of their own; a container that has",
    "hub 0 of another one reaches every port.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerTerms:
    """What differs between containers.

    Args:
        name: the container.
        devicefs: path.storage.devicefs.
        broker_gid: the group, as the host counts it, whose members may hand devices over.
        backend: how its device rights are set.
        root_uid: the container's root as the host counts it, for one in a user namespace; the host makes its nodes.
        own_attach: its image writes its hub's attach itself.
    """

    name: VmId
    devicefs: Path
    broker_gid: int = 0
    backend: Backend = Backend.MAP
    root_uid: int = 0
    own_attach: bool = False


def config_lines(terms: ContainerTerms) -> list[str]:
    """The lines to append to a container's configuration; comments begin with `#`.

    Source: lxc.container.conf(5).
    """
    name = str(terms.name)
    hook = f"{AGENT} hook --container {name} --backend {terms.backend} --broker-gid {terms.broker_gid}"
    if terms.root_uid:
        hook = f"{hook} --root-uid {terms.root_uid}"
    kind = "container in a user namespace" if terms.root_uid else "privileged container"
    return [
        f"# USB by qvd-usb-agent: {kind} {name}, rights by {WAYS[terms.backend]}",
        "# What keeps it apart is in force before its first program runs, or the start is refused.",
        f"lxc.hook.pre-start = {hook}",
        *([] if terms.backend == Backend.MAP else [f"lxc.hook.start-host = {hook}"]),
        f"lxc.hook.post-stop = {hook}",
        "# A parent cgroup that is the host's and that the container does not see.",
        f"lxc.cgroup.dir.monitor = qvd/{name}/monitor",
        "lxc.cgroup.dir.monitor.pivot = qvd-pivot",
        f"lxc.cgroup.dir.container = qvd/{name}/payload",
        "lxc.cgroup.dir.container.inner = ns",
        *_device_list(terms.backend),
        *(_own_sys(terms) if terms.root_uid else _host_sys(terms)),
        "# The way to the agent; /run is mounted first, so that the image's init leaves it alone.",
        "lxc.mount.entry = tmpfs run tmpfs rw,nosuid,nodev,mode=755,create=dir 0 0",
        f"lxc.mount.entry = {BROKERS}/{name} run/qvd-usbip none bind,ro,create=dir 0 0",
        *(_outside() if terms.root_uid else _guard(terms)),
    ]


def _host_sys(terms: ContainerTerms) -> list[str]:
    return [
        "# /sys as the host has it, but one hub in the place of all platform devices.",
        "lxc.mount.auto =",
        "lxc.mount.auto = cgroup:mixed proc:mixed",
        "lxc.mount.entry = /sys sys none defaults,bind 0 0",
        f"lxc.mount.entry = {terms.devicefs}/{terms.name} sys/devices/platform none defaults,rbind 0 0",
    ]


def _own_sys(terms: ContainerTerms) -> list[str]:
    """For a user namespace: its root may write no file of the host's root, whatever it mounts."""
    nodes = f"{NODES}/{terms.name}"
    return [
        "# Not read-only, or the image's udevd would not run. One hub in the place of all platform devices.",
        "lxc.mount.auto =",
        "lxc.mount.auto = cgroup:mixed proc:mixed sys:rw",
        f"lxc.mount.entry = {terms.devicefs}/{terms.name} sys/devices/platform none rbind 0 0",
        "# The nodes, which the host makes.",
        f"lxc.mount.entry = {nodes} dev/qvd none bind,create=dir 0 0",
        f"lxc.mount.entry = {nodes}/bus/usb dev/bus/usb none bind,create=dir 0 0",
    ]


def _outside() -> list[str]:
    """For a user namespace: the modes of the host's files keep its root away, so LXC's own profile is enough."""
    return ["lxc.apparmor.profile = generated", "lxc.apparmor.allow_nesting = 1"]


def _guard(terms: ContainerTerms) -> list[str]:
    """For a container whose root is the host's: profile and seccomp policy hold together, neither does alone."""
    return [
        "# Container root reaches neither another hub nor a driver nor the host's kernel, by whatever mount.",
        *(f"# {line}" for line in OWN_ATTACH_COSTS if terms.own_attach),
        f"lxc.apparmor.profile = {OWN_ATTACH_PROFILE if terms.own_attach else PROFILE}",
        "lxc.apparmor.allow_nesting = 0",
        f"lxc.seccomp.profile = {SECCOMP}",
    ]


def _device_list(backend: Backend) -> list[str]:
    """LXC's own list: open below the agent's map, none below the host's list, else the base list.

    With cgroup v1 LXC could not write one: the kernel refuses `deny = a` where there is a cgroup below, as `ns` is.
    """
    if backend == Backend.MAP:
        return [f"lxc.cgroup2.devices.allow = {kind} *:* rwm" for kind in "cb"]
    if backend == Backend.V1:
        return ["lxc.cgroup.devices.deny =", "lxc.cgroup.devices.allow ="]
    return ["lxc.cgroup2.devices.deny = a", *(f"lxc.cgroup2.devices.allow = {row}" for row in BASE)]


def include_file(name: VmId) -> Path:
    """Where the lines of a container are kept, so that its own configuration needs one line only."""
    return INCLUDES / f"{name}.conf"


def include_line(name: VmId) -> str:
    """That one line."""
    return f"lxc.include = {include_file(name)}"
