"""Who is at the endpoint's door, where a connection over loopback cannot be timed well enough to show it."""

import signal
import socket
import ssl
import struct
from collections.abc import Iterator

import pytest

from qvd_usbip.errors import PEER_GONE, QvdUsbError
from server_agent.doorstep import Caller, receive


@pytest.fixture(autouse=True)
def no_alarm() -> Iterator[None]:
    yield
    signal.alarm(0)


def test_who_has_hung_up_before_anybody_came_to_the_door_is_gone_and_no_defect() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        caller = socket.create_connection(listener.getsockname())
        connection, _ = listener.accept()
        caller.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        caller.close()
    with pytest.raises(OSError, match="not connected"):
        connection.getpeername()
    assert connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR), "told once: from here on it reads as ended"
    with pytest.raises(QvdUsbError) as caught:
        receive(
            Caller(connection=connection, peer="", agent=None, known=lambda: None),
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER),
        )
    assert caught.value.problem is PEER_GONE
