"""Client and host come to the same code, and whoever sits between them to another."""

from __future__ import annotations

import base64
import hashlib
import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qvd_usbip.errors import CONFIG_UNWRITABLE, PAIRING_CODE_WRONG, Problem, QvdUsbError
from qvd_usbip.pairing import (
    CERTIFICATE_LIMIT,
    LINE_LIMIT,
    ClientSide,
    HostSide,
    code_of,
    commitment,
    fingerprint_of,
    is_fingerprint,
    is_name,
    name_from,
    shown,
    typed,
)
from tests.unit.qvd_usbip.strategies import hostile_text

NONCES = st.binary(min_size=32, max_size=32)
CERTIFICATES = st.binary(min_size=1, max_size=CERTIFICATE_LIMIT)
NAMES = st.text().map(name_from)
CLIENT, HOST = b"client's certificate", b"host's certificate"
SPOKEN = frozenset({"pairing-protocol", "pairing-ended", "pairing-code-wrong"})


def client(
    certificate: bytes = CLIENT, host: bytes = HOST, nonce: bytes = b"c" * 32, name: str = "ann@desk"
) -> ClientSide:
    return ClientSide(certificate=certificate, name=name, host_certificate=host, nonce=nonce)


def host(certificate: bytes = HOST, nonce: bytes = b"h" * 32) -> HostSide:
    return HostSide(certificate=certificate, nonce=nonce)


def met(one: ClientSide, other: HostSide) -> None:
    """Lets the two talk until both know the code."""
    other.feed(one.feed(other.feed(one.start())))


def agreed(side: HostSide) -> bool:
    return side.confirmed


def line(**fields: object) -> bytes:
    return json.dumps(fields).encode() + b"\n"


def refused(side: ClientSide | HostSide, data: bytes) -> str:
    with pytest.raises(QvdUsbError) as caught:
        side.feed(data)
    return caught.value.problem.code


@given(NONCES, NONCES, CERTIFICATES, CERTIFICATES, NAMES)
def test_both_show_the_same_six_digits_and_end_with_the_same_names(
    nonce: bytes, other_nonce: bytes, certificate: bytes, other_certificate: bytes, name: str
) -> None:
    one = client(certificate, other_certificate, nonce, name)
    other = host(other_certificate, other_nonce)
    met(one, other)
    assert one.code == other.code
    assert len(one.code) == 6
    assert one.code.isdecimal()
    assert (other.certificate, other.name) == (certificate, name)
    assert not agreed(other)
    other.feed(one.confirm())
    assert agreed(other)
    one.feed(other.accept("desk1", "ann-2"))
    assert (one.container, one.name) == ("desk1", "ann-2")


@given(st.lists(st.integers(0, 2000), max_size=8), NONCES)
def test_it_does_not_matter_in_what_pieces_the_messages_arrive(cuts: list[int], nonce: bytes) -> None:
    whole, pieces = host(), host()
    talk = client(nonce=nonce)
    start = talk.start()
    revealed = talk.feed(whole.feed(start))
    whole.feed(revealed)
    data = start + revealed
    edges = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    for begin, end in pairwise(edges):
        pieces.feed(data[begin:end])
    assert pieces.code == whole.code


@given(st.lists(NONCES, min_size=4, max_size=4))
def test_whoever_sits_between_them_gets_another_code_on_either_side(nonces: list[bytes]) -> None:
    """With the nonces blindly chosen, as the commitment forces them to be: equal codes are chance, one in a million."""
    middle = b"certificate of the one between"
    one, towards_client = client(host=middle, nonce=nonces[0]), host(middle, nonces[1])
    towards_host, other = client(middle, HOST, nonces[2]), host(HOST, nonces[3])
    met(one, towards_client)
    met(towards_host, other)
    assert one.code != other.code or len(set(nonces)) < 4


def test_who_could_choose_a_nonce_last_would_get_any_code_so_the_commitment_is_what_protects() -> None:
    """Three digits stand for six, to be quick: without having committed, some thousand tries are enough."""
    wanted = host(nonce=b"v" * 32)
    met(client(), wanted)
    own = (b"c" * 32, CLIENT, "ann@desk")
    tries = (hashlib.sha256(str(number).encode()).digest() for number in range(20_000))
    assert any(code_of(client=own, host=(nonce, b"middle"))[:3] == wanted.code[:3] for nonce in tries)


@pytest.mark.parametrize("changed", ["nonce", "certificate", "name"])
def test_what_is_revealed_must_be_what_was_committed_to(changed: str) -> None:
    one, other = client(), host()
    revealed = json.loads(one.feed(other.feed(one.start())))
    revealed[changed] = {"nonce": "00" * 32, "certificate": base64.b64encode(b"x").decode(), "name": "bob"}[changed]
    assert refused(other, line(**revealed)) == "pairing-protocol"
    assert not other.code


def test_the_hosts_certificate_must_be_the_one_of_the_connection() -> None:
    one = client(host=b"what the handshake showed")
    assert refused(one, host().feed(one.start())) == "pairing-protocol"
    assert not one.code


@given(NONCES, NONCES, CERTIFICATES, CERTIFICATES, NAMES, NAMES)
def test_a_commitment_fits_nothing_else(
    nonce: bytes, other: bytes, certificate: bytes, second: bytes, name: str, third: str
) -> None:
    same = (nonce, certificate, name) == (other, second, third)
    assert (commitment(nonce, certificate, name) == commitment(other, second, third)) == same


@pytest.mark.parametrize(
    "changed", range(5), ids=["nonce", "certificate", "name", "host's nonce", "host's certificate"]
)
def test_each_part_alone_changes_the_code(changed: int) -> None:
    """Each of these values of the one part has a code of its own."""
    codes = set()
    for number in range(20):
        parts: list[bytes] = [b"nonce", b"certificate", b"name", b"host's nonce", b"host's certificate"]
        parts[changed] = b"other %d" % number
        codes.add(code_of(client=(parts[0], parts[1], parts[2].decode()), host=(parts[3], parts[4])))
    assert len(codes) == 20


def test_the_code_hangs_on_everything_and_no_part_passes_for_a_piece_of_its_neighbour() -> None:
    first = code_of(client=(b"ab", b"c", "d"), host=(b"e", b"f"))
    others = [
        code_of(client=(b"a", b"bc", "d"), host=(b"e", b"f")),
        code_of(client=(b"ab", b"c", "de"), host=(b"", b"f")),
        code_of(client=(b"ab", b"c", "d"), host=(b"ef", b"")),
        code_of(client=(b"ab", b"c", "d"), host=(b"e", b"g")),
        code_of(client=(b"ab", b"c", "x"), host=(b"e", b"f")),
    ]
    assert first not in others


def test_who_has_committed_has_had_the_one_try_whatever_comes_then() -> None:
    """The host's nonce is known from then on: who hangs up now and could come again would look for a code that fits."""
    other = host()
    other.feed(client().start())
    assert other.committed
    assert refused(other, b"") == "pairing-ended"


def test_who_never_said_anything_that_counts_has_had_no_try() -> None:
    other = host()
    assert refused(other, line(v=1, commit="x")) == "pairing-protocol"
    assert not other.committed


def test_either_side_can_say_that_the_codes_differ() -> None:
    one, other = client(), host()
    met(one, other)
    assert refused(other, one.refuse()) == "pairing-code-wrong"
    assert refused(one, other.refuse(PAIRING_CODE_WRONG)) == "pairing-code-wrong"
    assert not other.confirmed


def test_a_host_that_ends_it_says_why_and_a_reason_that_nobody_knows_is_not_repeated() -> None:
    one, other = client(), host()
    met(one, other)
    for said, understood in ((CONFIG_UNWRITABLE, "config-unwritable"), (Problem("evil\x1b", 5, "", ""), "internal")):
        with pytest.raises(QvdUsbError) as caught:
            one.feed(other.refuse(said))
        assert caught.value.problem.code == "pairing-ended"
        assert caught.value.context["reason"].endswith(understood)


def test_a_host_that_confirms_before_the_client_has_is_not_believed() -> None:
    one, other = client(), host()
    met(one, other)
    assert refused(one, other.accept("desk1", "ann")) == "pairing-protocol"
    assert not one.container


@pytest.mark.parametrize("container", ["", "../x", ".hidden", "a/b", "a\0", "a\nb", "x" * 101, "ü"])
def test_a_container_that_could_be_no_file_is_refused(container: str) -> None:
    one, other = client(), host()
    met(one, other)
    one.confirm()
    assert refused(one, line(confirmed=True, container=container, name="ann")) == "pairing-protocol"


def test_nothing_is_said_twice() -> None:
    one, other = client(), host()
    met(one, other)
    other.feed(one.confirm())
    assert refused(other, one.confirm()) == "pairing-protocol"
    one.feed(other.accept("desk1", "ann"))
    assert refused(one, other.accept("desk2", "ann")) == "pairing-protocol"


@pytest.mark.parametrize(
    "message",
    [
        b"\n", b"null\n", b"[]\n", b"{}\n", b'{"v":1}\n', b"\xff\n", line(v=2, commit="0" * 64),
        line(v=1, commit="0" * 63), line(v=1, commit="G" * 64), line(v=1, commit=5), line(v=1, commit="0" * 64, more=1),
        b"{" * 9000,
        b'{"v":1,"v":1,"commit":"' + b"0" * 64 + b'"}\n', b"x" * LINE_LIMIT, line(confirmed=True),
    ],
)  # fmt: skip
def test_a_first_message_that_is_none_is_refused(message: bytes) -> None:
    assert refused(host(), message) == "pairing-protocol"


@pytest.mark.parametrize(
    "fields",
    [
        {"nonce": "0" * 63}, {"nonce": "0" * 66}, {"nonce": "Ä" * 64}, {"nonce": None}, {"certificate": ""},
        {"certificate": "*"}, {"certificate": "ü"}, {"certificate": "A" * 8}, {"v": 0}, {"extra": 1},
        {"certificate": base64.b64encode(b"x" * (CERTIFICATE_LIMIT + 1)).decode()},
    ],
)  # fmt: skip
def test_a_hosts_answer_that_is_none_is_refused(fields: dict[str, object]) -> None:
    one = client()
    one.start()
    good = {"v": 1, "nonce": "00" * 32, "certificate": base64.b64encode(HOST).decode()}
    assert refused(one, line(**{**good, **fields})) == "pairing-protocol"


MESSAGES = st.one_of(
    st.binary(max_size=300),
    st.dictionaries(
        st.sampled_from(["v", "commit", "nonce", "certificate", "name", "confirmed", "container"]),
        st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=80), st.just("0" * 64)),
    ).map(lambda fields: line(**fields)),
)


@given(st.lists(MESSAGES, max_size=6), st.booleans())
def test_whatever_a_peer_sends_there_is_a_code_or_our_error_and_nothing_else(data: list[bytes], of_host: bool) -> None:
    side: HostSide | ClientSide = host() if of_host else client()
    try:
        for each in data:
            side.feed(each)
    except QvdUsbError as error:
        assert error.problem.code in SPOKEN  # noqa: PT017
    assert not side.code or isinstance(side, HostSide | ClientSide)


@given(hostile_text)
def test_any_text_becomes_a_name_that_is_good_as_a_file(text: str) -> None:
    name = name_from(text)
    assert is_name(name)
    assert "/" not in name
    assert not name.startswith(".")
    assert name_from(name) == name


def test_a_code_is_read_in_two_groups_and_typed_as_one_likes() -> None:
    assert shown("012345") == "012 345"
    assert {typed(text) for text in ("012 345", "012345\n", " 012-345 ")} == {"012345"}


def test_a_fingerprint_is_sha256_in_hexadecimal() -> None:
    assert fingerprint_of(b"") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert is_fingerprint(fingerprint_of(b"x"))
    assert not is_fingerprint(fingerprint_of(b"x").upper())
