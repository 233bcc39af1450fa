"""The other end of a loan: an engine that follows a script while `lend` runs here."""

import array
import json
import socket
import threading
from collections.abc import Callable
from typing import Any

import pytest

from client_gui.helper import lend
from client_gui.helper.authorise import parse_policy
from client_gui.helper.handover import Place
from qvd_usbip.errors import QvdUsbError
from tests.unit.client_gui.helper.fake_kernel import FakeKernel

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


def at_home(kernel: FakeKernel) -> bool:
    return (
        kernel.driver_of("1-4") == "usb"
        and kernel.entry("1-4") is None
        and list((kernel.root / "run/qvd-usbip").iterdir()) == []
    )
