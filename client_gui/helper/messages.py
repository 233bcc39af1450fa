"""PURE: the messages between the engine and `lend`: one JSON object of at most 1 KiB per packet."""

import json

from client_gui.helper.authorise import KINDS
from client_gui.helper.device import Identity
from qvd_usbip.errors import HELPER_REQUEST_MALFORMED, QvdUsbError
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
    message = _object(packet)
    _keys(message, needed={"v", "busid", "expect"}, optional={"consent"})
    expect = message["expect"]
    if not isinstance(expect, dict):
        raise _malformed("expect is not an object")
    _keys(expect, needed={"vid", "pid"}, optional={"serial", "fingerprint"})
    consent = message.get("consent", [])
    if not isinstance(consent, list) or not all(isinstance(item, str) and item in KINDS for item in consent):
        raise _malformed("consent holds something else than " + ", ".join(KINDS))
    serial = "" if expect.get("serial") is None else _text(expect, "serial")
    fingerprint = "" if expect.get("fingerprint") is None else _text(expect, "fingerprint")
    if len(serial) > MAX_SERIAL or (fingerprint and len(fingerprint) != 64):
        raise _malformed("serial or fingerprint has a wrong length")
    vidpid = VidPid.parse(_text(expect, "vid") + ":" + _text(expect, "pid"))
    return LendRequest(
        BusId.parse(_text(message, "busid")), Identity(str(vidpid), serial), fingerprint, frozenset(consent)
    )


def parse_operation(packet: bytes) -> str:
    """Returns `export` or `return`, what a later packet `{"v":1,"op":…}` asks for.

    Raises:
        QvdUsbError: helper-request-malformed.
    """
    message = _object(packet)
    _keys(message, needed={"v", "op"}, optional=set())
    operation = _text(message, "op")
    if operation not in {"export", "return"}:
        raise _malformed("op is neither export nor return")
    return operation


def format_answer(state: str, **fields: object) -> bytes:
    """Returns the packet `{"v":1,"state":state,…}`; a text too long for one packet is cut."""
    packet = json.dumps({"v": 1, "state": state, **fields}, separators=(",", ":")).encode()
    if len(packet) > LIMIT and isinstance(text := fields.get("text"), str):
        # an escaped character takes at most 12 bytes: what is left fits, whatever the device called itself
        return format_answer(state, **{**fields, "text": text[: min(len(text) // 2, LIMIT // 16)]})
    return packet


def _malformed(reason: str) -> QvdUsbError:
    return QvdUsbError(HELPER_REQUEST_MALFORMED, reason=reason)


def _object(packet: bytes) -> dict[str, object]:
    if not packet or len(packet) > LIMIT:
        raise _malformed(f"a packet holds 1 to {LIMIT} bytes")
    try:
        message = json.loads(packet.decode("utf-8", "strict"), object_pairs_hook=_unique)
    except (ValueError, RecursionError):
        raise _malformed("not one JSON object") from None
    if not isinstance(message, dict):
        raise _malformed("not one JSON object")
    if message.get("v") != 1 or isinstance(message["v"], bool):
        raise _malformed("only version 1 is spoken here")
    return message


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError
    return result


def _keys(message: dict[str, object], *, needed: set[str], optional: set[str]) -> None:
    if missing := needed - message.keys():
        raise _malformed("missing: " + ", ".join(sorted(missing)))
    if message.keys() - needed - optional:
        raise _malformed("it holds an unknown key")


def _text(message: dict[str, object], key: str) -> str:
    value = message[key]
    if not isinstance(value, str):
        raise _malformed(f"{key} is not a text")
    return value
