"""PURE: what the caller of the helper asks for, by arguments; nothing in it is trusted, nothing in it is a path."""

from qvd_usbip.errors import HELPER_REQUEST_MALFORMED, QvdUsbError
from qvd_usbip.ids import BusId

SOCKET_FD = 3
"""Where the launcher leaves the one socket that `connect` was given."""

_ARGUMENTS = {"lend": 0, "recover": 0, "bind": 1, "unbind": 1, "connect": 2}


class Call:
    """One request by arguments: the verb, and the busid where the verb takes one."""

    __slots__ = ("busid", "verb")

    def __init__(self, verb: str, busid: BusId | None) -> None:
        self.verb = verb
        self.busid = busid


def parse_arguments(arguments: list[str]) -> Call:
    """Decides which verb is asked for and on which device.

    Args:
        arguments: what follows the program's name: `lend`, `recover`, `bind BUSID`, `unbind BUSID`, `connect BUSID FD`;
            the launcher has moved the socket of `connect` to descriptor 3 and says so in place of the caller's number.

    Returns:
        The request.

    Raises:
        QvdUsbError: helper-request-malformed, busid-malformed.

    Source: QVD 4.2 command contract of qvd-client-slaveclient-usbip-aux.
    """
    verb, *rest = arguments or [""]
    if verb not in _ARGUMENTS:
        raise QvdUsbError(HELPER_REQUEST_MALFORMED, reason="the verb must be lend, bind, unbind, connect or recover")
    if len(rest) != _ARGUMENTS[verb]:
        raise QvdUsbError(HELPER_REQUEST_MALFORMED, reason=f"{verb} takes {_ARGUMENTS[verb]} argument(s)")
    if verb == "connect" and rest[1] != str(SOCKET_FD):
        raise QvdUsbError(HELPER_REQUEST_MALFORMED, reason="the launcher passes the socket as descriptor 3")
    return Call(verb, BusId.parse(rest[0]) if rest else None)


def parse_caller(environment: dict[str, str]) -> tuple[int, int]:
    """Returns the real uid and gid that the launcher wrote into the otherwise constant environment.

    Raises:
        QvdUsbError: helper-request-malformed when it was not started by the launcher.
    """
    numbers = []
    for name in ("QVD_CALLER_UID", "QVD_CALLER_GID"):
        text = environment.get(name, "")
        if not (text.isascii() and text.isdigit() and len(text) <= 10):
            raise QvdUsbError(HELPER_REQUEST_MALFORMED, reason=f"{name} is not set: start the setuid program instead")
        numbers.append(int(text))
    return numbers[0], numbers[1]
