"""What the helper's caller or the administrator can get wrong, by the real command, as the launcher starts it."""

import os
import shutil
from pathlib import Path

import pytest

from client_gui.helper import main as helper
from client_gui.helper.authorise import Caller
from client_gui.helper.handover import Place
from tests.kit.refusals import UNUSABLE, assert_refused, make_unusable
from tests.unit.client_gui.helper.fake_kernel import CAMERA, FakeKernel
from tests.unit.client_gui.helper.test_authorise import owned_by_root


@pytest.fixture
def called(kernel: FakeKernel, place: Place, monkeypatch: pytest.MonkeyPatch) -> FakeKernel:
    """A camera at 1-4; the helper is called by an account that the default policy lets."""
    kernel.plug("1-4", "0bda:58c2", interfaces=CAMERA)
    monkeypatch.setattr(helper, "Place", lambda: place)
    member = Caller(uid=1000, groups=frozenset({"qvdusb"}), seated=False)
    monkeypatch.setattr(helper, "identify", lambda root, uid, gid: member)
    monkeypatch.setenv("QVD_CALLER_UID", "1000")
    monkeypatch.setenv("QVD_CALLER_GID", "1000")
    return kernel


def policy_of(kernel: FakeKernel) -> Path:
    path = kernel.root / "etc/qvd/usbip-policy.conf"
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def untouched(kernel: FakeKernel) -> bool:
    run = kernel.root / "run/qvd-usbip"
    return kernel.driver_of("1-4") == "usb" and not list(run.glob("[0-9]*"))


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["bind", "1-9"], "device-gone"),
        (["unbind", "1-9"], "device-gone"),
        (["unbind", "1-4"], "not-bound"),
        (["connect", "1-4", "3"], "not-bound"),
        (["bind", "usb1"], "busid-malformed"),
        (["bind", "1-4/../1-5"], "busid-malformed"),
        (["bind", ""], "busid-malformed"),
        (["bind", "1-4", "1-5"], "helper-request-malformed"),
        (["connect", "1-4", "4"], "helper-request-malformed"),
        (["fly"], "helper-request-malformed"),
        ([], "helper-request-malformed"),
    ],
)
def test_a_request_that_names_nothing(
    called: FakeKernel, capfd: pytest.CaptureFixture[str], arguments: list[str], code: str
) -> None:
    status = helper.main(arguments)
    assert_refused(status, capfd.readouterr().err, code)
    assert untouched(called)


@pytest.mark.parametrize("kind", UNUSABLE)
def test_a_policy_that_cannot_be_read_lets_nobody_lend(
    called: FakeKernel, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    make_unusable(policy_of(called), kind)
    owned_by_root(monkeypatch)
    status = helper.main(["bind", "1-4"])
    assert_refused(status, capfd.readouterr().err, "policy-unsafe")
    assert untouched(called)


@pytest.mark.parametrize("line", ["usbip.allow.groups=x", "usbip.allow.seat=maybe", "usbip.locked=hub", "a=\\u00g0"])
def test_a_policy_that_makes_no_sense_lets_nobody_lend(
    called: FakeKernel, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    policy_of(called).write_text(f"{line}\n")
    owned_by_root(monkeypatch)
    status = helper.main(["bind", "1-4"])
    err = capfd.readouterr().err
    assert_refused(status, err, "policy-unsafe")
    assert untouched(called)


def test_a_usbip_host_that_cannot_be_loaded(
    called: FakeKernel, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(called.driver)
    monkeypatch.setattr(os, "posix_spawn", lambda *_, **__: 0)
    monkeypatch.setattr(os, "waitpid", lambda pid, options: (pid, 256))
    status = helper.main(["bind", "1-4"])
    assert_refused(status, capfd.readouterr().err, "usbip-host-unavailable")
    assert untouched(called)


def test_an_account_that_may_not(
    called: FakeKernel, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(helper, "identify", lambda root, uid, gid: Caller(uid=1, groups=frozenset(), seated=False))
    status = helper.main(["bind", "1-4"])
    assert_refused(status, capfd.readouterr().err, "not-permitted")
    assert untouched(called)


def test_no_folder_for_its_records(called: FakeKernel, capfd: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree(called.root / "run/qvd-usbip", ignore_errors=True)
    (called.root / "run/qvd-usbip").write_text("in the way")
    status = helper.main(["bind", "1-4"])
    assert_refused(status, capfd.readouterr().err, "internal")
    assert called.driver_of("1-4") == "usb"
