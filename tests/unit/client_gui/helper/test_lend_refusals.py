"""What an engine may say or hand over wrong, and a peer do wrong, during a loan: told, and nothing stays out."""

import errno
import os
import socket
import struct
import time
from pathlib import Path
from typing import Any

import pytest

from client_gui.helper import lend
from client_gui.helper.authorise import parse_policy
from client_gui.helper.handover import Place
from qvd_usbip.errors import QvdUsbError
from tests.unit.client_gui.helper.fake_engine import REQUEST, Engine, Lending, at_home, bound, exported
from tests.unit.client_gui.helper.fake_kernel import FakeKernel

pytestmark = pytest.mark.usefixtures("own_signals")


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_two_exports_at_once(kernel: FakeKernel, lending: Lending) -> None:
    def script(engine: Engine) -> None:
        bound(engine)
        far = exported(engine)
        near, other = socket.socketpair()
        engine.say({"v": 1, "op": "export"}, near)
        answer = engine.hear()
        assert (answer["state"], answer["problem"]) == ("refused", "already-in-use")
        # the first one goes on
        time.sleep(0.3)
        assert kernel.folder("1-4").joinpath("usbip_status").read_text() == "2\n"
        for item in (near, other, far):
            item.close()

    assert lending(script) is None
    assert at_home(kernel)


@pytest.mark.parametrize("kind", ["datagram", "listening", "file", "unconnected"])
def test_a_descriptor_the_kernel_cannot_use(kernel: FakeKernel, lending: Lending, kind: str) -> None:
    def script(engine: Engine) -> None:
        bound(engine)
        given: Any
        if kind == "datagram":
            given, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
            other.close()
        elif kind == "listening":
            given = socket.create_server(("127.0.0.1", 0))
        elif kind == "file":
            given = open(os.devnull, "rb")  # noqa: SIM115  # closed below
        else:
            given = socket.socket()
        engine.say({"v": 1, "op": "export"}, given)
        given.close()
        answer = engine.hear()
        assert (answer["state"], answer["problem"]) == ("refused", "export-failed")
        exported(engine).close()

    assert lending(script) is None
    assert at_home(kernel)


@pytest.mark.parametrize("end", ["closed", "reset"])
def test_a_peer_that_is_gone_before_the_export(kernel: FakeKernel, lending: Lending, end: str) -> None:
    def script(engine: Engine) -> None:
        bound(engine)
        with socket.create_server(("127.0.0.1", 0)) as listening:
            near = socket.create_connection(listening.getsockname())
            far = listening.accept()[0]
        if end == "reset":
            far.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        far.close()
        time.sleep(0.1)
        engine.say({"v": 1, "op": "export"}, near)
        near.close()
        answer = engine.hear()
        # the kernel takes a connection whose other end said that it will say no more, and notices the end at once
        assert (answer["state"], answer.get("problem")) in {("refused", "peer-gone"), ("exported", None)}
        assert end == "closed" or answer["state"] == "refused"

    assert lending(script) is None
    assert at_home(kernel)


def test_a_peer_that_does_not_read(kernel: FakeKernel, lending: Lending, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("client_gui.helper.connection._LINE_SECONDS", 0.1)

    def script(engine: Engine) -> None:
        bound(engine)
        near, far = socket.socketpair()
        near.settimeout(0)
        try:
            while True:
                near.send(bytes(65536))
        except BlockingIOError:
            engine.say({"v": 1, "op": "export"}, near)
        near.close()
        answer = engine.hear()
        assert (answer["state"], answer["problem"]) == ("refused", "export-failed")
        far.close()

    assert lending(script) is None
    assert at_home(kernel)


@pytest.mark.parametrize(
    "message",
    [
        b"{",
        b"[]",
        b"\xff",
        b"[" * 1000,
        b"{" + b" " * 1100 + b"}",
        {"v": 2, "op": "return"},
        {"v": True, "op": "return"},
        {"v": 1, "op": "explode"},
        {"v": 1, "op": "return", "more": 1},
        {"v": 1, "op": "export"},
        {"v": 1, "op": ["return"]},
        b'{"v":1,"op":"return","op":"return"}',
    ],
)
def test_a_message_that_is_none_ends_the_loan(kernel: FakeKernel, lending: Lending, message: Any) -> None:
    def script(engine: Engine) -> None:
        bound(engine)
        engine.say(message)
        answer = engine.hear()
        assert (answer["state"], answer["problem"]) == ("refused", "helper-request-malformed")

    error = lending(script)
    assert error is not None
    assert error.problem.code == "helper-request-malformed"
    assert at_home(kernel)


@pytest.mark.parametrize("count", [2, 4])
def test_more_descriptors_than_one(kernel: FakeKernel, lending: Lending, count: int) -> None:
    """Two fit into the room that is made for one: the kernel rounds it up."""
    before = open_descriptors()

    def script(engine: Engine) -> None:
        bound(engine)
        near, far = socket.socketpair()
        engine.say({"v": 1, "op": "export"}, *(near, far, near, far)[:count])
        assert engine.hear()["problem"] == "helper-request-malformed"
        near.close()
        far.close()

    assert lending(script) is not None
    assert at_home(kernel)
    assert open_descriptors() == before


@pytest.mark.parametrize(
    ("request_", "problem"),
    [
        ({**REQUEST, "busid": "1-4/../1-5"}, "busid-malformed"),
        ({**REQUEST, "busid": 4}, "helper-request-malformed"),
        ({**REQUEST, "consent": ["everything"]}, "helper-request-malformed"),
        ({**REQUEST, "consent": "keyboard"}, "helper-request-malformed"),
        ({**REQUEST, "expect": {}}, "helper-request-malformed"),
        ({**REQUEST, "expect": {"vid": "0bda", "pid": "xxxx"}}, "vidpid-malformed"),
        ({**REQUEST, "expect": {"vid": "0bda", "pid": "58c2", "serial": "1235"}}, "device-changed"),
        ({**REQUEST, "expect": {"vid": "0bda", "pid": "58c2"}}, "device-changed"),
        ({**REQUEST, "path": "/etc/passwd"}, "helper-request-malformed"),
        ({"v": 1}, "helper-request-malformed"),
    ],
)
def test_a_request_that_is_refused(
    kernel: FakeKernel, lending: Lending, request_: dict[str, Any], problem: str
) -> None:
    def script(engine: Engine) -> None:
        engine.say(request_)
        answer = engine.hear()
        assert (answer["state"], answer["problem"]) == ("refused", problem)
        assert answer["text"]

    error = lending(script)
    assert error is not None
    assert error.problem.code == problem
    assert kernel.driver_of("1-4") == "usb"
    assert not kernel.writes


def test_the_kernel_refuses_the_socket(kernel: FakeKernel, lending: Lending) -> None:
    """Every refusal is EINVAL; the device stays bound and another connection may come."""
    kernel.faults[3] = errno.EINVAL

    def script(engine: Engine) -> None:
        bound(engine)
        near, far = socket.socketpair()
        engine.say({"v": 1, "op": "export"}, near)
        near.close()
        answer = engine.hear()
        assert (answer["state"], answer["problem"]) == ("refused", "export-failed")
        assert far.recv(64) == b"", "nothing was said into it"
        far.close()
        exported(engine).close()

    assert lending(script) is None
    assert at_home(kernel)


def test_an_engine_that_says_nothing(kernel: FakeKernel, lending: Lending, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lend, "_REQUEST_SECONDS", 0.05)

    def script(engine: Engine) -> None:
        assert engine.hear()["problem"] == "helper-request-malformed"

    assert lending(script) is not None


def test_an_engine_that_never_reads_cannot_hold_the_helper(kernel: FakeKernel, lending: Lending) -> None:
    def script(engine: Engine) -> None:
        engine.end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        engine.say(REQUEST)
        near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        for _ in range(100):
            engine.say({"v": 1, "op": "export"}, near)
        near.close()
        far.close()

    assert lending(script) is None
    assert at_home(kernel)


@pytest.mark.parametrize("kind", ["file", "stream", "datagram"])
def test_standard_input_is_no_engine(place: Place, kind: str) -> None:
    if kind == "file":
        with open(os.devnull, "rb") as null, pytest.raises(QvdUsbError, match="standard input"):
            lend.run(place, parse_policy(""), 1000, null.fileno())
        return
    ends = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM if kind == "stream" else socket.SOCK_DGRAM)
    with pytest.raises(QvdUsbError, match="standard input"):
        lend.run(place, parse_policy(""), 1000, ends[0].detach())
    for end in ends:
        end.close()
