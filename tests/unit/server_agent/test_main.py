"""Being the agent: one at a time, for root, and systemd hears of it."""

import logging
import os
from pathlib import Path

import pytest

from qvd_usbip.errors import QvdUsbError
from server_agent import main
from server_agent.kernel.vhci import Vhci
from server_agent.settings import Isochronous


def test_one_agent_at_a_time(tmp_path: Path) -> None:
    lock = main.take_lock(tmp_path / "agent.lock")
    with pytest.raises(QvdUsbError) as caught:
        main.take_lock(tmp_path / "agent.lock")
    assert caught.value.problem.code == "agent-running"
    os.close(lock)
    os.close(main.take_lock(tmp_path / "agent.lock"))


def test_a_link_in_the_locks_place_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "agent.lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic"):
        main.take_lock(tmp_path / "agent.lock")
    assert not (tmp_path / "elsewhere").exists()


def uname(release: str, version: str) -> os.uname_result:
    return os.uname_result(("Linux", "host", release, version, "x86_64"))


@pytest.mark.parametrize(
    ("wanted", "safe", "unsafe"), [("auto", True, False), ("allow", True, True), ("refuse", False, False)]
)
def test_isochronous_devices_pass_where_the_kernel_is_mended_or_the_administrator_decides(
    wanted: str, caplog: pytest.LogCaptureFixture, *, safe: bool, unsafe: bool
) -> None:
    mended = uname("6.12.95+deb13-amd64", "#1 SMP PREEMPT_DYNAMIC Debian 6.12.95-1 (2026-07-05)")
    with caplog.at_level("INFO"):
        assert main.isochronous_allowed(Isochronous(wanted), mended) == safe
        assert "6.12.95 has the fix of 6.12.83" in caplog.text
        for release, version in (("6.1.0-41-amd64", "Debian 6.1.192-1"), ("6.12.0-8.el10", "#1"), ("odd", "#1")):
            caplog.clear()
            assert main.isochronous_allowed(Isochronous(wanted), uname(release, version)) == unsafe
            assert f"vm.lxc.usb.isochronous={wanted}" in caplog.text
            assert (caplog.records[-1].levelname == "WARNING") == unsafe


def test_a_kernel_built_for_debugging_is_quietened(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    flag = tmp_path / "module/usbip_core/parameters/usbip_debug_flag"
    main.quieten(Vhci(sysfs=tmp_path))
    assert not caplog.records
    flag.parent.mkdir(parents=True)
    flag.write_text("4294967295\n")
    with caplog.at_level(logging.WARNING):
        main.quieten(Vhci(sysfs=tmp_path))
    assert int(flag.read_text()[:1]) == 0
    assert "is 0 now" in caplog.text
