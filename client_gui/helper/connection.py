"""EFFECT: the network socket that goes to the kernel: looked at, tuned, told which device comes, and hung up again."""

import select
import socket
import time

from qvd_usbip.errors import EXPORT_FAILED, QvdUsbError
from qvd_usbip.system.sockets import tune

from client_gui.helper.device import Device

_LINE_SECONDS = 5.0


def prepare(descriptor: int, device: Device) -> socket.socket:
    """Takes over a descriptor, decides whether the kernel could use it, and tunes it.

    Args:
        descriptor: what the caller passed; it belongs to the returned socket, and is closed on refusal.
        device: the device it is for, to name it in a refusal.

    Raises:
        QvdUsbError: export-failed when it is no connected stream socket.
    """
    try:
        connection = socket.socket(fileno=descriptor)
    except OSError:
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
        connection.close()
        raise _refused(device, "the socket is not connected") from None
    except QvdUsbError:
        connection.close()
        raise
    return connection


def announce(connection: socket.socket, device: Device) -> None:
    """Writes `DEVID SPEED` and a newline into the socket, once the kernel has it.

    Raises:
        QvdUsbError: export-failed when the peer does not take it within 5 seconds.

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
                hang_up(connection)
                raise _refused(device, "the other side does not read") from None
        except OSError as error:
            hang_up(connection)
            raise _refused(device, f"the other side is gone: {error.strerror}") from None


def hang_up(connection: socket.socket) -> None:
    """Ends the connection under the kernel's hands: its threads see the end of the stream and let the device go."""
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        # not connected any more: that is what was wanted, whichever errno says it
        return
    finally:
        connection.close()


def _refused(device: Device, reason: str) -> QvdUsbError:
    return QvdUsbError(EXPORT_FAILED, busid=str(device.busid), reason=reason)
