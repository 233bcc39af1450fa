"""EFFECT: the key and certificate that this computer, or this user, is known by: made once, kept, never renewed.

Both sides know each other by the certificate itself, not by who signed it, so it is self-signed and does not run out.
Source: RFC 5280, 4.1.2.5 (a date that says so); RFC 8422 (P-256, which every TLS 1.3 library speaks).
"""

from __future__ import annotations

import os
import stat
import warnings
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from qvd_usbip.errors import IDENTITY_UNUSABLE, PAIRING_PROTOCOL, QvdUsbError
from qvd_usbip.pairing import fingerprint_of
from qvd_usbip.system.files import read_bounded, save_atomic
from qvd_usbip.system.folder_lock import locked_folder

if TYPE_CHECKING:
    from pathlib import Path

KEY, CERTIFICATE = "key.pem", "certificate.pem"
_LIMIT = 16 * 1024
_BEGIN = datetime(2020, 1, 1, tzinfo=UTC)  # the same in all of them: it tells nothing, and no clock is too slow for it
_NEVER = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Where key and certificate are, the certificate as DER, and its fingerprint."""

    key: Path
    certificate: Path
    der: bytes
    fingerprint: str


def load_or_make(folder: Path, common_name: str) -> Identity:
    """The identity kept in a folder; the first who asks makes it.

    Args:
        folder: becomes the owner's alone, if it is not there yet.
        common_name: what the certificate is made out to, for people; at most 64 characters count.

    Raises:
        QvdUsbError: identity-unusable, where something is there that is none; config-….
    """
    key, certificate = folder / KEY, folder / CERTIFICATE
    with locked_folder(folder):
        if not key.exists() and not certificate.exists():
            save_atomic(key, _new_key(), 0o600)
        if not certificate.exists():  # or whoever made the key was killed before it came to that
            save_atomic(certificate, _made_for(_private(key), common_name), 0o644)
        return _loaded(key, certificate)


def _new_key() -> bytes:
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _made_for(private: ec.EllipticCurvePrivateKey, common_name: str) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name[:64] or "qvd-usb")])
    public = private.public_key()
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(_BEGIN)
        .not_valid_after(_NEVER)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )
    return builder.sign(private, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def _private(path: Path) -> ec.EllipticCurvePrivateKey:
    data = _read(path)
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise _unusable(path, "others than its owner may read the key")
    try:
        private = serialization.load_pem_private_key(data, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise _unusable(path, f"{KEY} is no private key") from None
    if not isinstance(private, ec.EllipticCurvePrivateKey):
        raise _unusable(path, f"{KEY} is a key of another kind")
    return private


def _loaded(key: Path, certificate: Path) -> Identity:
    try:
        found = x509.load_pem_x509_certificate(_read(certificate))
    except ValueError:
        raise _unusable(certificate, f"{CERTIFICATE} is no certificate") from None
    if _public(found) != _spelled(_private(key).public_key()):
        raise _unusable(key, "they do not belong together")
    der = found.public_bytes(serialization.Encoding.DER)
    return Identity(key=key, certificate=certificate, der=der, fingerprint=fingerprint_of(der))


def _public(certificate: x509.Certificate) -> bytes:
    try:
        public = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm):
        return b""
    if isinstance(public, ec.EllipticCurvePublicKey) and isinstance(public.curve, ec.SECP256R1):
        return _spelled(public)
    return b""


def _spelled(public: ec.EllipticCurvePublicKey) -> bytes:
    return public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def _read(path: Path) -> bytes:
    try:
        return read_bounded(path, _LIMIT)
    except FileNotFoundError:
        raise _unusable(path, f"{path.name} is missing") from None


def _unusable(path: Path, reason: str) -> QvdUsbError:
    return QvdUsbError(IDENTITY_UNUSABLE, path=os.fspath(path.parent), reason=reason)


def require_certificate(der: bytes) -> None:
    """Decides whether these bytes of a stranger are a certificate as load_or_make makes them.

    Raises:
        QvdUsbError: pairing-protocol: anything else, one that somebody else signed included.
    """
    try:
        with warnings.catch_warnings(action="error"):  # what the library still bears with, and says that it should not
            found = x509.load_der_x509_certificate(der)
            public = found.public_key()
        algorithm = found.signature_hash_algorithm
        if not isinstance(public, ec.EllipticCurvePublicKey) or not isinstance(public.curve, ec.SECP256R1):
            raise QvdUsbError(PAIRING_PROTOCOL, reason="its certificate has a key of another kind")
        if algorithm is None or found.issuer != found.subject:
            raise QvdUsbError(PAIRING_PROTOCOL, reason="its certificate is not signed by itself")
        public.verify(found.signature, found.tbs_certificate_bytes, ec.ECDSA(algorithm))
    except (ValueError, TypeError, UnsupportedAlgorithm, Warning):
        raise QvdUsbError(PAIRING_PROTOCOL, reason="its certificate is none") from None
    except InvalidSignature:
        raise QvdUsbError(PAIRING_PROTOCOL, reason="its certificate is not signed by itself") from None
