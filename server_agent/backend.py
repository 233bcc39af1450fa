"""PURE: the ways to tell the kernel which device numbers a container may open; light, for the command line."""

from enum import StrEnum


class Backend(StrEnum):
    """How the kernel is told which numbers a container may open."""

    MAP = "map"  # a device program of our own with a map, on a parent cgroup (cgroup v2)
    V1 = "v1"  # devices.allow and devices.deny (cgroup v1)
    LXC = "lxc"  # LXC's own device program, changed through LXC (cgroup v2)
