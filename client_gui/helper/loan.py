"""EFFECT: one device out of the house: what the engine asks while it is, and what the kernel does with it."""

import select
import socket

from client_gui.helper import connection, usbip_host
from client_gui.helper.channel import Line, close
from client_gui.helper.device import Device
from client_gui.helper.messages import parse_operation
from qvd_usbip.errors import DEVICE_GONE, EXPORT_FAILED, HELPER_REQUEST_MALFORMED, Problem, QvdUsbError

_LOOK_MILLISECONDS = 250


def keep(device: Device, line: Line) -> None:
    """Keeps a bound device out until an end of the loan is heard of; no connection is left to the kernel then.

    Raises:
        QvdUsbError: helper-request-malformed.
    """
    loan = _Loan(device, line)
    try:
        loan.serve()
    finally:
        loan.hang_up()


class _Loan:
    """The device, and the connection that the kernel has, if any."""

    def __init__(self, device: Device, line: Line) -> None:
        self._device = device
        self._line = line
        self._connection: socket.socket | None = None

    def serve(self) -> None:
        """Does what is asked until the engine, a signal or the kernel ends the loan."""
        poll = select.poll()
        poll.register(self._line.channel, select.POLLIN)
        poll.register(self._line.stop, select.POLLIN)
        while True:
            ready = [fd for fd, _ in poll.poll(_LOOK_MILLISECONDS)]
            if self._line.stop in ready:
                return
            if ready and not self._answer():
                return
            if not self._look():
                return

    def _answer(self) -> bool:
        """Does what the engine asks; returns whether the loan goes on."""
        packet, descriptors = self._line.channel.receive()
        try:
            if not packet or parse_operation(packet) == "return":
                return False
            if not descriptors:
                raise QvdUsbError(HELPER_REQUEST_MALFORMED, reason="export comes with one descriptor")
        except QvdUsbError:
            close(descriptors)
            raise
        finally:
            if not packet:
                close(descriptors)
        self._export(descriptors[0])
        return True

    def _export(self, descriptor: int) -> None:
        """Hands a new connection to the kernel; a refusal is told and leaves the device bound, for another attempt."""
        try:
            self._connection = connection.hand_over(descriptor, self._device)
        except QvdUsbError as error:
            self._line.channel.refuse(error)
            return
        self._line.channel.send("exported")

    def _look(self) -> bool:
        """Sees whether the kernel still has device and peer; returns whether the loan goes on."""
        status = usbip_host.status(self._device)
        if status is None:
            self._dropped(DEVICE_GONE)
            return False
        if self._connection is not None and status != usbip_host.USED:
            self.hang_up()
            if status == usbip_host.AVAILABLE:
                self._line.channel.send("dropped")
                return True
        if status == usbip_host.UNUSABLE:
            self._dropped(EXPORT_FAILED)
            return False
        return True

    def _dropped(self, problem: Problem) -> None:
        error = QvdUsbError(problem, busid=str(self._device.busid), reason="the kernel's driver gave the device up")
        self._line.channel.send("dropped", problem=problem.code, text=str(error))

    def hang_up(self) -> None:
        """Ends the connection, if there is one."""
        if self._connection is not None:
            connection.hang_up(self._connection, self._device)
            self._connection = None
