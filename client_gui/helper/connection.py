"""EFFECT: the network socket that goes to the kernel: looked at, tuned, handed over, and hung up again."""

import os
import select
import socket
import time

from client_gui.helper import usbip_host
from client_gui.helper.device import Device
from qvd_usbip.errors import ALREADY_IN_USE, DEVICE_GONE, EXPORT_FAILED, PEER_GONE, QvdUsbError
from qvd_usbip.system.sockets import tune

_LINE_SECONDS = 5.0
_SETTLE_SECONDS = 1.0


def hand_over(descriptor: int, device: Device) -> socket.socket:
    """Gives a connection to the kernel and tells the other side which device comes.

    Args:
        descriptor: what the caller passed; it belongs to the returned socket, and is closed on refusal.
        device: the device, bound to usbip-host.

    Returns:
        Our own copy of the connection: shutting it down ends the export, closing it does not.

    Raises:
        QvdUsbError: export-failed, already-in-use, device-gone, peer-gone; the device is then as it was.
    """
    connection = _prepare(descriptor, device)
    try:
        _export(device, connection.fileno())
    except QvdUsbError:
        connection.close()
        raise
    try:
        _announce(connection, device)
    except QvdUsbError:
        hang_up(connection, device)
        raise
    return connection


def hang_up(connection: socket.socket, device: Device) -> None:
    """Ends the connection under the kernel's hands, and waits until its driver let go: then unbinding is quiet."""
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        # not connected any more, whichever errno says it: that is what was wanted
        return
    finally:
        connection.close()
        deadline = time.monotonic() + _SETTLE_SECONDS
        while usbip_host.status(device) == usbip_host.USED and time.monotonic() < deadline:
            time.sleep(0.01)


def _prepare(descriptor: int, device: Device) -> socket.socket:
    """Decides whether the kernel could use the descriptor, and tunes it."""
    try:
        connection = socket.socket(fileno=descriptor)
    except OSError:
        os.close(descriptor)
        raise _refused(device, "the descriptor is not a socket") from None
    try:
        if connection.family not in {socket.AF_INET, socket.AF_INET6, socket.AF_UNIX}:
            raise _refused(device, "the socket is neither TCP nor a unix socket")
        if connection.type != socket.SOCK_STREAM:
            raise _refused(device, "the socket is no stream socket")
        connection.getpeername()
        # without it a peer that vanishes keeps the device busy for hours
        tune(connection)
    except OSError:
        # what ended a connection waits in the socket; one that never was has nothing to tell
        ended = connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        connection.close()
        raise (QvdUsbError(PEER_GONE) if ended else _refused(device, "the socket is not connected")) from None
    except QvdUsbError:
        connection.close()
        raise
    return connection


def _export(device: Device, socket_fd: int) -> None:
    busid = str(device.busid)
    status = usbip_host.status(device)
    if status is None:
        raise QvdUsbError(DEVICE_GONE, busid=busid)
    if status == usbip_host.USED:
        raise QvdUsbError(ALREADY_IN_USE, busid=busid)
    if status != usbip_host.AVAILABLE:
        raise _refused(device, f"the driver reports status {status}")
    try:
        usbip_host.export(device, socket_fd)
    except OSError as error:
        raise _refused(device, os.strerror(error.errno or 0)) from error


def _announce(connection: socket.socket, device: Device) -> None:
    """Writes `DEVID SPEED` and a newline into the socket, once the kernel has it.

    Source: QVD 4.2 wire contract.
    """
    line = f"{device.devid} {device.speed}\n".encode("ascii")
    deadline = time.monotonic() + _LINE_SECONDS
    while line:
        try:
            sent = connection.send(line, socket.MSG_NOSIGNAL | socket.MSG_DONTWAIT)
            line = line[sent:]
        except BlockingIOError:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([], [connection], [], left)[1]:
                raise _refused(device, "the other side does not read") from None
        except OSError:
            raise QvdUsbError(PEER_GONE) from None


def _refused(device: Device, reason: str) -> QvdUsbError:
    return QvdUsbError(EXPORT_FAILED, busid=str(device.busid), reason=reason)
