"""Being the agent: one at a time, for root, and systemd hears of it."""

import asyncio
import logging
import os
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from qvd_usbip.errors import QvdUsbError
from server_agent import main
from server_agent.daemon import Daemon
from server_agent.figures import Figures
from server_agent.kernel.vhci import Vhci
from server_agent.settings import Isochronous
from server_agent.state import State


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


def test_the_group_that_may_look_has_to_exist() -> None:
    assert main.group_of("") is None
    assert main.group_of("root") == 0
    with pytest.raises(QvdUsbError) as caught:
        main.group_of("no-such-group-here")
    assert "vm.lxc.usb.status_group=no-such-group-here: this host has no such group" in str(caught.value)


def test_figures_are_written_again_and_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(main, "WRITE_SECONDS", 0.01)
    path = tmp_path / "usb.prom"

    async def work() -> None:
        daemon = cast("Daemon", SimpleNamespace(state=State()))
        (writing,) = main.beside_the_daemon(daemon, Figures(), path)
        task = asyncio.ensure_future(writing)
        for _ in range(2):
            while not path.exists():  # noqa: ASYNC110 (another program's view of it)
                await asyncio.sleep(0.01)
            path.unlink()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    monkeypatch.delenv("WATCHDOG_USEC", raising=False)
    asyncio.run(work())
    assert not list(main.beside_the_daemon(cast("Daemon", None), Figures(), None))
