"""EFFECT: TLS with the host that this computer is paired with; its certificate is compared before anything is sent.

No authority is asked: the host is known by its certificate alone, and this computer by the one that it shows.
"""

from __future__ import annotations

import hmac
import selectors
import ssl
from pathlib import Path
from typing import TYPE_CHECKING

from qvd_usbip.errors import ENCRYPTION_FAILED, HOST_CHANGED, NOT_PAIRED, QvdUsbError
from qvd_usbip.pairing import fingerprint_of
from qvd_usbip.system.tls import new_context

if TYPE_CHECKING:
    import socket

    from client_gui.session import Session

IDENTITY = Path("~/.config/qvd-usbip/identity")
"""Where this user's key and certificate are; made when the first host is paired."""

CERTIFICATE, KEY = "certificate.pem", "key.pem"

_NOT_KNOWN = frozenset({
    "SSLV3_ALERT_BAD_CERTIFICATE", "SSLV3_ALERT_CERTIFICATE_UNKNOWN", "TLSV13_ALERT_CERTIFICATE_REQUIRED",
    "TLSV1_ALERT_UNKNOWN_CA",
})  # fmt: skip
"""What OpenSSL calls a host's word that it does not take our certificate. Source: RFC 8446, 6.2."""


def own_files(folder: Path = IDENTITY) -> tuple[Path, Path]:
    """The user's certificate and key."""
    place = folder.expanduser()
    return place / CERTIFICATE, place / KEY


def client_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """What the client's handshake needs.

    Raises:
        OSError: (ssl.SSLError included) the files do not serve.
    """
    context = new_context(server=False)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # require_host is stricter than any name or signature
    context.load_cert_chain(certificate, key)
    return context


def require_host(connection: ssl.SSLSocket, fingerprint: str, address: object) -> None:
    """Decides whether the other end of a finished handshake is the host that was paired; nothing was sent to it yet.

    Raises:
        QvdUsbError: host-changed.
    """
    certificate = connection.getpeercert(binary_form=True)
    if certificate is None or not hmac.compare_digest(fingerprint_of(certificate), fingerprint):
        raise QvdUsbError(HOST_CHANGED, address=address)


def failed(error: OSError, address: object) -> QvdUsbError:
    """The problem that an error of the handshake, or of the files it needs, is."""
    said = error.reason if isinstance(error, ssl.SSLError) and error.reason else error.strerror or str(error)
    reason = f"{error.filename}: {said}" if error.filename else said
    return QvdUsbError(ENCRYPTION_FAILED, address=address, reason=reason)


def broken(error: ssl.SSLError, address: object) -> QvdUsbError:
    """The problem that an error after the handshake is.

    The client's part of a handshake is over before the host judges its certificate; the host was recognised by then.
    """
    return QvdUsbError(NOT_PAIRED) if error.reason in _NOT_KNOWN else failed(error, address)


class Handshake:
    """A handshake that never waits: `advance` goes on as far as it can."""

    def __init__(self, connection: socket.socket, session: Session) -> None:
        """Args: connection: connected; it becomes the TLS connection's.

        Raises:
            QvdUsbError: encryption-failed.
        """
        self._session = session
        self.interest = selectors.EVENT_WRITE
        try:
            context = client_context(*own_files())
            self.connection = context.wrap_socket(connection, do_handshake_on_connect=False)
        except OSError as error:
            connection.close()
            raise failed(error, session.address) from error

    def advance(self) -> ssl.SSLSocket | None:
        """Goes on: the encrypted connection to the right host, or None while it is not over.

        Raises:
            QvdUsbError: encryption-failed, host-changed.
        """
        try:
            self.connection.do_handshake()
        except ssl.SSLWantReadError:
            self.interest = selectors.EVENT_READ
            return None
        except ssl.SSLWantWriteError:
            self.interest = selectors.EVENT_WRITE
            return None
        except OSError as error:
            raise failed(error, self._session.address) from error
        require_host(self.connection, self._session.host_fingerprint, self._session.address)
        return self.connection
