"""The administrator's rules about single devices, kept by the helper itself."""

from pathlib import Path

import pytest

from client_gui.helper import main as helper
from client_gui.helper.authorise import Caller, check_device
from client_gui.helper.caller import read_policy
from client_gui.helper.device import observe
from client_gui.helper.handover import Place
from client_gui.helper.main import serve
from client_gui.helper.request import parse_arguments
from qvd_usbip.errors import QvdUsbError
from qvd_usbip.ids import BusId
from tests.unit.client_gui.helper.fake_kernel import CAMERA, KEYBOARD, FakeKernel
from tests.unit.client_gui.helper.test_authorise import owned_by_root, policy_folder


@pytest.fixture
def rules(kernel: FakeKernel, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file, as if it were root's."""
    owned_by_root(monkeypatch)
    path = policy_folder(kernel) / "usbip-rules.conf"
    path.write_text("")
    path.chmod(0o644)
    return path


def bind(place: Place, monkeypatch: pytest.MonkeyPatch, busid: str = "1-4") -> str:
    """What `bind` by a member of the group says: "" or the sentence of its refusal."""
    caller = Caller(uid=1000, groups=frozenset({"qvdusb"}), seated=False)
    monkeypatch.setattr(helper, "identify", lambda *_: caller)
    try:
        serve(place, parse_arguments(["bind", busid]), 1000, 1000)
    except QvdUsbError as error:
        return f"{error.problem.code}: {error}"
    return ""


def test_a_denied_device_is_not_taken(
    kernel: FakeKernel, place: Place, rules: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rules.write_text("allow any\ndeny 0bda:58c2 class=video # No cameras\n")
    kernel.plug("1-4", "0bda:58c2", interfaces=CAMERA)
    kernel.plug("1-5", "0bda:58c3", interfaces=CAMERA)
    refusal = bind(place, monkeypatch)
    assert refusal == 'device-locked: 1-4 is locked: "No cameras" (/etc/qvd/usbip-rules.conf:2).'
    assert kernel.driver_of("1-4") == "usb"
    assert bind(place, monkeypatch, "1-5") == ""


def test_an_allowed_keyboard_needs_no_consent(
    kernel: FakeKernel, place: Place, rules: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel.plug("1-4", "046a:0011", interfaces=KEYBOARD)
    assert bind(place, monkeypatch).startswith("device-locked")
    rules.write_text("allow class=keyboard port=1-5\n")
    assert bind(place, monkeypatch).startswith("device-locked")
    rules.write_text("allow class=keyboard port=1-4\n")
    assert bind(place, monkeypatch) == ""


def test_a_rule_that_asks_changes_nothing_here(kernel: FakeKernel, place: Place, rules: Path) -> None:
    rules.write_text("ask any\n")
    kernel.plug("1-4", "046a:0011", interfaces=KEYBOARD)
    device = observe(place.root, BusId.parse("1-4"))
    assert device is not None
    with pytest.raises(QvdUsbError):
        check_device(read_policy(place.root), device, frozenset())
    check_device(read_policy(place.root), device, frozenset({"keyboard"}))
    device.close()


@pytest.mark.parametrize("text", ["permit any", "deny class=stick", "\N{SNOWMAN}"])
def test_rules_that_are_not_understood_refuse_everybody(place: Place, rules: Path, text: str) -> None:
    rules.write_text(text)
    with pytest.raises(QvdUsbError) as caught:
        read_policy(place.root)
    assert caught.value.problem.code == "policy-unsafe"
    assert "usbip-rules.conf, line 1" in str(caught.value)


def test_rules_that_somebody_else_may_write_refuse_everybody(place: Place, rules: Path) -> None:
    rules.chmod(0o666)
    with pytest.raises(QvdUsbError) as caught:
        read_policy(place.root)
    assert caught.value.problem.code == "policy-unsafe"
