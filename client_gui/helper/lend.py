"""EFFECT: `lend`: keeps one device out of the house as long as the engine at the other end of descriptor 0 lives."""

import array
import os
import select
import signal
import socket

from client_gui.helper import connection, handover, usbip_host
from client_gui.helper.authorise import Policy
from client_gui.helper.device import Device
from client_gui.helper.handover import Place, Wish
from client_gui.helper.messages import LIMIT, LendRequest, format_answer, parse_lend, parse_operation
from client_gui.helper.ownership import LENT, Claim
from qvd_usbip.errors import (
    DEVICE_GONE,
    EXPORT_FAILED,
    HELPER_REQUEST_MALFORMED,
    Problem,
    QvdUsbError,
)

_REQUEST_SECONDS = 5.0
_LOOK_MILLISECONDS = 250
_FD_BYTES = array.array("i").itemsize


class Channel:
    """The engine's end of the conversation: packets in, packets out, never blocking on an engine that does not read."""

    def __init__(self, descriptor: int) -> None:
        try:
            self._socket = socket.socket(fileno=descriptor)
        except OSError:
            raise QvdUsbError(HELPER_REQUEST_MALFORMED, reason="standard input is not a socket") from None
        if (self._socket.family, self._socket.type) != (socket.AF_UNIX, socket.SOCK_SEQPACKET):
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
                LIMIT + 1, socket.CMSG_SPACE(_FD_BYTES), socket.MSG_CMSG_CLOEXEC
            )
        except ConnectionError:
            return b"", []
        descriptors = array.array("i")
        for level, kind, data in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                descriptors.frombytes(data[: len(data) - len(data) % _FD_BYTES])
        # the room for one descriptor is rounded up to that for two: the kernel's word alone does not do
        if flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC) or len(descriptors) > 1:
            _close(list(descriptors))
            raise QvdUsbError(HELPER_REQUEST_MALFORMED, reason="a packet holds at most 1 KiB and one descriptor")
        return packet, list(descriptors)

    def send(self, state: str, **fields: object) -> None:
        """Sends one answer; an engine that is gone or does not read is seen by the poll, not here."""
        try:
            self._socket.send(format_answer(state, **fields), socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
        except (BlockingIOError, ConnectionError):
            return

    def refuse(self, error: QvdUsbError) -> None:
        """Sends the refusal with its Problem code."""
        self.send("refused", problem=error.problem.code, text=str(error))


def run(place: Place, policy: Policy, uid: int, descriptor: int) -> None:
    """Holds the whole conversation; whatever ends it, the device is back on its local driver when this returns.

    Args:
        place: where sys, proc, dev and run are.
        policy: the administrator's word; the caller was already judged by it.
        uid: the caller's real uid.
        descriptor: the engine's socket (0).

    Raises:
        QvdUsbError: the problem that was also sent to the engine as `refused` or `dropped`.
    """
    channel = Channel(descriptor)
    stop, wake = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        _catch_signals(wake)
        request = _request(channel, stop)
        if request is None:
            return
        with Claim(place.path, request.busid) as claim:
            _Loan(place, claim, channel, stop).run(policy, request, uid)
    except QvdUsbError as error:
        channel.refuse(error)
        raise
    finally:
        signal.set_wakeup_fd(-1)
        _close([stop, wake])
        channel.close()


class _Loan:
    """One device out of the house."""

    def __init__(self, place: Place, claim: Claim, channel: Channel, stop: int) -> None:
        self._place = place
        self._claim = claim
        self._channel = channel
        self._stop = stop
        self._connection: socket.socket | None = None

    def run(self, policy: Policy, request: LendRequest, uid: int) -> None:
        wish = Wish(uid=uid, mode=LENT, expect=request.expect, consent=request.consent)
        if request.fingerprint:
            handover.standing(self._place, self._claim, wish)
            # the whole device model costs as much as the rest of a start: only for an engine that asks
            from client_gui.helper.fingerprint import recognise  # noqa: PLC0415  # see above

            wish.devnum = recognise(self._place, request)
        device = handover.take(self._place, self._claim, policy, wish)
        try:
            self._channel.send("bound", devid=device.devid, speed=device.speed)
            self._serve(device)
        finally:
            self._hang_up(device)
            device.close()
            handover.give_back(self._place, self._claim)
        self._channel.send("returned")

    def _serve(self, device: Device) -> None:
        poll = select.poll()
        poll.register(self._channel, select.POLLIN)
        poll.register(self._stop, select.POLLIN)
        while True:
            ready = [fd for fd, _ in poll.poll(_LOOK_MILLISECONDS)]
            if self._stop in ready:
                return
            if ready and not self._answer(device):
                return
            if not self._look(device):
                return

    def _answer(self, device: Device) -> bool:
        """Does what the engine asks; returns whether the loan goes on."""
        packet, descriptors = self._channel.receive()
        try:
            if not packet or parse_operation(packet) == "return":
                return False
            if not descriptors:
                raise QvdUsbError(HELPER_REQUEST_MALFORMED, reason="export comes with one descriptor")
        except QvdUsbError:
            _close(descriptors)
            raise
        finally:
            if not packet:
                _close(descriptors)
        self._export(device, descriptors[0])
        return True

    def _export(self, device: Device, descriptor: int) -> None:
        """Hands a new connection to the kernel; a refusal is told and leaves the device bound, for another attempt."""
        try:
            self._connection = connection.hand_over(descriptor, device)
        except QvdUsbError as error:
            self._channel.refuse(error)
            return
        self._channel.send("exported")

    def _look(self, device: Device) -> bool:
        """Sees whether the kernel still has device and peer; returns whether the loan goes on."""
        status = usbip_host.status(device)
        if status is None:
            self._dropped(DEVICE_GONE, device)
            return False
        if self._connection is not None and status != usbip_host.USED:
            self._hang_up(device)
            if status == usbip_host.AVAILABLE:
                self._channel.send("dropped")
                return True
        if status == usbip_host.UNUSABLE:
            self._dropped(EXPORT_FAILED, device)
            return False
        return True

    def _dropped(self, problem: Problem, device: Device) -> None:
        error = QvdUsbError(problem, busid=str(device.busid), reason="the kernel's driver gave the device up")
        self._channel.send("dropped", problem=problem.code, text=str(error))

    def _hang_up(self, device: Device) -> None:
        if self._connection is not None:
            connection.hang_up(self._connection, device)
            self._connection = None


def _request(channel: Channel, stop: int) -> LendRequest | None:
    """Waits for the engine's first packet; None when it left or we are told to stop."""
    ready = select.select([channel.fileno(), stop], [], [], _REQUEST_SECONDS)[0]
    if stop in ready:
        return None
    if not ready:
        raise QvdUsbError(HELPER_REQUEST_MALFORMED, reason="no request came within 5 seconds")
    packet, descriptors = channel.receive()
    _close(descriptors)
    if not packet:
        return None
    if descriptors:
        raise QvdUsbError(HELPER_REQUEST_MALFORMED, reason="the request comes without descriptors")
    return parse_lend(packet)


def _catch_signals(wake: int) -> None:
    """Turns the signals that would end the helper into bytes on a pipe: a loan ends by giving the device back."""
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGQUIT):
        signal.signal(number, _noted)


def _noted(_number: int, _frame: object) -> None:
    """Nothing to do here: the byte on the pipe is what is acted on."""


def _close(descriptors: list[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)
