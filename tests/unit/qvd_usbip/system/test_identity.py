"""A key and certificate are made once and kept; what is there and is none is named; a stranger's is judged."""

from __future__ import annotations

import ssl
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given
from hypothesis import strategies as st

from qvd_usbip.errors import QvdUsbError
from qvd_usbip.system import identity
from qvd_usbip.system.identity import load_or_make, require_certificate


def problem(folder: Path) -> QvdUsbError:
    with pytest.raises(QvdUsbError) as caught:
        load_or_make(folder, "desk")
    return caught.value


def judged(der: bytes) -> str:
    with pytest.raises(QvdUsbError) as caught:
        require_certificate(der)
    return str(caught.value)


def test_it_is_made_once_and_is_the_same_ever_after(tmp_path: Path) -> None:
    made = load_or_make(tmp_path / "identity", "desk")
    assert load_or_make(tmp_path / "identity", "another name") == made
    assert made.key.stat().st_mode & 0o777 == 0o600
    assert made.key.parent.stat().st_mode & 0o777 == 0o700
    assert sorted(path.name for path in made.key.parent.iterdir()) == ["certificate.pem", "key.pem"]
    require_certificate(made.der)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made.certificate, made.key)


def test_ten_that_ask_at_the_same_time_get_the_same(tmp_path: Path) -> None:
    with ThreadPoolExecutor(10) as pool:
        found = set(pool.map(lambda _: load_or_make(tmp_path / "identity", "desk").fingerprint, range(10)))
    assert len(found) == 1


def test_who_was_killed_after_the_key_is_made_up_for(tmp_path: Path) -> None:
    made = load_or_make(tmp_path, "desk")
    made.certificate.unlink()
    assert load_or_make(tmp_path, "desk").key.read_bytes() == made.key.read_bytes()


def test_a_name_of_any_length_is_one(tmp_path: Path) -> None:
    assert load_or_make(tmp_path / "long", "x" * 300).der
    assert load_or_make(tmp_path / "none", "").der


def test_a_key_that_others_may_read_is_not_used(tmp_path: Path) -> None:
    load_or_make(tmp_path, "desk").key.chmod(0o640)
    assert "others than its owner may read the key" in str(problem(tmp_path))


@pytest.mark.parametrize("name", ["key.pem", "certificate.pem"])
def test_what_is_broken_is_named_and_nothing_is_made_over_it(tmp_path: Path, name: str) -> None:
    load_or_make(tmp_path, "desk")
    (tmp_path / name).write_text("-----BEGIN NONSENSE-----")
    error = problem(tmp_path)
    assert error.problem.code == "identity-unusable"
    assert name in str(error)
    assert (tmp_path / name).read_text() == "-----BEGIN NONSENSE-----"


def test_a_key_that_is_gone_is_not_made_anew_behind_the_back_of_who_was_paired(tmp_path: Path) -> None:
    load_or_make(tmp_path, "desk").key.unlink()
    assert "key.pem is missing" in str(problem(tmp_path))


def test_a_key_of_somebody_else_does_not_belong_to_the_certificate(tmp_path: Path) -> None:
    one, other = load_or_make(tmp_path / "one", "desk"), load_or_make(tmp_path / "other", "desk")
    one.key.write_bytes(other.key.read_bytes())
    assert "do not belong together" in str(problem(tmp_path / "one"))


def test_a_key_of_another_kind_is_not_used(tmp_path: Path) -> None:
    key = rsa.generate_private_key(65537, 2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    load_or_make(tmp_path, "desk").key.write_bytes(key)
    assert "another kind" in str(problem(tmp_path))


def signed(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey, by: ec.EllipticCurvePrivateKey | None = None) -> bytes:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "stranger")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(identity._BEGIN).not_valid_after(identity._NEVER)
    return builder.sign(by or key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def test_a_strangers_certificate_is_one_of_our_kind_or_it_is_refused() -> None:
    key, other = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    require_certificate(signed(key))
    assert "not signed by itself" in judged(signed(key, by=other))
    assert "another kind" in judged(signed(ec.generate_private_key(ec.SECP384R1())))
    assert "another kind" in judged(signed(rsa.generate_private_key(65537, 2048)))
    assert "is none" in judged(signed(key) + b"more")


@given(st.binary(max_size=400))
def test_any_bytes_of_a_stranger_are_refused_in_words(data: bytes) -> None:
    assert "pairing" in judged(data)


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_a_certificate_with_one_byte_changed_is_refused(at: int, flip: int) -> None:
    changed = bytearray(GOOD)
    changed[at % len(changed)] ^= flip
    assert "pairing" in judged(bytes(changed))


GOOD = signed(ec.generate_private_key(ec.SECP256R1()))
