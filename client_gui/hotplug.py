"""EFFECT: says "look again" when a USB device comes or goes; what came is read from sysfs, never from the event."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyudev


class Hotplug:
    """The kernel's USB events, as one descriptor that becomes readable."""

    def __init__(self, monitor: pyudev.Monitor) -> None:
        self._monitor = monitor

    @classmethod
    def start(cls) -> Hotplug:
        """Listens to the kernel itself, so that a machine without udevd is served too.

        Raises:
            OSError: there is no such socket here (then looking again every few seconds has to do).
            ImportError: pyudev or libudev is not installed.
        """
        import pyudev

        monitor = pyudev.Monitor.from_netlink(pyudev.Context(), source="kernel")
        monitor.filter_by("usb")
        monitor.start()
        return cls(monitor)

    def fileno(self) -> int:
        """The descriptor to wait for."""
        return int(self._monitor.fileno())

    def drain(self) -> None:
        """Takes all events that wait; lost ones need nothing more, since everything is read again anyway."""
        for _ in range(4096):
            try:
                if self._monitor.poll(timeout=0) is None:
                    return
            except OSError as error:  # ENOBUFS: there were more than fit
                if error.errno is None:  # pyudev saw it by polling: it stays until somebody asks what it is
                    from qvd_usbip.system.sockets import pending_error

                    pending_error(self.fileno())
                return
