"""What callers may write: arguments, environment, and the engine's packets. Whatever comes is ours or a Problem."""

import json
from collections.abc import Callable
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client_gui.helper.device import Identity
from client_gui.helper.messages import LIMIT, format_answer, parse_lend, parse_operation
from client_gui.helper.request import parse_arguments, parse_caller
from qvd_usbip.errors import QvdUsbError

Parsed = TypeVar("Parsed")
MALFORMED = {"helper-request-malformed", "busid-malformed", "vidpid-malformed"}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=10,
)


def code(error: pytest.ExceptionInfo[QvdUsbError]) -> str:
    return error.value.problem.code


def tried(parse: Callable[[], Parsed]) -> Parsed | None:
    """What was parsed, None for a refusal that is one of those it may be."""
    try:
        return parse()
    except QvdUsbError as error:
        refused = error.problem.code
    assert refused in MALFORMED
    return None


@pytest.mark.parametrize("verb", ["bind", "unbind"])
def test_verbs_on_a_busid(verb: str) -> None:
    call = parse_arguments([verb, "1-4.2"])
    assert (call.verb, str(call.busid)) == (verb, "1-4.2")


def test_connect_takes_the_socket_where_the_launcher_left_it() -> None:
    assert str(parse_arguments(["connect", "1-4", "3"]).busid) == "1-4"
    with pytest.raises(QvdUsbError):
        parse_arguments(["connect", "1-4", "4"])


@pytest.mark.parametrize(
    "arguments",
    [
        [], [""], ["lend", "1-4"], ["recover", "all"], ["bind"], ["bind", "1-4", "3"], ["connect", "1-4"], ["--help"],
        ["LEND"], ["attach", "1-4"],
    ],
)  # fmt: skip
def test_arguments_that_are_none_of_ours(arguments: list[str]) -> None:
    with pytest.raises(QvdUsbError) as error:
        parse_arguments(arguments)
    assert code(error) == "helper-request-malformed"


@pytest.mark.parametrize(
    "busid",
    [
        "",
        "usb1",
        "1-0",
        "01-4",
        "1-4.",
        "1-4/..",
        "../1-4",
        "1-4\n",
        "1-4 ",
        "1-\u0664",
        "1-4:1.0",
        "1" * 40 + "-1",
        "1-4\0",
    ],
)
def test_busids_that_could_name_something_else(busid: str) -> None:
    with pytest.raises(QvdUsbError) as error:
        parse_arguments(["bind", busid])
    assert code(error) == "busid-malformed"


@given(st.lists(st.text(max_size=40), max_size=4))
def test_any_arguments(arguments: list[str]) -> None:
    found = tried(lambda: parse_arguments(arguments))
    assert found is None or found.busid is None or str(found.busid) == arguments[1]


def test_the_caller_is_whom_the_launcher_names() -> None:
    assert parse_caller({"QVD_CALLER_UID": "1000", "QVD_CALLER_GID": "100"}) == (1000, 100)


@pytest.mark.parametrize("uid", [None, "", "-1", "+1", "0x0", "1e3", " 0", "٣", "9" * 11])
def test_no_caller_no_work(uid: str | None) -> None:
    environment = {"QVD_CALLER_GID": "0"} | ({} if uid is None else {"QVD_CALLER_UID": uid})
    with pytest.raises(QvdUsbError) as error:
        parse_caller(environment)
    assert code(error) == "helper-request-malformed"


def test_a_request() -> None:
    packet = b'{"v":1,"busid":"1-4","expect":{"vid":"0BDA","pid":"58c2","serial":"1234"},"consent":["keyboard"]}'
    request = parse_lend(packet)
    assert str(request.busid) == "1-4"
    assert request.expect == Identity("0bda:58c2", "1234")
    assert request.consent == {"keyboard"}
    assert request.fingerprint == ""


@pytest.mark.parametrize("serial", [{"serial": ""}, {}])
def test_a_device_without_a_serial(serial: dict[str, str]) -> None:
    message = {"v": 1, "busid": "1-4", "expect": {"vid": "0bda", "pid": "58c2", **serial}}
    assert parse_lend(json.dumps(message).encode()).expect == Identity("0bda:58c2", "")


@pytest.mark.parametrize(("serial", "fingerprint"), [("", ""), ("s" * 255, ""), ("", "f" * 64)])
def test_the_longest_serial_and_a_whole_fingerprint_are_taken(serial: str, fingerprint: str) -> None:
    expect = {"vid": "0bda", "pid": "58c2", "serial": serial, "fingerprint": fingerprint}
    request = parse_lend(json.dumps({"v": 1, "busid": "1-4", "expect": expect}).encode())
    assert (request.expect.serial, request.fingerprint) == (serial, fingerprint)


@pytest.mark.parametrize(("serial", "fingerprint"), [("s" * 256, ""), ("", "f" * 63), ("", "f" * 65), ("", "f")])
def test_a_longer_serial_or_part_of_a_fingerprint_is_refused(serial: str, fingerprint: str) -> None:
    expect = {"vid": "0bda", "pid": "58c2", "serial": serial, "fingerprint": fingerprint}
    with pytest.raises(QvdUsbError) as error:
        parse_lend(json.dumps({"v": 1, "busid": "1-4", "expect": expect}).encode())
    assert code(error) == "helper-request-malformed"
    assert "wrong length" in str(error.value)


@given(st.binary(max_size=LIMIT + 10))
def test_any_bytes(packet: bytes) -> None:
    for parse in (parse_lend, parse_operation):
        with pytest.raises(QvdUsbError) as error:
            parse(packet)
        assert code(error) in MALFORMED


@given(
    st.fixed_dictionaries(
        {"v": st.just(1) | JSON, "busid": st.just("1-4") | JSON},
        optional={
            "expect": st.fixed_dictionaries({}, optional=dict.fromkeys(("vid", "pid", "serial", "fingerprint"), JSON)),
            "consent": st.lists(st.sampled_from(["storage", "keyboard"]) | JSON, max_size=3) | JSON,
            "op": JSON,
        },
    )
)
def test_any_object(message: dict[str, object]) -> None:
    packet = json.dumps(message).encode()
    tried(lambda: parse_lend(packet))
    tried(lambda: parse_operation(packet))


def test_a_number_too_long_to_read() -> None:
    with pytest.raises(QvdUsbError):
        parse_lend(b'{"v":' + b"1" * 1000 + b"}")


@pytest.mark.parametrize("nested", [b"[" * 1000, b'{"a":' * 200])
def test_nesting(nested: bytes) -> None:
    with pytest.raises(QvdUsbError):
        parse_operation(nested)


@given(st.text(max_size=3000))
def test_an_answer_fits_into_a_packet(text: str) -> None:
    packet = format_answer("refused", problem="internal", text=text)
    assert len(packet) <= LIMIT
    assert json.loads(packet)["state"] == "refused"


@pytest.mark.parametrize("letter", ["a", "\N{GRINNING FACE}"])
def test_of_an_answer_that_is_too_long_the_beginning_is_said(letter: str) -> None:
    said = json.loads(format_answer("refused", problem="internal", text="1-4 " + letter * LIMIT))
    assert said["problem"] == "internal"
    assert said["text"].startswith(f"1-4 {letter * 30}")
