"""PURE: a session as it is handed to us: one JSON object with name, address, slave key and encryption."""

from __future__ import annotations

import ipaddress
import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from client_gui.state import SessionView
from qvd_usbip import json_object
from qvd_usbip.encryption import Way
from qvd_usbip.errors import ENCRYPTION_UNAVAILABLE, PLAINTEXT_REFUSED, SESSION_MALFORMED, QvdUsbError
from qvd_usbip.pairing import is_fingerprint

if TYPE_CHECKING:
    from client_gui.state import Trouble

SIZE_LIMIT = 16 * 1024
"""Longest session text, in bytes."""

_HOST_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,252}[A-Za-z0-9])?", re.ASCII)
_INTERFACE = re.compile(r"[A-Za-z0-9._:@-]{1,15}", re.ASCII)
_KEYS = frozenset({"v", "name", "address", "key", "encryption", "host_fingerprint"})
_ENCRYPTIONS = ("none", "tls")


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where the slave channel listens: a host and port, or the path of a unix socket."""

    host: str = ""
    port: int = 0
    path: str = ""

    def __str__(self) -> str:
        if self.path:
            return f"unix:{self.path}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_local(self) -> bool:
        """Whether what is sent there stays on this computer."""
        if self.path or self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A remote desktop to share devices with. The key appears in no text made of this.

    `key` is "" where the host knows us by our certificate; `host_fingerprint` is that of the host's, "" for none.
    """

    name: str
    address: Address
    key: str = field(repr=False)
    encryption: str = "none"
    host_fingerprint: str = ""


def _malformed(reason: str) -> QvdUsbError:
    return QvdUsbError(SESSION_MALFORMED, reason=reason)


def parse_address(text: str) -> Address:
    """Parses `host:port`, `[IPv6]:port` or `unix:/path`.

    Raises:
        QvdUsbError: session-malformed.
    """
    if text.startswith("unix:"):
        path = text.removeprefix("unix:")
        if not path.startswith("/") or not path.isprintable() or len(path.encode()) > 107:
            raise _malformed("a unix address is unix:/absolute/path of at most 107 bytes")
        return Address(path=path)
    host, colon, port = text.rpartition(":")
    if not colon or not port.isascii() or not port.isdecimal() or not 0 < int(port[:6]) < 65536 or len(port) > 5:
        raise _malformed("the address is host:port, [IPv6]:port or unix:/path")
    if host.startswith("[") and host.endswith("]"):
        return Address(host=_ipv6(host[1:-1]), port=int(port))
    if not _HOST_NAME.fullmatch(host):
        raise _malformed("the address names no valid host")
    return Address(host=host.lower(), port=int(port))


def _ipv6(text: str) -> str:
    try:
        found = ipaddress.IPv6Address(text)
    except ValueError:
        raise _malformed("the address in brackets is no IPv6 address") from None
    if not _INTERFACE.fullmatch(found.scope_id or "lo"):
        raise _malformed("what follows the % in the address is the name of no interface")
    return str(found)


def parse_session(text: str) -> Session:
    """Parses the one JSON object that describes a session.

    Args:
        text: `{"v":1,"name":…,"address":…,"key":…,"encryption":"none"|"tls"}`, at most SIZE_LIMIT bytes; for a host
            that we are paired with `"host_fingerprint":…` instead of the key.

    Raises:
        QvdUsbError: session-malformed; its sentence never repeats the text, which holds the key.
    """
    message = json_object.parse(text.encode("utf-8", "surrogatepass"), SIZE_LIMIT, SESSION_MALFORMED)
    message.version(1)
    message.only(_KEYS)
    encryption, fingerprint = message.text("encryption", "none"), message.text("host_fingerprint", "")
    if encryption not in _ENCRYPTIONS:
        raise message.refusal("its encryption is neither none nor tls")
    if "host_fingerprint" in message and (encryption != "tls" or not is_fingerprint(fingerprint)):
        raise message.refusal("its host_fingerprint is not 64 hexadecimal digits of a session with tls")
    name, address = (_plain(message, word) for word in ("name", "address"))
    key = _plain(message, "key") if "key" in message or not fingerprint else ""
    if not key.isascii() or not key.isprintable() or len(key) > 1024:
        raise message.refusal("its key is not printable ASCII of at most 1024 characters")
    return Session(
        name=name[:200],
        address=parse_address(address),
        key=key,
        encryption=encryption,
        host_fingerprint=fingerprint,
    )


def format_session(session: Session) -> str:
    """The session as parse_session reads it."""
    known = {"key": session.key, "host_fingerprint": session.host_fingerprint}
    fields = {"v": 1, "name": session.name, "address": str(session.address), "encryption": session.encryption}
    return json.dumps({**fields, **{word: value for word, value in known.items() if value}}, indent=1) + "\n"


def _plain(message: json_object.JsonObject, word: str) -> str:
    value = message.text(word)
    if not value or any(0xD800 <= ord(char) <= 0xDFFF for char in value):
        raise message.refusal(f"its {word} is empty or not valid text")
    return value


def require_privacy(session: Session, *, allow_plaintext: bool) -> None:
    """Decides whether the session's way may carry a device.

    Raises:
        QvdUsbError: plaintext-refused for an unencrypted way that leaves this computer without the user's key
            client.usb.allow_plaintext=1; encryption-unavailable for TLS with whoever answers.
    """
    if session.encryption == "tls":
        if not session.host_fingerprint:
            raise QvdUsbError(ENCRYPTION_UNAVAILABLE, name=session.name)
        return
    if not session.address.is_local and not allow_plaintext:
        raise QvdUsbError(PLAINTEXT_REFUSED, address=str(session.address))


_SAFETY = {Way.KERNEL: "encrypted by the kernel", Way.RELAY: "encrypted by a relay"}


def view_of(
    session: Session, *, connected: bool, trouble: Trouble | None = None, way: Way | None = None
) -> SessionView:
    """Decides how the session is shown: what keeps it away, whether it is encrypted, and by whom just now (`way`)."""
    safety = "not encrypted" if session.encryption == "none" else "encrypted" if way is None else _SAFETY[way]
    if session.encryption == "none" and session.address.is_local:
        safety = "not encrypted, stays on this computer up to the tunnel"
    standing = trouble.text.rstrip(".") if trouble else "connected" if connected else "connecting"
    return SessionView(
        name=session.name,
        address=str(session.address),
        connected=connected,
        encryption=session.encryption,
        way="" if way is None else str(way),
        text=f"{session.name}: {standing} ({safety})",
        problem=trouble.code if trouble else "",
    )
