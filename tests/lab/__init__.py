"""The laboratory of real kernels: two Debian guests under QEMU, containers in one of them, devices plugged at will."""

from tests.lab.errors import CommandFailed, LabError, TimedOut, Unhealthy
from tests.lab.guest import Guest, Result
from tests.lab.lab import Lab

__all__ = ["CommandFailed", "Guest", "Lab", "LabError", "Result", "TimedOut", "Unhealthy"]
