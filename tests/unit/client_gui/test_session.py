"""A session is one JSON object; anything else is refused in words, and the key never shows."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client_gui.session import Address, Session, format_session, parse_address, parse_session, require_privacy, view_of
from client_gui.session_pipe import at_end, object_end, read_session
from qvd_usbip.errors import QvdUsbError

KEY = "Zm9vYmFy0123456789"


def text(**changes: object) -> str:
    session = {"v": 1, "name": "Work desktop", "address": "127.0.0.1:11100", "key": KEY, "encryption": "none"}
    return json.dumps({name: value for name, value in {**session, **changes}.items() if value is not ...})


def name_or_problem(read: Callable[[], Session]) -> str:
    try:
        return read().name
    except QvdUsbError as error:
        return error.problem.code


def problem_of(source: str) -> QvdUsbError:
    with pytest.raises(QvdUsbError) as caught:
        parse_session(source)
    return caught.value


def test_a_session_is_read() -> None:
    session = parse_session(text(address="[::1]:11100"))
    assert (session.name, str(session.address), session.key, session.encryption) == (
        "Work desktop",
        "[::1]:11100",
        KEY,
        "none",
    )


def test_encryption_may_be_left_out() -> None:
    assert parse_session(text(encryption=...)).encryption == "none"


@pytest.mark.parametrize(
    "source",
    [
        "", "null", "[]", "{", '"x"', "1", "{}", "nan", text(v=2), text(v=True), text(v="1"), text(v=...),
        text(name=""),
        text(name=5), text(address=...), text(address="host"), text(address="host:0"), text(address="host:65536"),
        text(address="host:99999999999999999999"), text(address=":80"), text(address="a b:80"), text(address="host:+1"),
        text(address="host:\u0661"), text(address="unix:relative"), text(address="unix:/" + "x" * 108),
        text(address="unix:/a\0b"), text(address="[::1"), text(address="[zz]:80"), text(address="-h:80"), text(key=""),
        text(key="a\nb"), text(key="ü"), text(key="k" * 1025), text(key=...), text(encryption="ssl"), text(extra=1),
        text(encryption=[]), text(encryption={}), "x" * 20_000, "[" * 10_000, '{"v":1,"name":"\\ud800"}',
    ],
)  # fmt: skip
def test_what_is_no_session_is_refused_with_a_remedy(source: str) -> None:
    error = problem_of(source)
    assert error.problem.code == "session-malformed"
    assert "address" in error.remedy()
    assert KEY not in str(error)


PAIRED = {"key": ..., "encryption": "tls", "host_fingerprint": "0123456789abcdef" * 4}


def test_a_session_with_a_host_that_we_are_paired_with_needs_no_key() -> None:
    session = parse_session(text(**PAIRED))
    assert (session.key, session.encryption, session.host_fingerprint) == ("", "tls", PAIRED["host_fingerprint"])
    assert parse_session(text(**{**PAIRED, "key": KEY})).key == KEY


@pytest.mark.parametrize(
    "changes",
    [
        {"encryption": "none"}, {"encryption": ...}, {"host_fingerprint": ""}, {"host_fingerprint": "0" * 63},
        {"host_fingerprint": "G" * 64}, {"host_fingerprint": None}, {"host_fingerprint": ...}, {"key": ""},
    ],
)  # fmt: skip
def test_a_host_is_named_by_a_whole_fingerprint_and_with_tls_or_not_at_all(changes: dict[str, object]) -> None:
    assert problem_of(text(**{**PAIRED, **changes})).problem.code == "session-malformed"


@given(
    st.builds(
        Session,
        name=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=200),
        address=st.sampled_from(["h:1", "unix:/x", "[::1]:2"]).map(parse_address),
        key=st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1),
        encryption=st.just("tls"),
        host_fingerprint=st.sampled_from(["", "a1" * 32]),
    )
)
def test_a_session_that_is_written_is_read_as_it_was(session: Session) -> None:
    assert parse_session(format_session(session)) == session


@given(st.text() | st.recursive(st.none() | st.booleans() | st.text(), st.lists).map(json.dumps))
def test_no_text_makes_anything_but_our_error(source: str) -> None:
    assert name_or_problem(lambda: parse_session(source)) in {"session-malformed", "Work desktop"}


@given(
    st.fixed_dictionaries(
        {
            "v": st.just(1) | st.integers() | st.text(),
            "name": st.text() | st.integers(),
            "address": st.sampled_from(["h:1", "unix:/x", "[::1]:2"]) | st.text(),
            "key": st.text() | st.none(),
            "encryption": st.sampled_from(["none", "tls"]) | st.text(),
        }
    )
)
def test_no_object_makes_anything_but_our_error(source: dict[str, object]) -> None:
    try:
        session = parse_session(json.dumps(source))
    except QvdUsbError as error:
        code = error.problem.code
    else:
        code = "session-malformed"
        assert parse_address(str(session.address)) == session.address
    assert code == "session-malformed"


def test_the_key_is_in_no_text_made_of_a_session() -> None:
    session = parse_session(text())
    assert KEY not in repr(session)
    assert KEY not in str(session)
    assert KEY not in repr(view_of(session, connected=True))


@pytest.mark.parametrize("address", ["127.0.0.1:1", "127.8.9.1:1", "[::1]:1", "localhost:1", "unix:/run/x"])
def test_plaintext_may_stay_on_this_computer(address: str) -> None:
    require_privacy(parse_session(text(address=address)), allow_plaintext=False)


@pytest.mark.parametrize(
    "address", ["10.9.1.11:1", "example.org:1", "[fe80::1]:1", "localhost.example.org:1", "0.0.0.0:1", "128.0.0.1:1"]
)
def test_plaintext_may_not_leave_it_without_the_key_for_that(address: str) -> None:
    session = parse_session(text(address=address))
    with pytest.raises(QvdUsbError) as caught:
        require_privacy(session, allow_plaintext=False)
    assert caught.value.problem.code == "plaintext-refused"
    assert "client.usb.allow_plaintext=1" in caught.value.remedy()
    require_privacy(session, allow_plaintext=True)


def test_tls_is_not_silently_replaced_by_plaintext() -> None:
    with pytest.raises(QvdUsbError) as caught:
        require_privacy(parse_session(text(encryption="tls")), allow_plaintext=True)
    assert caught.value.problem.code == "encryption-unavailable"


def test_the_view_says_that_nothing_is_encrypted() -> None:
    assert "not encrypted" in view_of(parse_session(text(address="10.0.0.1:1")), connected=True).text
    assert "not encrypted" in view_of(parse_session(text()), connected=False).text


def test_an_address_prints_as_it_is_read() -> None:
    assert str(Address(host="::1", port=5)) == "[::1]:5"
    assert str(parse_address("unix:/run/a")) == "unix:/run/a"


@pytest.mark.parametrize(
    "address", ["unix:/run/\udcf5", "unix:/a\nb", "[fe80::1%et h]:1", "[fe80::1%\udcd8]:1", "[fe80::1%a]b]:1"]
)
def test_an_address_that_could_not_be_shown_or_dialled_is_refused(address: str) -> None:
    with pytest.raises(QvdUsbError) as caught:
        parse_address(address)
    assert caught.value.problem.code == "session-malformed"


def test_an_address_may_name_the_interface() -> None:
    assert str(parse_address("[fe80::1%eth0.7]:5")) == "[fe80::1%eth0.7]:5"


# The pipe.


def feed(data: bytes, *, then_close: bool) -> tuple[int, int]:
    read_end, write_end = os.pipe()
    os.write(write_end, data)
    if then_close:
        os.close(write_end)
        write_end = -1
    return read_end, write_end


def read_and_close(data: bytes, *, then_close: bool = False, limit: float = 0.2) -> str:
    read_end, write_end = feed(data, then_close=then_close)
    try:
        return read_session(read_end, limit).name
    except QvdUsbError as error:
        return f"{error.problem.code}: {error}"
    finally:
        os.close(read_end)
        if write_end >= 0:
            os.close(write_end)


def test_a_session_is_read_while_the_pipe_stays_open() -> None:
    assert read_and_close(text().encode() + b"\n") == "Work desktop"


def test_a_session_may_come_in_pieces_even_within_a_character() -> None:
    data = text(name="Büro").encode().replace(b"\\u00fc", "ü".encode())
    read_end, write_end = os.pipe()

    def write_slowly() -> None:
        for place in range(len(data)):
            os.write(write_end, data[place : place + 1])

    writer = threading.Thread(target=write_slowly)
    writer.start()
    try:
        assert read_session(read_end, 5.0).name == "Büro"
    finally:
        writer.join()
        os.close(read_end)
        os.close(write_end)


@pytest.mark.parametrize(
    ("data", "then_close", "word"),
    [
        (b"", True, "nothing came"),
        (b"", False, "in time"),
        (b'{"v":1,', True, "complete"),
        (b'{"v":1,', False, "in time"),
        (b"hello", False, "start"),
        (b"\xff\xfe{}", False, "UTF-8"),
        (text().encode() + b" trailing", False, "follows"),
        (b"{" + b" " * 20_000, False, "16 KiB"),
        (b"{}}", False, "follows"),
        (b'{"a" 1}', False, "JSON"),
    ],
)
def test_what_does_not_arrive_whole_is_named(data: bytes, *, then_close: bool, word: str) -> None:
    said = read_and_close(data, then_close=then_close)
    assert said.startswith("session-malformed: ")
    assert word in said


def test_a_descriptor_that_is_not_open_is_named() -> None:
    with pytest.raises(QvdUsbError) as caught:
        read_session(987_654, 0.2)
    assert "987654" in str(caught.value)


def test_the_end_of_the_pipe_is_seen_and_chatter_is_not_an_end() -> None:
    read_end, write_end = feed(b"more", then_close=False)
    assert not at_end(read_end)
    os.close(write_end)
    assert at_end(read_end)
    os.close(read_end)
    assert at_end(read_end)


@given(st.dictionaries(st.text(), st.text() | st.lists(st.text())), st.text())
def test_the_end_of_an_object_is_found_whatever_its_strings_hold(value: dict[str, object], rest: str) -> None:
    source = json.dumps(value)
    assert object_end(source + rest) == len(source)
    assert all(object_end(source[:place]) is None for place in range(0, len(source), 7))
