"""PURE: how a client and a host that have never met make sure of each other's certificate: messages in, messages out.

Each message is a line of JSON:

    client  {"v":1,"commit"}                      a digest of what it will reveal
    host    {"v":1,"nonce","certificate"}
    client  {"nonce","certificate","name"}        what it had committed to
    both    show six digits of a digest of all that, and ask somebody whether the other side shows the same
    client  {"confirmed":true}
    host    {"confirmed":true,"container","name"}   or, at any time, {"confirmed":false,"problem"}

Somebody in the middle has to show each side a certificate of their own, so the two digests differ. For the digits to
agree all the same they would have to choose a nonce after seeing what it has to lead to. The client's commitment comes
before the host's nonce and hides the client's own, so on either side the last choice is made blindly: one chance in a
million. It is one chance only if nobody may try again: whoever sent a commitment has used up the host's window.
Source: the numeric comparison of Bluetooth's Secure Simple Pairing, and ZRTP (RFC 6189, 4.4.1), have the same order.
"""

from __future__ import annotations

import abc
import base64
import binascii
import hashlib
from typing import TYPE_CHECKING

from qvd_usbip import json_object
from qvd_usbip.errors import PAIRING_CODE_WRONG, PAIRING_ENDED, PAIRING_PROTOCOL, QvdUsbError, problem_of

if TYPE_CHECKING:
    from qvd_usbip.errors import Problem
    from qvd_usbip.json_object import JsonObject

LINE_LIMIT = 8192
"""Longest message, in bytes with its newline."""

NONCE_BYTES = 32
CERTIFICATE_LIMIT = 4096
"""Longest certificate, in bytes of DER."""

NAME_LIMIT = 100
_PUNCTUATION = "._-@:"
_DIGITS = 6


def fingerprint_of(certificate: bytes) -> str:
    """The name of a certificate: SHA-256 of its DER form, as 64 hexadecimal digits."""
    return hashlib.sha256(certificate).hexdigest()


def is_fingerprint(text: str) -> bool:
    """Whether this is a fingerprint as fingerprint_of writes it."""
    return len(text) == 64 and all(char in "0123456789abcdef" for char in text)


def is_name(text: str) -> bool:
    """Whether a client or session may be called so: letters, digits, `._-@:`, the first no mark; a file name."""
    plain = text.isascii() and all(char.isalnum() or char in _PUNCTUATION for char in text)
    return plain and 0 < len(text) <= NAME_LIMIT and text[0].isalnum()


def name_from(text: str) -> str:
    """Decides the name nearest to this text that is_name allows."""
    plain = "".join(char if is_name(f"a{char}") else "-" for char in text).lstrip(f"{_PUNCTUATION}-")[:NAME_LIMIT]
    return plain or "client"


def shown(code: str) -> str:
    """The code as people read it to each other: 123 456."""
    return f"{code[:3]} {code[3:]}"


def typed(text: str) -> str:
    """The code as somebody typed it: blanks and dashes do not count."""
    return "".join(char for char in text if char not in " -\t\n")


def commitment(nonce: bytes, certificate: bytes, name: str) -> str:
    """What the client says first: it fixes what it will reveal, and tells nothing of it."""
    return _digest(b"qvd-usb pairing 1: commitment", nonce, certificate, name.encode()).hex()


def code_of(*, client: tuple[bytes, bytes, str], host: tuple[bytes, bytes]) -> str:
    """The six digits that both sides show.

    Args:
        client: its nonce, certificate and name.
        host: its nonce and certificate.
    """
    digest = _digest(b"qvd-usb pairing 1: code", client[0], client[1], client[2].encode(), *host)
    return f"{int.from_bytes(digest) % 10**_DIGITS:0{_DIGITS}}"


def _digest(*parts: bytes) -> bytes:
    """A digest in which no part can pass for a piece of its neighbour."""
    return hashlib.sha256(b"".join(len(part).to_bytes(4) + part for part in parts)).digest()


class _Side(abc.ABC):
    """What both sides have in common: whole lines out of what arrives, and a code once it is known."""

    def __init__(self) -> None:
        self._pending = b""
        self.code = ""  # six digits, once both sides have revealed everything

    def feed(self, data: bytes) -> bytes:
        """Takes received bytes (empty: the other side hung up) and decides what to send.

        Raises:
            QvdUsbError: pairing-protocol, pairing-ended; the pairing is over then.
        """
        if not data:
            raise QvdUsbError(PAIRING_ENDED, reason="the other side hung up")
        self._pending += data
        answer = b""
        while b"\n" in self._pending:
            line, _, self._pending = self._pending.partition(b"\n")
            answer += self._line(json_object.parse(line, LINE_LIMIT - 1, PAIRING_PROTOCOL))
        if len(self._pending) >= LINE_LIMIT:
            raise QvdUsbError(PAIRING_PROTOCOL, reason=f"a message is longer than {LINE_LIMIT} bytes")
        return answer

    @abc.abstractmethod
    def _line(self, message: JsonObject) -> bytes:
        """What one message is answered with."""


class ClientSide(_Side):
    """The client's part; `container` and `name` are there once the host has confirmed as well."""

    def __init__(self, *, certificate: bytes, name: str, host_certificate: bytes, nonce: bytes) -> None:
        """Args: host_certificate: DER, as the TLS handshake proved it; nonce: 32 bytes nobody can guess, used once."""
        super().__init__()
        self._own = (nonce, certificate, name)
        self._host_certificate = host_certificate
        self._confirmed = False
        self.container = ""
        self.name = ""

    def start(self) -> bytes:
        """The first message."""
        return _written(v=1, commit=commitment(*self._own))

    def confirm(self) -> bytes:
        """What to send when somebody has seen that both sides show the same code."""
        self._confirmed = True
        return _written(confirmed=True)

    def refuse(self) -> bytes:
        """What to send when the codes differ, or nobody said that they are the same."""
        return _written(confirmed=False)

    def _line(self, message: JsonObject) -> bytes:
        return self._outcome(message) if self.code else self._revealed(message)

    def _revealed(self, message: JsonObject) -> bytes:
        message.version(1)
        message.only({"v", "nonce", "certificate"})
        nonce, certificate = _nonce(message), _certificate(message)
        if certificate != self._host_certificate:
            raise message.refusal("it is not the certificate that this connection was made with")
        self.code = code_of(client=self._own, host=(nonce, certificate))
        own_nonce, own_certificate, name = self._own
        return _written(nonce=own_nonce.hex(), certificate=_text(own_certificate), name=name)

    def _outcome(self, message: JsonObject) -> bytes:
        if not message.truth("confirmed"):
            raise _refused(message)
        message.only({"confirmed", "container", "name"})
        container, name = message.text("container"), message.text("name")
        if not self._confirmed or self.container:
            raise message.refusal("it comes too early, or twice")
        if not is_name(container) or not is_name(name):
            raise message.refusal("it names no container and client")
        self.container, self.name = container, name
        return b""


class HostSide(_Side):
    """The host's part; `committed` says that this client had its one try."""

    def __init__(self, *, certificate: bytes, nonce: bytes) -> None:
        """Args: nonce: 32 bytes nobody can guess, used for this one client."""
        super().__init__()
        self._own = (nonce, certificate)
        self._commitment = ""
        self.certificate = b""
        self.name = ""
        self.confirmed = False

    @property
    def committed(self) -> bool:
        """Whether the client has sent its commitment, and been told our nonce."""
        return bool(self._commitment)

    def accept(self, container: str, name: str) -> bytes:
        """What to send when both have confirmed and the client is stored under this name."""
        return _written(confirmed=True, container=container, name=name)

    def refuse(self, problem: Problem) -> bytes:
        """What to send when nobody is paired, and why."""
        return _written(confirmed=False, problem=problem.code)

    def _line(self, message: JsonObject) -> bytes:
        if not self._commitment:
            return self._committed(message)
        if not self.code:
            return self._revealed(message)
        message.only({"confirmed"})
        if not message.truth("confirmed"):
            raise QvdUsbError(PAIRING_CODE_WRONG)
        if self.confirmed:
            raise message.refusal("it comes twice")
        self.confirmed = True
        return b""

    def _committed(self, message: JsonObject) -> bytes:
        message.version(1)
        message.only({"v", "commit"})
        given = message.text("commit")
        if not is_fingerprint(given):
            raise message.refusal("its commitment is no digest")
        self._commitment = given
        nonce, certificate = self._own
        return _written(v=1, nonce=nonce.hex(), certificate=_text(certificate))

    def _revealed(self, message: JsonObject) -> bytes:
        message.only({"nonce", "certificate", "name"})
        nonce, certificate, name = _nonce(message), _certificate(message), message.text("name")
        if not is_name(name):
            raise message.refusal("the client's name has odd letters")
        if commitment(nonce, certificate, name) != self._commitment:
            raise message.refusal("it is not what was committed to")
        self.certificate, self.name = certificate, name
        self.code = code_of(client=(nonce, certificate, name), host=self._own)
        return b""


def _written(**fields: object) -> bytes:
    return json_object.write(fields, LINE_LIMIT - 1) + b"\n"


def _refused(message: JsonObject) -> QvdUsbError:
    message.only({"confirmed", "problem"})
    if message.text("problem") == PAIRING_CODE_WRONG.code:
        return QvdUsbError(PAIRING_CODE_WRONG)
    return QvdUsbError(PAIRING_ENDED, reason=f"the host ended it: {problem_of(message.text('problem')).code}")


def _text(certificate: bytes) -> str:
    return base64.b64encode(certificate).decode("ascii")


def _nonce(message: JsonObject) -> bytes:
    given = message.text("nonce")
    if len(given) != 2 * NONCE_BYTES or any(char not in "0123456789abcdef" for char in given):
        raise message.refusal(f"its nonce is not {NONCE_BYTES} bytes")
    return bytes.fromhex(given)


def _certificate(message: JsonObject) -> bytes:
    try:
        found = base64.b64decode(message.text("certificate").encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        raise message.refusal("its certificate is no base64") from None
    if not 0 < len(found) <= CERTIFICATE_LIMIT:
        raise message.refusal(f"its certificate has not 1 to {CERTIFICATE_LIMIT} bytes")
    return found
