"""EFFECT: the setuid helper's second half: started by the launcher as root, with nothing of the caller's inherited.

lend                 for our engine: descriptor 0 is its socket; the device comes back when that closes
bind BUSID           take the device from its local driver
connect BUSID FD     hand a connected socket to the bound device
unbind BUSID         give the device back
recover              finish what a killed helper left; root: everybody's, anyone else: their own
"""

import os
import sys

if __name__ == "__main__":
    # started by its path with -I -S: the package folder is two levels above this file's folder
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__)))))

from client_gui.helper import handover
from client_gui.helper.authorise import Policy, check_caller
from client_gui.helper.caller import identify, read_policy
from client_gui.helper.handover import Place, Wish
from client_gui.helper.ownership import CALLED, Claim, recorded
from client_gui.helper.request import SOCKET_FD, Call, parse_arguments, parse_caller
from qvd_usbip.errors import INTERNAL, QvdUsbError, report
from qvd_usbip.ids import BusId


def main(arguments: list[str] | None = None) -> int:
    """Does what the arguments ask for, on behalf of the account the launcher named; 0 or the problem's exit status."""
    try:
        call = parse_arguments(sys.argv[1:] if arguments is None else arguments)
        uid, gid = parse_caller(dict(os.environ))
        serve(Place(), call, uid, gid)
    except QvdUsbError as error:
        _say(report(error))
        return error.problem.exit_status
    except OSError as error:
        wrapped = QvdUsbError(INTERNAL, reason=f"{error.strerror} ({error.filename or 'no file'})")
        _say(report(wrapped))
        return wrapped.problem.exit_status
    return 0


def serve(place: Place, call: Call, uid: int, gid: int) -> None:
    """Carries out one request.

    Args:
        place: the folder that holds sys, proc, dev, run and etc.
        call: the request.
        uid: real uid of the caller.
        gid: real gid of the caller.

    Raises:
        QvdUsbError: the refusal or failure; nothing is then left half done.
    """
    if call.verb == "recover":
        recover(place, uid)
        return
    if call.verb == "unbind" and call.busid is not None and call.busid in recorded(place.path):
        # the record says whose the device is: who may not take one any more still gives back what they have
        _unbind(place, call.busid, uid)
        return
    policy = read_policy(place.root)
    check_caller(policy, identify(place.root, uid, gid))
    if call.busid is None:
        # only `lend` needs json and sockets: the other verbs start without them
        from client_gui.helper import lend  # noqa: PLC0415  # see above

        lend.run(place, policy, uid, 0)
    elif call.verb == "bind":
        _bind(place, call.busid, policy, uid)
    elif call.verb == "connect":
        _connect(place, call.busid, uid)
    else:
        _unbind(place, call.busid, uid)


def _bind(place: Place, busid: BusId, policy: Policy, uid: int) -> None:
    with Claim(place.path, busid) as claim:
        handover.take(place, claim, policy, Wish(uid=uid, mode=CALLED)).close()


def _connect(place: Place, busid: BusId, uid: int) -> None:
    from client_gui.helper import connection  # noqa: PLC0415  # sockets are for this verb only

    with Claim(place.path, busid) as claim:
        device = handover.bound_device(place, claim, uid)
        try:
            # closed without a shutdown: the kernel has its own reference
            connection.hand_over(SOCKET_FD, device).close()
        finally:
            device.close()


def _unbind(place: Place, busid: BusId, uid: int) -> None:
    with Claim(place.path, busid) as claim:
        try:
            handover.bound_device(place, claim, uid).close()
        except QvdUsbError:
            handover.discard_stale(place, claim, uid)
            raise
        handover.give_back(place, claim)


def recover(place: Place, uid: int) -> None:
    """Gives back every device whose helper died, and removes records that mean nothing any more.

    A device that an old caller bound and has not unbound yet stays as it is; so does a living helper's device.

    Raises:
        QvdUsbError: the first failure, after all the others were tried.
    """
    failed: QvdUsbError | None = None
    for busid in recorded(place.path):
        try:
            claim = Claim(place.path, busid)
        except QvdUsbError:
            # its helper lives
            continue
        try:
            if handover.settle_leftover(place, claim, uid):
                _say(f"{busid}: given back", 1)
        except QvdUsbError as error:
            failed = failed or error
        finally:
            claim.release()
    if failed is not None:
        raise failed


def _say(text: str, descriptor: int = 2) -> None:
    """Writes a message for people; a caller that does not listen any more changes nothing."""
    try:
        os.write(descriptor, text.encode("utf-8", "backslashreplace") + b"\n")
    except OSError:
        return


if __name__ == "__main__":
    sys.exit(main())
