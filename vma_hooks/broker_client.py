"""EFFECT: the container's end of the broker: one question, one connection, one answer."""

import socket
import threading
from pathlib import Path
from typing import Protocol

from qvd_usbip import broker
from qvd_usbip.errors import AGENT_UNREACHABLE, BROKER_MISSING, QvdUsbError
from qvd_usbip.system.sockets import send_fd

BROKER_SOCKET = Path("/run/qvd-usbip") / broker.SOCKET_NAME
AT_ONCE = 6  # the agent takes 8 connections from a container, and others in it may have something to ask too
_ANSWER_SECONDS = 10.0


class Agent(Protocol):
    """Who attaches devices and says how far they are: the agent, or what stands in for it on a host without one."""

    def ask(self, request: broker.Request, connection: socket.socket | None = None) -> broker.Answer:
        """Send one request and wait for its answer. Raises: QvdUsbError."""


class BrokerClient:
    """Asks the agent on the host; may be used by several threads at once."""

    def __init__(self, path: Path = BROKER_SOCKET, patience: float = _ANSWER_SECONDS) -> None:
        self._path = path
        self._patience = patience
        self._turns = threading.BoundedSemaphore(AT_ONCE)

    def is_there(self) -> bool:
        """Whether this host has an agent for this container, running or not."""
        return self._path.parent.is_dir()

    def ask(self, request: broker.Request, connection: socket.socket | None = None) -> broker.Answer:
        """Send one request and wait for its answer.

        Args:
            request: what to do; `wait` of a Status is added to the patience.
            connection: with an Attach: the stream socket the kernel gets. It stays open here.

        Raises:
            QvdUsbError: BROKER_MISSING without a socket, AGENT_UNREACHABLE when nobody answers, BROKER_PROTOCOL for an
                answer that is none, or the problem the agent named.
        """
        patience = self._patience + (request.wait if isinstance(request, broker.Status) else 0)
        with self._turns, socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as channel:
            channel.settimeout(patience)
            try:
                channel.connect(str(self._path))
                send_fd(channel, broker.encode_request(request), None if connection is None else connection.fileno())
                data = channel.recv(broker.MAX_ANSWER + 1)
            except FileNotFoundError as error:
                if not self.is_there():
                    raise QvdUsbError(BROKER_MISSING, reason=f"{self._path.parent} does not exist") from None
                raise QvdUsbError(AGENT_UNREACHABLE, reason=f"{self._path}: {error.strerror}") from error
            except TimeoutError:
                raise QvdUsbError(AGENT_UNREACHABLE, reason=f"no answer within {patience:.0f} s") from None
            except OSError as error:
                raise QvdUsbError(AGENT_UNREACHABLE, reason=error.strerror) from error
        return broker.good_answer(data)
