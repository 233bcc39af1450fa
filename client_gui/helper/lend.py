"""EFFECT: `lend`: keeps one device out of the house as long as the engine at the other end of descriptor 0 lives."""

import os
import select
import signal

from client_gui.helper import handover
from client_gui.helper.authorise import Policy
from client_gui.helper.channel import Channel, Line, close
from client_gui.helper.handover import Place, Wish
from client_gui.helper.messages import LendRequest, parse_lend
from client_gui.helper.ownership import LENT, Claim
from qvd_usbip.errors import HELPER_REQUEST_MALFORMED, QvdUsbError

_REQUEST_SECONDS = 5.0


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
            _lend(place, claim, policy, request, uid, Line(channel, stop))
    except QvdUsbError as error:
        channel.refuse(error)
        raise
    finally:
        signal.set_wakeup_fd(-1)
        close([stop, wake])
        channel.close()


def _lend(place: Place, claim: Claim, policy: Policy, request: LendRequest, uid: int, line: Line) -> None:
    """Takes the device, keeps it out until one of the two ends says otherwise, and gives it back."""
    wish = Wish(uid=uid, mode=LENT, expect=request.expect, consent=request.consent)
    if request.fingerprint:
        handover.standing(place, claim, wish)
        # the whole device model costs as much as the rest of a start: only for an engine that asks
        from client_gui.helper.fingerprint import recognise  # noqa: PLC0415  # see above

        wish.devnum = recognise(place, request)
    device = handover.take(place, claim, policy, wish)
    try:
        line.channel.send("bound", devid=device.devid, speed=device.speed)
        # sockets are needed now, and not before: the engine connects meanwhile
        from client_gui.helper import loan  # noqa: PLC0415  # see above

        loan.keep(device, line)
    finally:
        device.close()
        handover.give_back(place, claim)
    line.channel.send("returned")


def _request(channel: Channel, stop: int) -> LendRequest | None:
    """Waits for the engine's first packet; None when it left or we are told to stop."""
    ready = select.select([channel.fileno(), stop], [], [], _REQUEST_SECONDS)[0]
    if stop in ready:
        return None
    if not ready:
        raise QvdUsbError(HELPER_REQUEST_MALFORMED, reason="no request came within 5 seconds")
    packet, descriptors = channel.receive()
    close(descriptors)
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
