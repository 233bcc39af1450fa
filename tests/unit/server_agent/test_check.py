"""`qvd-usb-agent check`: what a host lacks is named with its remedy, and the first lack is the exit status."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from qvd_usbip.errors import PROBLEMS
from server_agent import asking, check, cli, lxc, settings
from tests.unit.server_agent.fake_vhci import FakeVhci

RELEASE = "6.12.95+deb13-amd64"


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A host that has everything; a test takes one thing away."""
    FakeVhci(root=tmp_path / "sys").make()
    monkeypatch.setattr(check, "SYSFS", tmp_path / "sys")
    monkeypatch.setattr(check, "ROOT_MOUNTS", tmp_path / "mounts")
    monkeypatch.setattr(check, "MODULES", tmp_path / "modules")
    monkeypatch.setattr(check, "ROOT", tmp_path)
    for path, content in (
        ("sys/fs/cgroup/cgroup.controllers", "cpu memory\n"),
        ("sys/module/apparmor/parameters/enabled", "Y\n"),
        ("sys/kernel/security/apparmor/profiles", "/usr/bin/lxc-start (enforce)\nlxc-container-qvd (enforce)\n"),
        ("sys/module/usbip_core/parameters/usbip_debug_flag", "0\n"),
        (check.RULES, "# ours\n"),
        ("usr/sbin/ModemManager", ""),
        ("mounts", "bpf /sys/fs/bpf bpf rw 0 0\n"),
        (f"modules/{RELEASE}/modules.dep", "kernel/drivers/usb/usbip/vhci-hcd.ko.xz: kernel/x.ko\n"),
    ):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(content)
    (tmp_path / "seccomp").touch()
    monkeypatch.setattr(lxc, "SECCOMP", str(tmp_path / "seccomp"))
    monkeypatch.setattr("server_agent.check.shutil.which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr("server_agent.check.platform.release", lambda: RELEASE)
    monkeypatch.setattr("server_agent.check.platform.version", lambda: "#1 SMP Debian 6.12.95-1 (2026-07-01)")
    (tmp_path / "node.conf").write_text("vm.lxc.use_vhci_hubs=1\n")
    monkeypatch.setattr(settings.load, "__defaults__", (tmp_path / "node.conf",))
    return tmp_path


def lacks(capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, str]]:
    status = cli.main(["check", "--json"])
    rows = json.loads(capsys.readouterr().out)["checks"]
    return status, {row["name"]: row["remedy"] for row in rows if not row["ok"]}


def test_a_host_that_has_everything(host: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert lacks(capsys) == (0, {})
    assert cli.main(["check"]) == 0
    out = capsys.readouterr().out
    assert "global-ports: a stock kernel; ports are counted through all hubs; 3 hubs" in out
    assert "limit: 2 containers at once, 1 with a hub of their own: 2 ports each" in out
    assert "1 with ports of a shared one: 2 and 2" in out
    assert "FAIL" not in out
    assert "kept off lent devices by udev's rules: ModemManager (ID_MM_DEVICE_IGNORE)" in out


@pytest.mark.parametrize(
    ("file", "name"), [("usr/sbin/usb_modeswitch", "usb_modeswitch"), ("usr/share/usbmount/usbmount", "usbmount")]
)
def test_what_is_only_run_by_a_rule_is_kept_off(
    host: Path, capsys: pytest.CaptureFixture[str], file: str, name: str
) -> None:
    (host / file).parent.mkdir(parents=True, exist_ok=True)
    (host / file).touch()
    assert lacks(capsys) == (0, {})
    cli.main(["check"])
    assert f"{name} (RUN)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("place", "content", "name", "code", "remedy"),
    [
        ("node.conf", "", "setting", "hubs-disabled", "value=1"),
        ("node.conf", "vm.lxc.use_vhci_hubs=maybe", "setting", "settings-malformed", "configuration file"),
        ("sys/fs/cgroup/cgroup.controllers", None, "cgroup", "bpf-unavailable", "cgroup v2"),
        ("mounts", "", "bpf", "bpf-unavailable", "/sys/fs/bpf"),
        ("sys/module/apparmor/parameters/enabled", "N\n", "apparmor", "lxc-config-missing", "apparmor=1"),
        (
            "sys/kernel/security/apparmor/profiles",
            "lxc-container-qvd (complain)\n",
            "apparmor",
            "lxc-config-missing",
            "apparmor_parser --replace",
        ),
        ("seccomp", None, "lxc", "lxc-config-missing", "make install ROLE=server"),
        ("usr/sbin/pcscd", "", "program", "host-program", "systemctl mask --now pcscd.socket pcscd.service"),
        ("usr/sbin/smartd", "", "program", "host-program", "systemctl mask --now smartmontools.service"),
        ("usr/bin/devmon", "", "program", "host-program", "Remove devmon from this host."),
        (check.RULES, None, "programs", "host-program", "make install ROLE=server"),
    ],
)
def test_each_lack_has_its_remedy(
    host: Path, capsys: pytest.CaptureFixture[str], place: str, content: str | None, name: str, code: str, remedy: str
) -> None:
    if content is None:
        (host / place).unlink()
    else:
        (host / place).parent.mkdir(parents=True, exist_ok=True)
        (host / place).write_text(content)
    status, found = lacks(capsys)
    assert list(found) == [name]
    assert remedy in found[name]
    assert status == PROBLEMS[code].exit_status


@pytest.mark.parametrize(
    ("modules", "words"),
    [
        ("kernel/drivers/usb/usbip/vhci-hcd.ko: x\n", ("is not loaded", "modprobe vhci-hcd")),
        ("kernel/other.ko:\n", (f"does not belong to this kernel ({RELEASE})", "extra modules")),
        (None, ("is not loaded", "modprobe vhci-hcd")),
    ],
)
def test_without_the_module_the_way_to_get_it_is_said(
    host: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, modules: str | None,
    words: tuple[str, str],
) -> None:  # fmt: skip
    index = host / f"modules/{RELEASE}/modules.dep"
    if modules is None:
        index.unlink()
    else:
        index.write_text(modules)
    shutil.rmtree(host / "sys/bus/platform/drivers/vhci_hcd")
    status = cli.main(["check"])
    out = capsys.readouterr().out
    assert status == PROBLEMS["vhci-missing"].exit_status
    assert all(word in out for word in words)
    assert "hubs:" not in out


def hybrid(root: Path) -> FakeVhci:
    """Hubs of their own from the first on, and hub 0 as on a stock kernel."""
    fake = FakeVhci(root=root, per_hub=True).make()
    (fake.hub(0) / "status.1").write_text((fake.hub(1) / "status").read_text())
    return fake


def no_hubs(root: Path) -> FakeVhci:
    """The driver without a hub."""
    return FakeVhci(root=root, hubs=0).make()


def no_way(root: Path) -> FakeVhci:
    """Hubs that nothing reaches."""
    fake = FakeVhci(root=root).make()
    for number in range(fake.hubs):
        (fake.hub(0) / (f"status.{number}" if number else "status")).unlink()
    return fake


@pytest.mark.parametrize(
    ("make", "words", "limit"),
    [
        (lambda root: FakeVhci(root=root, hubs=8, ports=15).make(), "global-ports: a stock kernel", "9 containers"),
        (lambda root: FakeVhci(root=root, hubs=8, ports=15, per_hub=True).make(), "per-hub: patched", "10 containers"),
        (lambda root: FakeVhci(root=root, hubs=1, ports=8).make(), "single-hub: ", "2 containers"),
        (hybrid, "hybrid: partly patched", "2 containers"),
        (no_hubs, "no hub: the USB bus numbers are used up", ""),
        (no_way, "unrecognised: several hubs and no known way", ""),
    ],
)
def test_every_layout_is_recognised_by_what_is_there_and_shown(
    host: Path, capsys: pytest.CaptureFixture[str], make: Callable[[Path], FakeVhci], words: str, limit: str
) -> None:
    for folder in ("bus", "devices"):
        shutil.rmtree(host / "sys" / folder)
    make(host / "sys")
    status = cli.main(["check"])
    out = capsys.readouterr().out
    assert words in out
    assert (f"limit: {limit} at once" in out) == bool(limit)
    assert status == (0 if limit else PROBLEMS["vhci-no-hubs"].exit_status)


def test_what_the_running_agent_lacks_is_said(
    host: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [
        {"name": "desk1", "hub": "vhci_hcd.1", "without_usb": ""},
        {"name": "desk8", "hub": None, "without_usb": "hubs-disabled"},
        {"name": "desk9", "hub": None, "without_usb": "no-free-hub"},
    ]
    answer: dict[str, object] = {"containers": rows, "unrecorded": ""}
    monkeypatch.setattr(asking, "ask", lambda _: answer)
    assert cli.main(["check"]) == 0
    out = capsys.readouterr().out
    assert "warn  agent: without USB, for every hub was lent when they started: desk9\n" in out
    assert "warn  agent: without USB, for vm.lxc.use_vhci_hubs was not 1 when they started: desk8\n" in out
    answer["unrecorded"] = "the disk is full"
    status, found = lacks(capsys)
    assert "free space" in found["ledger"]
    assert status == PROBLEMS["config-unwritable"].exit_status


def test_hubs_that_are_all_kept_back_are_a_lack(host: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (host / "node.conf").write_text("vm.lxc.use_vhci_hubs=1\nvm.lxc.usb.hubs=9\n")
    status, found = lacks(capsys)
    assert found == {"hubs": "Set vm.lxc.usb.hubs=all"}
    assert status == PROBLEMS["vhci-no-hubs"].exit_status


@pytest.mark.parametrize(
    ("place", "mode"),
    [("cgroup.controllers", None), ("unified/cgroup.controllers", "v1 beside v2 (hybrid)"), ("devices/tasks", "v1,")],
)
def test_the_mode_of_cgroups_is_named(
    host: Path, capsys: pytest.CaptureFixture[str], place: str, mode: str | None
) -> None:
    (host / "sys/fs/cgroup/cgroup.controllers").unlink()
    (host / "sys/fs/cgroup" / place).parent.mkdir(parents=True, exist_ok=True)
    (host / "sys/fs/cgroup" / place).touch()
    cli.main(["check"])
    assert (mode or "cgroup: v2, unified") in capsys.readouterr().out


def test_on_cgroup_v1_its_files_do(host: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (host / "sys/fs/cgroup/cgroup.controllers").unlink()
    (host / "sys/fs/cgroup/devices").mkdir()
    (host / "sys/fs/cgroup/devices/devices.list").write_text("a *:* rwm\n")
    (host / "mounts").write_text("")
    assert lacks(capsys) == (0, {})
    cli.main(["check"])
    assert "cgroup: v1: device rights by its files" in capsys.readouterr().out


def test_a_kernel_that_writes_about_each_packet_is_a_warning(host: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (host / "sys/module/usbip_core/parameters/usbip_debug_flag").write_text("4294967295\n")
    assert cli.main(["check"]) == 0
    assert "warn  messages: usbip_debug_flag is 0xffffffff" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("version", "words"),
    [
        ("#1 SMP Debian 6.12.95-1 (2026-07-01)", "isochronous"),
        ("#1 SMP Debian 6.1.90-1 (2024-05-01)", "warn  defect: isochronous-heap: "),
    ],
)
def test_what_is_wrong_with_the_kernel_is_a_warning_with_what_is_done_about_it(
    host: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, version: str, words: str
) -> None:
    monkeypatch.setattr("server_agent.check.platform.version", lambda: version)
    assert cli.main(["check"]) == 0
    out = capsys.readouterr().out
    assert (words in out) == ("6.1.90" in version)
    assert "known defects of vhci are fixed in this kernel" in out
