"""A loan from the request to the return, with an engine at the other end of a socketpair."""

import errno
import os
import signal

import pytest

from client_gui.helper.handover import Place
from client_gui.helper.ownership import Claim
from qvd_usbip.errors import QvdUsbError
from qvd_usbip.ids import BusId
from qvd_usbip.system.sysfs import read_device
from tests.unit.client_gui.helper.fake_engine import EXPECT, REQUEST, Engine, Lending, at_home, bound, exported
from tests.unit.client_gui.helper.fake_kernel import CAMERA, KEYBOARD, FakeKernel

pytestmark = pytest.mark.usefixtures("own_signals")


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


def test_a_camera_is_a_device_too(kernel: FakeKernel, place: Place) -> None:
    kernel.plug("1-4", "0bda:58c2", "1234", interfaces=CAMERA)

    def script(engine: Engine) -> None:
        bound(engine)

    assert Lending(place)(script) is None
    assert at_home(kernel)
