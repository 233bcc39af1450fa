"""PURE: the messages between the engine and `lend`: one JSON object of at most 1 KiB per packet."""

import json

from client_gui.helper.authorise import KINDS
from client_gui.helper.device import Identity
from qvd_usbip import json_object
from qvd_usbip.errors import HELPER_REQUEST_MALFORMED
from qvd_usbip.ids import BusId, VidPid

LIMIT = 1024
MAX_SERIAL = 255


class LendRequest:
    """Which device to lend, what it must be, and what its user agreed to."""

    __slots__ = ("busid", "consent", "expect", "fingerprint")

    def __init__(self, busid: BusId, expect: Identity, fingerprint: str, consent: frozenset[str]) -> None:
        self.busid = busid
        self.expect = expect
        self.fingerprint = fingerprint
        self.consent = consent


def parse_lend(packet: bytes) -> LendRequest:
    """Decides what the engine's first packet asks for.

    Args:
        packet: `{"v":1,"busid":…,"expect":{"vid","pid","serial"?,"fingerprint"?},"consent":[…]?}`, UTF-8, at most
            1 KiB; vid and pid are four hexadecimal digits, the fingerprint 64.

    Raises:
        QvdUsbError: helper-request-malformed, busid-malformed, vidpid-malformed.
    """
    message = _message(packet, ("v", "busid", "expect", "consent"))
    expect = message.nested("expect")
    expect.only(("vid", "pid", "serial", "fingerprint"))
    consent = frozenset(message.texts("consent"))
    if not consent <= set(KINDS):
        raise message.refusal("consent holds something else than " + ", ".join(KINDS))
    serial, fingerprint = expect.text("serial", ""), expect.text("fingerprint", "")
    if len(serial) > MAX_SERIAL or len(fingerprint) not in {0, 64}:
        raise message.refusal("serial or fingerprint has a wrong length")
    vidpid = VidPid.parse(expect.text("vid") + ":" + expect.text("pid"))
    return LendRequest(BusId.parse(message.text("busid")), Identity(str(vidpid), serial), fingerprint, consent)


def parse_operation(packet: bytes) -> str:
    """Returns `export` or `return`, what a later packet `{"v":1,"op":…}` asks for.

    Raises:
        QvdUsbError: helper-request-malformed.
    """
    message = _message(packet, ("v", "op"))
    operation = message.text("op")
    if operation not in {"export", "return"}:
        raise message.refusal("op is neither export nor return")
    return operation


def _message(packet: bytes, keys: tuple[str, ...]) -> json_object.JsonObject:
    message = json_object.parse(packet, LIMIT, HELPER_REQUEST_MALFORMED)
    message.version(1)
    message.only(keys)
    return message


def format_answer(state: str, **fields: object) -> bytes:
    """Returns the packet `{"v":1,"state":state,…}`; a text too long for one packet is cut."""
    packet = json.dumps({"v": 1, "state": state, **fields}, separators=(",", ":")).encode()
    if len(packet) > LIMIT and isinstance(text := fields.get("text"), str):
        # an escaped character takes at most 12 bytes: what is left fits, whatever the device called itself
        return format_answer(state, **{**fields, "text": text[: min(len(text) // 2, LIMIT // 16)]})
    return packet
