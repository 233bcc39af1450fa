"""What this computer needs in order to lend a device is looked for, and named where it is missing."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from client_gui import requirements
from client_gui.helper.authorise import Caller
from qvd_usbip.errors import USBIP_HOST_UNAVAILABLE
from tests.unit.client_gui.fake_helper import FakeHelper

if TYPE_CHECKING:
    from pathlib import Path


def test_a_kernel_without_the_module_is_named(tmp_path: Path) -> None:
    fault = requirements.kernel_fault(tmp_path)
    assert fault is not None
    assert fault.code == USBIP_HOST_UNAVAILABLE.code
    (tmp_path / "sys/module/usbip_host").mkdir(parents=True)
    assert requirements.kernel_fault(tmp_path) is None


def test_a_module_that_can_be_loaded_is_enough(tmp_path: Path) -> None:
    modules = tmp_path / "lib/modules" / os.uname().release
    modules.mkdir(parents=True)
    (modules / "modules.dep").write_text(
        "kernel/a.ko:\nkernel/usbip-host.ko.xz: kernel/core.ko.xz kernel/common.ko.xz\n"
    )
    for name in ("usbip-host", "core", "common"):
        fault = requirements.kernel_fault(tmp_path)
        assert fault is not None
        assert fault.code == USBIP_HOST_UNAVAILABLE.code
        (modules / "kernel").mkdir(exist_ok=True)
        (modules / f"kernel/{name}.ko.xz").touch()
    assert requirements.kernel_fault(tmp_path) is None
    (modules / "modules.dep").unlink()
    (modules / "modules.builtin").write_text("kernel/drivers/usb/usbip/usbip-host.ko\n")
    assert requirements.kernel_fault(tmp_path) is None


def test_a_helper_without_setuid_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    fault = requirements.helper_fault(str(FakeHelper(tmp_path / "bin").path))
    assert fault is not None
    assert fault.code == "helper-not-setuid"
    assert "chmod 4755" in fault.remedy


def test_a_helper_that_is_missing_or_no_program_is_named(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("")
    for path in (tmp_path / "none", tmp_path / "text", tmp_path):
        fault = requirements.helper_fault(str(path))
        assert fault is not None
        assert fault.code == "helper-missing"
        assert str(path) in fault.text


@pytest.mark.parametrize(
    ("caller", "code"),
    [
        (Caller(uid=1000, groups=frozenset(), seated=False), "not-permitted"),
        (Caller(uid=1000, groups=frozenset({"qvdusb"}), seated=False), ""),
        (Caller(uid=1000, groups=frozenset(), seated=True), ""),
    ],
    ids=["a stranger", "a member of the group", "at the seat"],
)
def test_who_may_not_lend_is_told_so_before_a_device_is_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caller: Caller, code: str
) -> None:
    monkeypatch.setattr(requirements, "identify", lambda *_: caller)
    fault = requirements.permission_fault(tmp_path)
    assert (fault.code if fault else "") == code
    monkeypatch.setattr(requirements, "helper_fault", lambda _: None)
    monkeypatch.setattr(requirements, "kernel_fault", lambda: None)
    whole = requirements.check("helper")
    assert (whole.code if whole else "") == code
