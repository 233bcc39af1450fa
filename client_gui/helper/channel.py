"""EFFECT: the engine's end of the conversation, which descriptor 0 is: packets with at most one descriptor each.

Light module: a whole start of `lend` waits for what is imported here.
"""

import _socket  # the half of socket in C: what the other half imports is a fifth of that start
import array
import os

from client_gui.helper.messages import LIMIT, format_answer
from qvd_usbip.errors import HELPER_REQUEST_MALFORMED, QvdUsbError

_FD_BYTES = array.array("i").itemsize


class Channel:
    """The engine's end of the conversation: packets in, packets out, never blocking on an engine that does not read."""

    def __init__(self, descriptor: int) -> None:
        try:
            self._socket = _socket.socket(fileno=descriptor)
        except OSError:
            raise QvdUsbError(HELPER_REQUEST_MALFORMED, reason="standard input is not a socket") from None
        if (self._socket.family, self._socket.type) != (_socket.AF_UNIX, _socket.SOCK_SEQPACKET):
            self._socket.close()
            raise QvdUsbError(HELPER_REQUEST_MALFORMED, reason="standard input is not a unix seqpacket socket")

    def fileno(self) -> int:
        """Returns the descriptor, to poll on."""
        return self._socket.fileno()

    def close(self) -> None:
        """Closes it: the engine sees the end of the helper."""
        self._socket.close()

    def receive(self) -> tuple[bytes, list[int]]:
        """Returns one packet and the descriptors that came with it; an empty packet is the end.

        Raises:
            QvdUsbError: helper-request-malformed when packet or descriptors did not fit.
        """
        try:
            packet, ancillary, flags, _ = self._socket.recvmsg(
                LIMIT + 1, _socket.CMSG_SPACE(_FD_BYTES), _socket.MSG_CMSG_CLOEXEC
            )
        except ConnectionError:
            return b"", []
        descriptors = array.array("i")
        for level, kind, data in ancillary:
            if (level, kind) == (_socket.SOL_SOCKET, _socket.SCM_RIGHTS):
                descriptors.frombytes(data[: len(data) - len(data) % _FD_BYTES])
        # the room for one descriptor is rounded up to that for two: the kernel's word alone does not do
        if flags & (_socket.MSG_TRUNC | _socket.MSG_CTRUNC) or len(descriptors) > 1:
            close(list(descriptors))
            raise QvdUsbError(HELPER_REQUEST_MALFORMED, reason="a packet holds at most 1 KiB and one descriptor")
        return packet, list(descriptors)

    def send(self, state: str, **fields: object) -> None:
        """Sends one answer; an engine that is gone or does not read is seen by the poll, not here."""
        try:
            self._socket.send(format_answer(state, **fields), _socket.MSG_DONTWAIT | _socket.MSG_NOSIGNAL)
        except (BlockingIOError, ConnectionError):
            return

    def refuse(self, error: QvdUsbError) -> None:
        """Sends the refusal with its Problem code."""
        self.send("refused", problem=error.problem.code, text=str(error))


class Line:
    """What a loan listens to: the engine's channel, and the pipe that a signal writes to."""

    __slots__ = ("channel", "stop")

    def __init__(self, channel: Channel, stop: int) -> None:
        self.channel = channel
        self.stop = stop


def close(descriptors: list[int]) -> None:
    """Closes what came with a packet."""
    for descriptor in descriptors:
        os.close(descriptor)
