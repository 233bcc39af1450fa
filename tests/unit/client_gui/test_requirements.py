"""What this computer needs in order to lend a device is looked for, and named where it is missing."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from client_gui import requirements
from qvd_usbip.errors import USBIP_HOST_UNAVAILABLE
from tests.unit.client_gui.fake_helper import FakeHelper

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_a_kernel_without_the_module_is_named(tmp_path: Path) -> None:
    fault = requirements.kernel_fault(tmp_path)
    assert fault is not None
    assert fault.code == USBIP_HOST_UNAVAILABLE.code
    (tmp_path / "sys/module/usbip_host").mkdir(parents=True)
    assert requirements.kernel_fault(tmp_path) is None


def test_a_module_that_can_be_loaded_is_enough(tmp_path: Path) -> None:
    modules = tmp_path / "lib/modules" / os.uname().release
    modules.mkdir(parents=True)
    (modules / "modules.dep").write_text("kernel/drivers/usb/usbip/usbip-host.ko.xz: kernel/…\n")
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
