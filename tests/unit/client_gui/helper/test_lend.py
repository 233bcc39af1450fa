"""The conversation of `lend`, with an engine at the other end of a socketpair."""

import array
import errno
import json
import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from client_gui.helper import lend
from client_gui.helper.authorise import parse_policy
from client_gui.helper.handover import Place
from client_gui.helper.ownership import Claim
from qvd_usbip.errors import QvdUsbError
from qvd_usbip.ids import BusId
from qvd_usbip.system.sysfs import read_device
from tests.unit.client_gui.helper.fake_kernel import CAMERA, KEYBOARD, SERIAL_ADAPTER, FakeKernel

EXPECT = {"vid": "0bda", "pid": "58c2", "serial": "1234"}
REQUEST = {"v": 1, "busid": "1-4", "expect": EXPECT, "consent": []}


class Engine:
    """The other end, as the client's engine speaks."""

    def __init__(self) -> None:
        self.end, self.helper = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.end.settimeout(5)

    def say(self, message: dict[str, Any] | bytes, *sockets: socket.socket) -> None:
        packet = message if isinstance(message, bytes) else json.dumps(message).encode()
        fds = array.array("i", [item.fileno() for item in sockets])
        self.end.sendmsg([packet], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)] if sockets else [])

    def hear(self) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self.end.recv(4096))
        assert answer.pop("v") == 1
        return answer


class Lending:
    """Runs `lend` here while a script of the engine runs beside it; the script's failure fails the test."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self.failure: BaseException | None = None

    def __call__(self, script: Callable[[Engine], None]) -> QvdUsbError | None:
        engine = Engine()

        def follow() -> None:
            try:
                script(engine)
            except (AssertionError, OSError, ValueError, LookupError, pytest.fail.Exception) as error:
                self.failure = error
            finally:
                engine.end.close()

        beside = threading.Thread(target=follow)
        beside.start()
        error = None
        try:
            lend.run(self._place, parse_policy(""), 1000, engine.helper.detach())
        except QvdUsbError as caught:
            error = caught
        finally:
            beside.join(10)
        if self.failure is not None:
            raise self.failure
        return error


@pytest.fixture
def lending(kernel: FakeKernel, place: Place) -> Lending:
    kernel.plug("1-4", "0bda:58c2", "1234", interfaces=SERIAL_ADAPTER)
    return Lending(place)


@pytest.fixture(autouse=True)
def _own_signals() -> Any:
    numbers = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGQUIT)
    before = [signal.getsignal(number) for number in numbers]
    yield
    signal.set_wakeup_fd(-1)
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


def bound(engine: Engine) -> None:
    engine.say(REQUEST)
    assert engine.hear() == {"state": "bound", "devid": 1 << 16 | 5, "speed": 3}


def exported(engine: Engine) -> socket.socket:
    """Returns the far end of the connection that the kernel now has."""
    near, far = socket.socketpair()
    engine.say({"v": 1, "op": "export"}, near)
    near.close()
    assert engine.hear() == {"state": "exported"}
    far.settimeout(5)
    assert far.recv(64) == b"65541 3\n"
    return far


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def at_home(kernel: FakeKernel) -> bool:
    return (
        kernel.driver_of("1-4") == "usb"
        and kernel.entry("1-4") is None
        and list((kernel.root / "run/qvd-usbip").iterdir()) == []
    )


def test_lent_exported_and_returned(kernel: FakeKernel, lending: Lending) -> None:
    def script(engine: Engine) -> None:
        bound(engine)
        far = exported(engine)
        engine.say({"v": 1, "op": "return"})
        assert engine.hear() == {"state": "returned"}
        assert far.recv(64) == b""
        far.close()

    assert lending(script) is None
    assert at_home(kernel)


def test_the_engine_dies(kernel: FakeKernel, lending: Lending) -> None:
    def script(engine: Engine) -> None:
        bound(engine)
        exported(engine).close()
        engine.end.close()

    assert lending(script) is None
    assert at_home(kernel)


def test_the_engine_dies_before_it_says_anything(kernel: FakeKernel, lending: Lending) -> None:
    assert lending(lambda engine: engine.end.close()) is None
    assert kernel.driver_of("1-4") == "usb"
    assert not kernel.writes


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT])
def test_a_signal_returns_the_device(kernel: FakeKernel, lending: Lending, number: signal.Signals) -> None:
    def script(engine: Engine) -> None:
        bound(engine)
        far = exported(engine)
        os.kill(os.getpid(), number)
        assert engine.hear() == {"state": "returned"}
        far.close()

    assert lending(script) is None
    assert at_home(kernel)


def test_a_peer_that_hangs_up_is_told_and_another_may_come(kernel: FakeKernel, lending: Lending) -> None:
    def script(engine: Engine) -> None:
        bound(engine)
        for _ in range(2):
            exported(engine).close()
            assert engine.hear() == {"state": "dropped"}
        engine.say({"v": 1, "op": "return"})
        assert engine.hear() == {"state": "returned"}

    assert lending(script) is None
    assert at_home(kernel)


def test_unplugged_while_exported(kernel: FakeKernel, lending: Lending) -> None:
    def script(engine: Engine) -> None:
        bound(engine)
        far = exported(engine)
        kernel.unplug("1-4")
        answer = engine.hear()
        assert (answer["state"], answer["problem"]) == ("dropped", "device-gone")
        assert engine.hear() == {"state": "returned"}
        far.close()

    assert lending(script) is None
    assert list((kernel.root / "run/qvd-usbip").iterdir()) == []


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


def test_a_device_that_does_not_come_back_is_told(kernel: FakeKernel, lending: Lending) -> None:
    kernel.faults = {5: errno.EBUSY, 6: errno.EINVAL, 7: errno.EINVAL}

    def script(engine: Engine) -> None:
        bound(engine)
        engine.say({"v": 1, "op": "return"})
        answer = engine.hear()
        assert (answer["state"], answer["problem"]) == ("refused", "return-failed")

    error = lending(script)
    assert error is not None
    assert error.problem.code == "return-failed"


def test_the_fingerprint_of_the_device(kernel: FakeKernel, lending: Lending) -> None:
    seen = read_device(kernel.bus / "devices", BusId.parse("1-4"))
    assert seen is not None
    expect = {**EXPECT, "fingerprint": seen.fingerprint}

    def right(engine: Engine) -> None:
        engine.say({**REQUEST, "expect": expect})
        assert engine.hear()["state"] == "bound"

    def wrong(engine: Engine) -> None:
        engine.say({**REQUEST, "expect": {**EXPECT, "fingerprint": "0" * 64}})
        assert engine.hear()["problem"] == "device-changed"

    assert lending(right) is None
    assert at_home(kernel)
    assert lending(wrong) is not None
    assert at_home(kernel)


def test_a_keyboard_needs_consent_in_the_request(kernel: FakeKernel, place: Place) -> None:
    kernel.plug("1-4", "0bda:58c2", "1234", interfaces=KEYBOARD)

    def refused(engine: Engine) -> None:
        engine.say(REQUEST)
        assert engine.hear()["problem"] == "device-locked"

    def agreed(engine: Engine) -> None:
        engine.say({**REQUEST, "consent": ["keyboard"]})
        assert engine.hear()["state"] == "bound"

    assert Lending(place)(refused) is not None
    assert Lending(place)(agreed) is None
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


def test_one_helper_a_device(kernel: FakeKernel, lending: Lending, place: Place) -> None:
    seen = []

    def script(engine: Engine) -> None:
        bound(engine)
        other = Engine()
        with pytest.raises(QvdUsbError) as caught:
            Claim(place.path, BusId.parse("1-4"))
        seen.append(caught.value.problem.code)
        other.end.close()
        other.helper.close()

    assert lending(script) is None
    assert seen == ["already-in-use"]


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


def test_a_camera_is_a_device_too(kernel: FakeKernel, place: Place) -> None:
    kernel.plug("1-4", "0bda:58c2", "1234", interfaces=CAMERA)

    def script(engine: Engine) -> None:
        bound(engine)

    assert Lending(place)(script) is None
    assert at_home(kernel)
