"""PURE: who makes and opens the TLS records of a device's connection."""

from enum import StrEnum


class Way(StrEnum):
    """The kernel, on the very socket that USB/IP has; or a relay, where the kernel cannot."""

    KERNEL = "kernel"
    RELAY = "relay"
